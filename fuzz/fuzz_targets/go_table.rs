//! Go's function table in any file: found or refused, looked up within bounds, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stoker_symbols::elf::NamedSection;
use stoker_symbols::go::GoTable;

/// Where the made-up code lies.
const CODE: u64 = 0x40_0000;

fuzz_target!(|data: &[u8]| {
    let size = data.len() as u64;
    let section = |name: &str, address, is_code| NamedSection {
        name: name.to_owned(),
        offset: 0,
        size,
        address,
        compressed: false,
        is_code,
        is_symbol_table: false,
    };
    let sections = [
        section(".text", CODE, true),
        section(".gopclntab", 2 * CODE, false),
        section(".noptrdata", 3 * CODE, false),
        section(".rodata", 4 * CODE, false),
        section(".rela.dyn", 5 * CODE, false),
    ];
    let Ok(table) = GoTable::of(data, &sections) else { return };
    for address in (CODE..CODE.saturating_add(size)).step_by(7).take(64) {
        for spot in table.find(data, address).into_iter().flatten() {
            assert!(!spot.function.is_empty());
        }
    }
});
