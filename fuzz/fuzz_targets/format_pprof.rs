//! Any bytes as a pprof: refused or taken, never a panic; what is taken is written and read again as it was.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stoker_formats::{Imported, Limits, ReadOptions, pprof};

fuzz_target!(|data: &[u8]| {
    let limits = Limits { decompressed_bytes: 16 << 20, ..Limits::default() };
    let options = ReadOptions { limits, ..ReadOptions::default() };
    let Ok(imported) = pprof::read(data, &options) else { return };
    let mut bytes = Vec::new();
    // Sums above 2^63 are read and cannot be written.
    if pprof::write_imported(&imported, &|_| "m".to_owned(), &mut bytes).is_err() {
        return;
    }
    let again = pprof::read(&bytes, &options).expect("what was written");
    let sum = |imported: &Imported| {
        imported.profiles.iter().map(|p| p.total()).fold(0u64, u64::wrapping_add)
    };
    let (first, counted) = (sum(&imported), again.profiles.len() > imported.profiles.len());
    let second =
        if counted { sum(&again).wrapping_sub(again.profiles[0].total()) } else { sum(&again) };
    assert_eq!(first, second);
});
