//! Any records as a log, their checksums right, and any bytes behind them: replayed as far as they are
//! sound, never a panic. A panic that replay itself would catch counts as well.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use stoker_server::store::inspect::{log_of, read_log};

#[path = "../common/one_file.rs"]
mod one_file;
use one_file::OneFile;

fuzz_target!(|data: (&[u8], &[u8], &[u8])| {
    let mut log = log_of(&[data.0, data.1]);
    log.extend_from_slice(data.2);
    let _ = read_log(&OneFile(log), Path::new("fuzzed.log"));
    // And bytes that nobody framed.
    let _ = read_log(&OneFile(data.0.to_vec()), Path::new("fuzzed.log"));
});
