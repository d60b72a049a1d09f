//! Section names, `.gnu_debuglink` and `.gnu_debugdata` of any file: read or refused, within bounds.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stoker_symbols::elf::{DebugLink, Inventory, named_sections};
use stoker_symbols::unpack;

fuzz_target!(|data: &[u8]| {
    let size = data.len() as u64;
    let _ = Inventory::of(data, size);
    if let Ok(sections) = named_sections(data, size) {
        for section in &sections {
            assert!(section.offset + section.size <= size);
        }
        if let Ok(Some(link)) = DebugLink::read(data, &sections) {
            assert!(!link.name.contains('/'));
        }
    }
    let _ = unpack(data);
});
