//! The sample record: a fixed header, then the user frames, then the kernel frames.
//!
//! Records have variable length because most stacks are short: a record of 30 frames takes 296 of
//! the 2,088 bytes that the longest takes. Frames are instruction pointers, leaf first; all but the
//! first are return addresses.

use crate::{COMM_LEN, FRAMES_MAX};

/// Bits of [`SampleHeader::flags`].
pub mod flags {
    /// The user stack could not be read; the sample holds no user frames.
    pub const USER_FAILED: u32 = 1 << 0;
    /// The user stack reached the limit and may go on.
    pub const USER_TRUNCATED: u32 = 1 << 1;
    /// The kernel stack could not be read; the sample holds no kernel frames.
    pub const KERNEL_FAILED: u32 = 1 << 2;
    /// The kernel stack reached the limit and may go on.
    pub const KERNEL_TRUNCATED: u32 = 1 << 3;
}

/// The fixed start of a sample record.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SampleHeader {
    /// When the sample was taken, `CLOCK_MONOTONIC`.
    pub time_ns: u64,
    /// Id of the task's cgroup (version 2).
    pub cgroup_id: u64,
    /// Process id, as the initial pid namespace sees it.
    pub tgid: u32,
    /// Thread id, as the initial pid namespace sees it.
    pub tid: u32,
    /// Number of the CPU.
    pub cpu: u32,
    /// How many user frames follow.
    pub user_frames: u16,
    /// How many kernel frames follow the user frames.
    pub kernel_frames: u16,
    /// Bits of [`flags`].
    pub flags: u32,
    /// What became of the user stack: see [`SampleHeader::outcome`] and [`SampleHeader::guessed`].
    pub unwind: u32,
    /// The thread's name, padded with zeros.
    pub comm: [u8; COMM_LEN],
}

/// Longest record.
pub(crate) const RECORD_BYTES_MAX: usize = SampleHeader::BYTES + 2 * FRAMES_MAX * 8;

const _: () = assert!(size_of::<SampleHeader>() == SampleHeader::BYTES);
const _: () = assert!(SampleHeader::BYTES.is_multiple_of(8));
const _: () = assert!(align_of::<SampleHeader>() == 8);

impl SampleHeader {
    /// Size of the header, without padding.
    pub const BYTES: usize = 56;

    /// The word for what became of the user stack.
    #[must_use]
    #[inline]
    pub const fn unwind_word(outcome: u8, guessed: u8) -> u32 {
        outcome as u32 | (guessed as u32) << 8
    }

    /// The code of the unwinder's outcome.
    #[must_use]
    pub const fn outcome(&self) -> u8 {
        self.unwind.to_ne_bytes()[if cfg!(target_endian = "little") { 0 } else { 3 }]
    }

    /// The code of the reason for which a frame was guessed; 0 where none was.
    #[must_use]
    pub const fn guessed(&self) -> u8 {
        self.unwind.to_ne_bytes()[if cfg!(target_endian = "little") { 1 } else { 2 }]
    }

    /// Reads a header from the start of a record; `None` where the record is too short for it or
    /// names more frames than a record can hold.
    #[must_use]
    pub fn read(record: &[u8]) -> Option<Self> {
        let mut fields = Fields(record);
        let header = Self {
            time_ns: u64::from_ne_bytes(fields.take()?),
            cgroup_id: u64::from_ne_bytes(fields.take()?),
            tgid: u32::from_ne_bytes(fields.take()?),
            tid: u32::from_ne_bytes(fields.take()?),
            cpu: u32::from_ne_bytes(fields.take()?),
            user_frames: u16::from_ne_bytes(fields.take()?),
            kernel_frames: u16::from_ne_bytes(fields.take()?),
            flags: u32::from_ne_bytes(fields.take()?),
            unwind: u32::from_ne_bytes(fields.take()?),
            comm: fields.take()?,
        };
        let counts = [header.user_frames, header.kernel_frames];
        counts.iter().all(|&n| usize::from(n) <= FRAMES_MAX).then_some(header)
    }
}

/// Fixed-size fields, taken from the front.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }
}
