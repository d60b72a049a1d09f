//! Any bytes as what a process can make us read: maps, perf map, cgroup, environment.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stoker_agent::process::{CgroupPlace, OtelNames, PerfMap, parse_maps};

fuzz_target!(|data: &[u8]| {
    let _ = parse_maps(data);
    let _ = PerfMap::parse(data).find(0x1000);
    let _ = OtelNames::parse(data);
    let _ = CgroupPlace::parse(&String::from_utf8_lossy(data));
});
