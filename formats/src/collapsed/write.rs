//! From call tree to lines. Values are in the profile type's unit.
//!
//! A stack stands on several lines where functions of one name lie in different modules, which the
//! format cannot tell apart; whoever reads it sums them.

use std::io::{self, Write};

use stoker_dag::{BoxIx, CallTree};

use crate::text::{NO_STACK, box_name, collapsed_frame};

/// Writes every stack of `tree` that has a value of its own. The tree is in depth-first order, as
/// `CallTreeBuilder::finish` gives it.
///
/// # Errors
/// When `out` does not take the bytes.
pub fn write(tree: &CallTree, out: &mut impl Write) -> io::Result<()> {
    lines(tree, |line| {
        out.write_all(line.as_bytes())?;
        out.write_all(b"\n")
    })
}

/// Calls `each` with every line, without its end.
pub(crate) fn lines(
    tree: &CallTree,
    mut each: impl FnMut(&str) -> io::Result<()>,
) -> io::Result<()> {
    let mut line = String::new();
    // Where the text of each box on the path ends.
    let mut path: Vec<(BoxIx, usize)> = vec![(BoxIx::ROOT, 0)];
    write_value(tree, BoxIx::ROOT, &mut line, &mut each)?;
    for (at, &parent) in (0u32..).zip(&tree.parent).skip(1) {
        while path.last().is_some_and(|(above, _)| *above != parent) {
            path.pop();
        }
        line.truncate(path.last().map_or(0, |(_, end)| *end));
        if !line.is_empty() {
            line.push(';');
        }
        let at = BoxIx(at);
        line.push_str(&collapsed_frame(&box_name(tree, at)));
        path.push((at, line.len()));
        write_value(tree, at, &mut line, &mut each)?;
    }
    Ok(())
}

fn write_value(
    tree: &CallTree,
    at: BoxIx,
    line: &mut String,
    each: &mut impl FnMut(&str) -> io::Result<()>,
) -> io::Result<()> {
    let value = tree.self_value[at.at()];
    if value == 0 {
        return Ok(());
    }
    let end = line.len();
    if line.is_empty() {
        // Samples without any frame.
        line.push_str(NO_STACK);
    }
    line.push(' ');
    line.push_str(&value.to_string());
    each(line)?;
    line.truncate(end);
    Ok(())
}
