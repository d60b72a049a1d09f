//! Samples with call chains, from bytes alone.
//!
//! Layout: `perf_event_open(2)`, PERF_RECORD_SAMPLE with TID, TIME and CALLCHAIN. The chain is leaf
//! first, the kernel's frames before the user's, each run behind a marker (`enum
//! perf_callchain_context` in include/uapi/linux/perf_event.h).

use stoker_ebpf_abi::{FRAMES_MAX, SampleHeader, flags};

use super::super::record::{Fields, HEADER_BYTES};

const RECORD_SAMPLE: u32 = 9;
const CONTEXT_KERNEL: u64 = 128_u64.wrapping_neg();
const CONTEXT_USER: u64 = 512_u64.wrapping_neg();
/// Everything from here on is a marker.
const CONTEXT_FIRST: u64 = 4095_u64.wrapping_neg();

/// Whether a record is a sample.
pub(super) fn is_sample(record: &[u8]) -> bool {
    record.first_chunk().is_some_and(|kind| u32::from_ne_bytes(*kind) == RECORD_SAMPLE)
}

/// The header of a sample and, in `frames`, its user frames before its kernel frames. `None` where
/// the bytes are no such record.
pub(super) fn decode(
    record: &[u8],
    cpu: u32,
    frames_limit: u16,
    frames: &mut Vec<u64>,
) -> Option<SampleHeader> {
    let mut fields = Fields(record.get(HEADER_BYTES..)?);
    let (tgid, tid, time_ns) = (fields.u32()?, fields.u32()?, fields.u64()?);
    let count = usize::try_from(fields.u64()?).ok()?;
    let (chain, _) = fields.0.as_chunks::<8>();
    let chain: Vec<u64> =
        chain.get(..count)?.iter().map(|address| u64::from_ne_bytes(*address)).collect();
    let user = run(&chain, CONTEXT_USER);
    let kernel = run(&chain, CONTEXT_KERNEL);
    frames.clear();
    frames.extend_from_slice(user);
    frames.extend_from_slice(kernel);
    Some(SampleHeader {
        time_ns,
        tgid,
        tid,
        cpu,
        user_frames: u16::try_from(user.len()).ok()?,
        kernel_frames: u16::try_from(kernel.len()).ok()?,
        flags: flags(user.len(), kernel.len(), frames_limit),
        ..SampleHeader::default()
    })
}

/// The addresses behind one kind of marker, no more than a sample holds.
fn run(chain: &[u64], marker: u64) -> &[u64] {
    let Some(at) = chain.iter().position(|&address| address == marker) else { return &[] };
    let run = chain.get(at + 1..).unwrap_or_default();
    let end = run.iter().position(|&address| address >= CONTEXT_FIRST).unwrap_or(run.len());
    &run[..end.min(FRAMES_MAX)]
}

/// The kernel's limit is of both stacks together, and the user's comes last.
fn flags(user: usize, kernel: usize, limit: u16) -> u32 {
    let is_full = user + kernel >= usize::from(limit);
    match (user, is_full) {
        (0, true) => flags::USER_FAILED | flags::KERNEL_TRUNCATED,
        (0, false) => flags::USER_FAILED,
        (_, true) => flags::USER_TRUNCATED,
        (_, false) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(chain: &[u64], count: u64) -> Vec<u8> {
        let mut bytes = RECORD_SAMPLE.to_ne_bytes().to_vec();
        bytes.extend([0; 4]);
        bytes.extend(7u32.to_ne_bytes());
        bytes.extend(8u32.to_ne_bytes());
        bytes.extend(99u64.to_ne_bytes());
        bytes.extend(count.to_ne_bytes());
        bytes.extend(chain.iter().flat_map(|address| address.to_ne_bytes()));
        bytes
    }

    #[test]
    fn user_frames_come_before_kernel_frames_without_markers() {
        let mut frames = Vec::new();
        let chain = [CONTEXT_KERNEL, 10, 11, CONTEXT_USER, 1, 2, 3];
        let header = decode(&record(&chain, 7), 5, 127, &mut frames).unwrap();
        assert_eq!(frames, [1, 2, 3, 10, 11]);
        assert_eq!((header.tgid, header.tid, header.time_ns, header.cpu), (7, 8, 99, 5));
        assert_eq!((header.user_frames, header.kernel_frames, header.flags), (3, 2, 0));
    }

    #[test]
    fn full_and_missing_stacks_are_flagged() {
        let flags_of = |chain: &[u64], limit| {
            let mut frames = Vec::new();
            decode(&record(chain, chain.len() as u64), 0, limit, &mut frames).unwrap().flags
        };
        assert_eq!(flags_of(&[CONTEXT_USER, 1, 2], 2), flags::USER_TRUNCATED);
        assert_eq!(flags_of(&[], 2), flags::USER_FAILED);
        let only_kernel = flags_of(&[CONTEXT_KERNEL, 1, 2], 2);
        assert_eq!(only_kernel, flags::USER_FAILED | flags::KERNEL_TRUNCATED);
    }

    #[test]
    fn what_is_cut_or_lies_is_no_sample() {
        let mut frames = Vec::new();
        let whole = record(&[CONTEXT_USER, 1], 2);
        assert!(is_sample(&whole) && !is_sample(&[0; 8]) && !is_sample(&[]));
        for len in 0..whole.len() {
            assert_eq!(decode(&whole[..len], 0, 127, &mut frames), None, "{len}");
        }
        assert_eq!(decode(&record(&[1], u64::MAX), 0, 127, &mut frames), None);
        let many = vec![1; 4000];
        let chain = [&[CONTEXT_USER], &many[..]].concat();
        let header = decode(&record(&chain, 4001), 0, 127, &mut frames).unwrap();
        assert_eq!(usize::from(header.user_frames), FRAMES_MAX);
    }
}
