//! Go's function table in any file: found or refused, looked up and walked within bounds, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stoker_symbols::elf::NamedSection;
use stoker_symbols::go::{GoFrameSink, GoFunction, GoTable};

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
    let mut frames = Frames::default();
    assert!(table.frames(data, &mut frames).is_err() || frames.at == frames.function.end);
});

/// Functions follow each other, and the sizes of their frames cover them. Stops after some.
#[derive(Default)]
struct Frames {
    function: std::ops::Range<u64>,
    at: u64,
    count: u32,
}

impl GoFrameSink for Frames {
    type Stop = ();

    fn function(&mut self, function: &GoFunction) -> Result<(), ()> {
        assert_eq!(self.at, self.function.end);
        assert!(function.start >= self.function.end && function.start < function.end);
        (self.function, self.at) = (function.start..function.end, function.start);
        Ok(())
    }

    fn size(&mut self, start: u64, end: u64, _: Option<u32>) -> Result<(), ()> {
        assert!(start == self.at && end >= start && end <= self.function.end);
        self.at = end;
        self.count += 1;
        if self.count > 100_000 { Err(()) } else { Ok(()) }
    }
}
