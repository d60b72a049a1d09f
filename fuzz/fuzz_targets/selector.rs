//! Any text as a selector; what parses is written back and parses to the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stoker_server::query::Selector;

fuzz_target!(|text: &str| {
    if let Ok(selector) = Selector::parse(text) {
        let written = selector.to_string();
        let again = Selector::parse(&written).expect("what was written parses");
        assert_eq!(again.to_string(), written);
    }
});
