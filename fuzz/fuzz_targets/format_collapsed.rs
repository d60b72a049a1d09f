//! Any bytes as collapsed stacks: refused or taken, never a panic; what is written sums to what was read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stoker_analysis::call_tree;
use stoker_formats::{Imported, Limits, ReadOptions, collapsed, html};

fuzz_target!(|data: &[u8]| {
    let limits = Limits { decompressed_bytes: 1 << 20, ..Limits::default() };
    let options = ReadOptions { limits, ..ReadOptions::default() };
    let Ok(imported) = collapsed::read(data, &options) else { return };
    let total = |imported: &Imported| imported.default_profile().total();
    let tree = call_tree(&imported.profile(0), &imported.modules);
    let mut text = Vec::new();
    collapsed::write(&tree, &mut text).expect("memory takes it");
    if total(&imported) > 0 {
        let again = collapsed::read(&text, &ReadOptions::default()).expect("what was written");
        assert_eq!(total(&again), total(&imported));
    }
    html::write(&tree, &imported.profiles[0].profile_type, ("a", "b"), &mut Vec::new())
        .expect("memory takes it");
});
