//! What a frame's line is called: by inferno, so that a picture made from our stacks is the one that
//! people know (offsets and arguments stripped, `[module]` for what has no symbol, Java's inlined
//! functions apart).

use inferno::collapse::Collapse as _;
use inferno::collapse::perf::{Folder, Options};

use super::lines::StackLine;

/// The functions that a frame's line stands for, outermost first; `is_java` as its process says.
pub(super) fn functions(line: StackLine<'_>, is_java: bool) -> Vec<String> {
    // inferno cuts symbols at byte positions, which only ASCII survives; and it takes a module to
    // be one word.
    if line.function.is_ascii() && line.module.is_ascii() {
        let named = by_inferno(line, is_java);
        if !named.is_empty() {
            return named;
        }
    }
    vec![without_offset(line.function).to_owned()]
}

fn by_inferno(line: StackLine<'_>, is_java: bool) -> Vec<String> {
    let comm = if is_java { "java" } else { "x" };
    let is_break = |c: char| c.is_whitespace() || c.is_control();
    let module = line.module.replace(is_break, "_");
    let function = line.function.replace(|c: char| c != ' ' && is_break(c), " ");
    let event = format!("{comm} 1 1.0: 1 e:\n\t0 {function} ({module})\n\n");
    let mut options = Options::default();
    options.nthreads = 1;
    let mut out = Vec::new();
    let collapsed = Folder::from(options).collapse(event.as_bytes(), &mut out);
    let text = String::from_utf8_lossy(&out);
    let stack = text.trim_end().strip_prefix(comm).and_then(|rest| rest.strip_suffix(" 1"));
    match (collapsed, stack.and_then(|stack| stack.strip_prefix(';'))) {
        (Ok(()), Some(stack)) => stack.split(';').map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

fn without_offset(function: &str) -> &str {
    match function.rsplit_once("+0x") {
        Some((name, offset)) if offset.bytes().all(|byte| byte.is_ascii_hexdigit()) => name,
        _ => function,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_infernos_and_odd_ones_survive() {
        for (function, module, is_java, wanted) in [
            ("main+0x1f", "/bin/a", false, &["main"][..]),
            ("f(int)", "/bin/a", false, &["f"]),
            ("[unknown]", "/lib/libc.so.6", false, &["[libc.so.6]"]),
            ("[unknown]", "[unknown]", false, &["[unknown]"]),
            ("Lio/A;::a->Lio/B;::b", "/tmp/perf-1.map", true, &["io/A:::a", "io/B:::b_[i]"]),
            ("naïve::h0123456789abcde+0x1", "/bin/a", false, &["naïve::h0123456789abcde"]),
            ("(anonymous namespace)::f", "/bin/a", false, &["(anonymous namespace)::f"]),
            ("", "/my module", false, &[" "]),
        ] {
            assert_eq!(functions(StackLine { function, module }, is_java), wanted, "{function}");
        }
    }
}
