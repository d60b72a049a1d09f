//! Any text as a selector: parsed or refused, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stoker_server::query::Selector;

fuzz_target!(|text: &str| {
    let _ = Selector::parse(text);
});
