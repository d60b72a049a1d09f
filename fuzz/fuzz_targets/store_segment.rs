//! Any blocks as a segment, their checksums right: read in every way that the store reads them, or
//! refused, never a panic and never more memory than a block may claim.
#![no_main]

use std::path::Path;
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use stoker_server::store::inspect::{read_segment, segment_of};
use stoker_server::store::messages::Footer;
use stoker_server::store::TenantId;

#[path = "../common/one_file.rs"]
mod one_file;
use one_file::OneFile;

/// Block kinds as `docs/formats.md` numbers them.
const NAMES: u32 = 1;
const FACTS: u32 = 4;
const STACKS: u32 = 5;
const ROWS: u32 = 6;

type Blocks<'a> = (&'a [u8], (u16, &'a [u8]), (u16, &'a [u8]), &'a [u8]);

fuzz_target!(|data: Blocks<'_>| {
    let (names, stacks, rows, facts) = data;
    let tenant = TenantId::default_tenant();
    let footer = Footer {
        id: 1,
        tenant: tenant.as_str().to_owned(),
        last_window: u64::MAX,
        profile_types: vec!["process_cpu:cpu:nanoseconds:cpu:nanoseconds".to_owned()],
        rows: u64::from(rows.0),
        ..Footer::default()
    };
    // The first kinds are messages, the others columns.
    let blocks = [
        (NAMES, 0, names),
        (STACKS, u64::from(stacks.0), stacks.1),
        (ROWS, u64::from(rows.0), rows.1),
        (FACTS, 0, facts),
    ];
    let read = |bytes: Vec<u8>| {
        let _ = read_segment(Arc::new(OneFile(bytes)), Path::new(""), &tenant, 1);
    };
    read(segment_of(footer, &blocks));
    // And bytes that nobody framed.
    read(facts.to_vec());
});
