//! Rows of segments of version 1: those of the wire, window by window.

use stoker_dag::UnixNanos;
use stoker_wire::{Decoder, WireError};

use super::super::api::WindowRows;
use super::super::messages::RowsBlock;

/// The windows of a block.
///
/// # Errors
/// When rows contradict themselves or the dictionary.
pub fn windows(decoder: &Decoder, block: RowsBlock) -> Result<Vec<WindowRows>, WireError> {
    let mut windows = Vec::with_capacity(block.windows.len());
    for held in block.windows {
        for group in decoder.row_groups(held.rows.as_slice())? {
            let (window, profile_type) = (UnixNanos(held.window), group.profile_type);
            windows.push(WindowRows { window, profile_type, rows: group.rows });
        }
    }
    Ok(windows)
}
