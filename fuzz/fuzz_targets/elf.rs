//! Any bytes as an ELF file that some process has mapped.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stoker_agent::process::ElfInfo;

fuzz_target!(|data: &[u8]| {
    if let Ok(info) = ElfInfo::read(data) {
        for offset in [0, 1, 4096, u64::MAX] {
            let _ = info.virtual_offset(offset);
        }
    }
});
