//! Records as the kernel writes them, and as it never would.

use proptest::prelude::*;

use super::*;

const TIME_NS: u64 = 77;

/// A record of a kind with a body, padded as the kernel pads, with the time behind.
fn record(kind: u32, misc: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = kind.to_ne_bytes().to_vec();
    bytes.extend(misc.to_ne_bytes());
    let padded = body.len().next_multiple_of(8);
    bytes.extend(u16::try_from(HEADER_BYTES + padded + 8).unwrap().to_ne_bytes());
    bytes.extend(body);
    bytes.resize(HEADER_BYTES + padded, 0);
    bytes.extend(TIME_NS.to_ne_bytes());
    bytes
}

fn u32s(values: &[u32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_ne_bytes()).collect()
}

fn u64s(values: &[u64]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_ne_bytes()).collect()
}

fn check(record: &[u8], expected: ProcessEvent) {
    assert_eq!(decode(record), Decoded::Event { time_ns: TIME_NS, event: expected });
    let header = *record.first_chunk().unwrap();
    assert_eq!(record_len(header), Some(record.len()));
}

fn mmap_body(identity: &[u8], path: &str) -> Vec<u8> {
    [&u32s(&[5, 6]), &u64s(&[0x1000, 0x2000, 0x3000]), identity, &u32s(&[5, 2]), path.as_bytes()]
        .concat()
}

#[test]
fn comm_and_exec() {
    let body = [u32s(&[5, 6]), b"worker".to_vec()].concat();
    let comm = Comm(*b"worker\0\0\0\0\0\0\0\0\0\0");
    check(&record(RECORD_COMM, 0, &body), ProcessEvent::Comm { pid: 5, tid: 6, comm });
    let exec = record(RECORD_COMM, MISC_COMM_EXEC, &body);
    check(&exec, ProcessEvent::Exec { pid: 5, tid: 6, comm });
    assert_eq!(comm.as_bytes(), b"worker");
}

#[test]
fn fork_exit_lost() {
    let body = [u32s(&[5, 1, 6, 2]), u64s(&[9])].concat();
    let fork = ProcessEvent::Fork { pid: 5, tid: 6, parent_pid: 1, parent_tid: 2 };
    check(&record(RECORD_FORK, 0, &body), fork);
    check(&record(RECORD_EXIT, 0, &body), ProcessEvent::Exit { pid: 5, tid: 6 });
    check(&record(RECORD_LOST, 0, &u64s(&[1, 42])), ProcessEvent::Lost { count: 42 });
}

#[test]
fn mmap_with_inode() {
    let identity = [u32s(&[8, 1]), u64s(&[99, 3])].concat();
    // The bit that says "build id" may be another listener's.
    for misc in [0, 1 << 14] {
        let bytes = record(RECORD_MMAP2, misc, &mmap_body(&identity, "/bin/true"));
        let Decoded::Event { event: ProcessEvent::Mmap(mmap), .. } = decode(&bytes) else {
            panic!("not a mapping")
        };
        assert_eq!((mmap.start, mmap.len, mmap.pgoff, mmap.prot), (0x1000, 0x2000, 0x3000, 5));
        assert_eq!(mmap.path.as_os_str(), "/bin/true");
        let file = FileId { major: 8, minor: 1, inode: 99, generation: 3 };
        assert_eq!(mmap.file, Some(file));
    }
}

#[test]
fn kernel_mappings_and_unknown_kinds_are_other() {
    let body = [&u32s(&[NO_PID, 0])[..], &mmap_body(&[0; 24], "x")[8..]].concat();
    assert_eq!(decode(&record(RECORD_MMAP2, 0, &body)), Decoded::Other);
    assert_eq!(decode(&record(5, 0, &[0; 24])), Decoded::Other);
}

proptest! {
    #[test]
    fn any_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        decode(&bytes);
    }

    #[test]
    fn a_record_cut_short_is_malformed_or_shorter(
        kind in prop::sample::select(vec![2u32, 3, 4, 7, 10]), misc: u16, cut in 0usize..120,
    ) {
        let whole = record(kind, misc, &mmap_body(&[7; 24], "/usr/lib/libc.so.6"));
        decode(whole.get(..cut).unwrap_or(&whole));
    }

    #[test]
    fn lengths_below_the_header_or_unaligned_are_refused(header: [u8; 8]) {
        if let Some(len) = record_len(header) {
            prop_assert!(len >= HEADER_BYTES && len % 8 == 0);
        }
    }
}
