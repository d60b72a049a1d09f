//! Calls that are inlined at an address.
//!
//! Each function with inlined calls has a list of them; a table of values says which is the innermost
//! at an address, and each call names the address of its caller within the function.

use super::INLINED_MAX;
use super::layout::GoVersion;
use super::piece::Piece;
use super::table::{Func, GoSpot, GoTable};
use crate::elf::ReadAt;

/// The value table that holds indices of inlined calls (`PCDATA_InlTreeIndex`).
const INDEX_TABLE: u64 = 2;
/// The entry that says where the list of inlined calls is (`FUNCDATA_InlTree`).
const LIST_ENTRY: u64 = 3;

/// Where the lists of inlined calls are: a section of the file, and what offsets count from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lists {
    /// The address that offsets count from (`go:func.*`); 0 where they are addresses.
    pub base: u64,
    /// The section: address, place in the file, size.
    pub section: (u64, u64, u64),
}

/// What a list says of a call.
struct Call {
    name: i32,
    /// Where it is called from, in bytes from the function's start.
    parent: i32,
}

/// The functions at `at`, outermost first, `name` the function itself.
pub(super) fn spots<R: ReadAt + ?Sized>(
    table: &GoTable,
    file: &R,
    func: &Func,
    at: u64,
    name: String,
) -> Vec<GoSpot> {
    let piece = table.piece(file);
    match walk(table, file, &piece, func, at) {
        Some((mut spots, at)) => {
            let (file, line) = table.line(&piece, func, at);
            spots.push(GoSpot { function: name, file, line });
            spots.reverse();
            spots
        }
        // File and line would be those of a call that cannot be named.
        None => vec![GoSpot { function: name, file: String::new(), line: 0 }],
    }
}

/// The inlined calls, innermost first, and the address in the function itself that stands for them;
/// `None` when there are some and they cannot be read.
fn walk<R: ReadAt + ?Sized>(
    table: &GoTable,
    file: &R,
    piece: &Piece<'_, R>,
    func: &Func,
    at: u64,
) -> Option<(Vec<GoSpot>, u64)> {
    let (mut spots, mut at) = (Vec::new(), at);
    let Some(indices) = index_table(table, piece, func) else { return Some((spots, at)) };
    while let Some(index) = table.value(piece, func, indices, at).filter(|&index| index >= 0) {
        let call = call(table, file, piece, func, index)?;
        let parent = func.entry.checked_add(u64::try_from(call.parent).ok()?)?;
        if spots.len() >= INLINED_MAX || parent >= func.end {
            return None;
        }
        let (file, line) = table.line(piece, func, at);
        spots.push(GoSpot { function: table.name(piece, call.name)?, file, line });
        at = parent;
    }
    Some((spots, at))
}

/// The table of values with the indices of inlined calls, if the function has any.
fn index_table<R: ReadAt + ?Sized>(
    table: &GoTable,
    piece: &Piece<'_, R>,
    func: &Func,
) -> Option<i32> {
    let tables = u64::try_from(table.field(piece, func, 24)?).ok()?;
    let first = func.at + table.layout.func_id() + 4;
    if tables <= INDEX_TABLE {
        return None;
    }
    piece.i32(first + 4 * INDEX_TABLE).filter(|&list| list > 0)
}

fn call<R: ReadAt + ?Sized>(
    table: &GoTable,
    file: &R,
    piece: &Piece<'_, R>,
    func: &Func,
    index: i32,
) -> Option<Call> {
    let lists = table.lists?;
    let address = list_address(table, piece, func, lists.base)?;
    let (start, offset, size) = lists.section;
    let section = Piece::new(file, offset, size);
    let (entry, name, parent) = match table.layout.version {
        GoVersion::Go120 => (16, 4, 8),
        _ => (20, 12, 16),
    };
    let at = address.checked_sub(start)?.checked_add(u64::try_from(index).ok()? * entry)?;
    Some(Call { name: section.i32(at + name)?, parent: section.i32(at + parent)? })
}

/// The address of the function's list of inlined calls.
fn list_address<R: ReadAt + ?Sized>(
    table: &GoTable,
    piece: &Piece<'_, R>,
    func: &Func,
    base: u64,
) -> Option<u64> {
    let layout = &table.layout;
    let counts = func.at + layout.func_id();
    let tables = u64::try_from(table.field(piece, func, 24)?).ok()?;
    if u64::from(piece.u8(counts + 3)?) <= LIST_ENTRY {
        return None;
    }
    let entries = counts.checked_add(4)?.checked_add(4 * tables)?;
    if layout.version == GoVersion::Go116 {
        // Addresses, which stand aligned in memory, where the table itself is aligned.
        let entries = entries.checked_next_multiple_of(layout.pointer)?;
        let address = piece.number(entries + LIST_ENTRY * layout.pointer, layout.pointer)?;
        return Some(address).filter(|&address| address != 0);
    }
    let offset = piece.u32(entries + 4 * LIST_ENTRY).filter(|&offset| offset != u32::MAX)?;
    base.checked_add(offset.into())
}
