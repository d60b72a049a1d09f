//! Order, completeness, and bytes that are no records.

use proptest::prelude::*;

use super::*;

/// The bytes of a sample record, as the programs write it.
fn record(time_ns: u64, user: &[u64], kernel: &[u64]) -> Vec<u8> {
    let mut bytes = time_ns.to_ne_bytes().to_vec();
    bytes.extend(11u64.to_ne_bytes());
    bytes.extend([7u32, 8, 1].iter().flat_map(|value| value.to_ne_bytes()));
    for frames in [user, kernel] {
        bytes.extend(u16::try_from(frames.len()).unwrap().to_ne_bytes());
    }
    bytes.extend([0u8; 8]);
    bytes.extend(*b"comm\0\0\0\0\0\0\0\0\0\0\0\0");
    bytes.extend(user.iter().chain(kernel).flat_map(|frame| frame.to_ne_bytes()));
    bytes
}

/// What a merger hands out up to a cutoff, as (time, user frames, kernel frames).
fn delivered(merger: &mut Merger, cutoff_ns: u64) -> Vec<(u64, Vec<u64>, Vec<u64>)> {
    let mut seen = Vec::new();
    merger.deliver(cutoff_ns, &mut |event| {
        let (user, kernel) = match event {
            KernelEvent::Sample(sample) => (sample.user.to_vec(), sample.kernel.to_vec()),
            _ => Default::default(),
        };
        seen.push((event.time_ns(), user, kernel));
    });
    seen
}

#[test]
fn holds_back_what_is_younger_than_the_cutoff() {
    let mut merger = Merger::default();
    assert_eq!(merger.push_sample(&record(30, &[1, 2], &[3])), Some(30));
    assert_eq!(merger.push_sample(&record(10, &[4], &[5, 6])), Some(10));
    merger.push_process(20, ProcessEvent::Exit { pid: 1, tid: 1 });
    let first = delivered(&mut merger, 20);
    assert_eq!(first, [(10, vec![4], vec![5, 6]), (20, vec![], vec![])]);
    assert_eq!(merger.pending_samples(), 1);
    assert_eq!(delivered(&mut merger, u64::MAX), [(30, vec![1, 2], vec![3])]);
    assert_eq!(merger.late(), 0);
}

#[test]
fn counts_what_comes_late() {
    let mut merger = Merger::default();
    merger.push_sample(&record(30, &[], &[]));
    delivered(&mut merger, 40);
    merger.push_sample(&record(29, &[], &[]));
    assert_eq!(delivered(&mut merger, 40).len(), 1);
    assert_eq!(merger.late(), 1);
}

#[test]
fn records_cut_short_are_refused() {
    let whole = record(1, &[1, 2, 3], &[4]);
    let mut merger = Merger::default();
    for len in 0..whole.len() {
        assert_eq!(merger.push_sample(&whole[..len]), None, "{len} bytes");
    }
    assert_eq!(merger.pending_samples(), 0);
}

#[test]
fn more_frames_than_a_record_holds_are_refused() {
    let mut hostile = record(1, &[0; 127], &[0; 127]);
    assert!(Merger::default().push_sample(&hostile).is_some());
    hostile[28..30].copy_from_slice(&128u16.to_ne_bytes());
    assert_eq!(Merger::default().push_sample(&hostile), None);
}

proptest! {
    #[test]
    fn any_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut merger = Merger::default();
        merger.push_sample(&bytes);
        delivered(&mut merger, u64::MAX);
    }

    #[test]
    fn everything_comes_once_and_in_order(
        times in prop::collection::vec((0u64..50, prop::collection::vec(any::<u64>(), 0..5)), 0..40),
        cutoffs in prop::collection::vec(0u64..60, 0..4),
    ) {
        let mut merger = Merger::default();
        for (time, frames) in &times {
            merger.push_sample(&record(*time, frames, &[*time]));
        }
        let mut cutoffs = cutoffs;
        cutoffs.sort_unstable();
        let mut seen = Vec::new();
        for cutoff in cutoffs.into_iter().chain([u64::MAX]) {
            seen.extend(delivered(&mut merger, cutoff));
        }
        let mut expected: Vec<_> =
            times.into_iter().map(|(time, frames)| (time, frames, vec![time])).collect();
        expected.sort_by_key(|(time, ..)| *time);
        prop_assert_eq!(seen, expected);
        prop_assert_eq!(merger.late(), 0);
    }
}
