//! Any blocks as a segment, their checksums right: read in every way that the store reads them, or
//! refused, never a panic and never more memory than a block may claim. The seeds are segments of every
//! version, rollups and samples one by one among them (`server/tests/store/golden.rs` writes them).
#![no_main]

use std::path::Path;
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use stoker_server::store::inspect::{read_segment, tightened};
use stoker_server::store::messages::Footer;
use stoker_server::store::TenantId;

#[path = "../common/one_file.rs"]
mod one_file;
use one_file::OneFile;

fuzz_target!(|data: &[u8]| {
    let tenant = TenantId::default_tenant();
    let footer = Footer {
        id: 1,
        tenant: tenant.as_str().to_owned(),
        last_window: u64::MAX,
        profile_types: vec!["process_cpu:cpu:nanoseconds:cpu:nanoseconds".to_owned()],
        ..Footer::default()
    };
    let read = |bytes: Vec<u8>| {
        let _ = read_segment(Arc::new(OneFile(bytes)), Path::new(""), &tenant, 1);
    };
    read(tightened(data, footer));
    // And bytes that nobody framed.
    read(data.to_vec());
});
