//! Any bytes as speedscope JSON: refused or taken, never a panic; what is written sums to what was read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stoker_analysis::call_tree;
use stoker_formats::speedscope::{self, SpeedscopeSource};
use stoker_formats::{Limits, ReadOptions};

fuzz_target!(|data: &[u8]| {
    let limits = Limits { decompressed_bytes: 1 << 20, ..Limits::default() };
    let options = ReadOptions { limits, ..ReadOptions::default() };
    let Ok(imported) = speedscope::read(data, &options) else { return };
    let tree = call_tree(&imported.profile(0), &imported.modules);
    let profile_type = &imported.profiles[0].profile_type;
    let mut json = Vec::new();
    speedscope::write(&[SpeedscopeSource { profile_type, tree: &tree }], "name", &mut json)
        .expect("memory takes it");
    let again = speedscope::read(&json, &ReadOptions::default()).expect("what was written");
    assert_eq!(again.profiles[0].total(), imported.profiles[0].total());
    assert_eq!(again.profiles[0].profile_type, *profile_type);
});
