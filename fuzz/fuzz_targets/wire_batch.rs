//! Any two batches on one stream: refused or taken, never a panic, never more memory than the bytes
//! can ask for.
#![no_main]

use libfuzzer_sys::fuzz_target;
use prost::Message;
use stoker_wire::{Decoder, Encoder, Rebase, proto};

fuzz_target!(|data: (&[u8], &[u8])| {
    let mut decoder = Decoder::default();
    let mut encoder = Encoder::default();
    let mut rebase = Rebase::default();
    for bytes in [data.0, data.1] {
        let Ok(batch) = proto::Batch::decode(bytes) else { return };
        let Ok(body) = decoder.decode(&batch) else { return };
        let _ = encoder.encode(decoder.dictionary(), &body, &mut rebase);
    }
});
