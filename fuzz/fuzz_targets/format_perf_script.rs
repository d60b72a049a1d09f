//! Any bytes as the text of perf script: refused or taken, never a panic, inferno's naming included.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stoker_analysis::call_tree;
use stoker_formats::{Limits, ReadOptions, detect, perf_script};

fuzz_target!(|data: &[u8]| {
    let _ = detect(data, "");
    let limits = Limits { decompressed_bytes: 1 << 20, ..Limits::default() };
    let options = ReadOptions { limits, ..ReadOptions::default() };
    let Ok(imported) = perf_script::read(data, &options) else { return };
    let samples: u64 = imported.profiles.iter().map(|profile| profile.samples()).sum();
    assert_eq!(samples, imported.notes.records);
    let _ = call_tree(&imported.profile(0), &imported.modules);
});
