//! What a file must be before it is believed. Everything is read in small, bounded pieces.

use std::fs::File;

use stoker_dag::BuildId;
use stoker_symbols::elf::{ElfInfo, Inventory};

use super::error::SymbolsError;

/// What `file` has, if it is the build that it is said to be and has anything.
pub(super) fn inspect(file: &File, wanted: &BuildId) -> Result<Inventory, SymbolsError> {
    let length = file.metadata().map_or(0, |metadata| metadata.len());
    // First, so that what broke off is not called another build.
    let inventory = Inventory::of(file, length)?;
    let found = ElfInfo::read(file)?.build_id;
    if found != *wanted {
        return Err(SymbolsError::OtherBuild { wanted: wanted.clone(), found });
    }
    if inventory.is_empty() {
        return Err(SymbolsError::Stripped);
    }
    Ok(inventory)
}
