//! Any text as a gate: read or refused, never a panic; what is read is written as it was meant.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stoker_analysis::gate::Gate;

fuzz_target!(|text: &str| {
    if let Ok(gate) = Gate::parse(text) {
        assert_eq!(Gate::parse(&gate.to_string()), Ok(gate), "{text:?}");
    }
});
