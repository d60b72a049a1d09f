//! One stream in time order, out of rings that each have their own.
//!
//! Records reach a ring a moment after the time that they carry, and the rings are read one after
//! the other; so what was read is held back until nothing older can still turn up, which the caller
//! expresses as a cutoff. What comes later than that all the same is delivered late, and counted.

use stoker_ebpf_abi::SampleHeader;
use stoker_unwind::Outcome;

use super::{
    event::{Comm, KernelEvent, Sample, SampleFlags},
    record::ProcessEvent,
};

/// Events on hold.
#[derive(Default)]
pub struct Merger {
    pending: Vec<Pending>,
    /// Stacks of the pending samples, one after the other.
    frames: Vec<u64>,
    /// Room that `compact` uses over and over.
    spare: Vec<u64>,
    delivered_until_ns: u64,
    late: u64,
}

struct Pending {
    time_ns: u64,
    what: What,
}

enum What {
    Process(ProcessEvent),
    Sample { header: SampleHeader, frames_at: usize },
}

impl Merger {
    /// Takes in a process event.
    pub fn push_process(&mut self, time_ns: u64, event: ProcessEvent) {
        self.pending.push(Pending { time_ns, what: What::Process(event) });
    }

    /// Takes in a sample record as the kernel wrote it; gives its time, or `None` where the bytes
    /// are no such record.
    pub fn push_sample(&mut self, record: &[u8]) -> Option<u64> {
        let header = SampleHeader::read(record)?;
        let count = usize::from(header.user_frames) + usize::from(header.kernel_frames);
        let frames = record.get(SampleHeader::BYTES..)?;
        let (frames, _) = frames.as_chunks::<8>();
        let frames = frames.get(..count)?;
        let frames_at = self.frames.len();
        self.frames.extend(frames.iter().map(|bytes| u64::from_ne_bytes(*bytes)));
        let time_ns = header.time_ns;
        self.pending.push(Pending { time_ns, what: What::Sample { header, frames_at } });
        Some(time_ns)
    }

    /// Takes in a sample: user frames, then kernel frames, as many of each as the header says.
    pub fn push_stacks(&mut self, header: SampleHeader, frames: &[u64]) {
        let frames_at = self.frames.len();
        self.frames.extend_from_slice(frames);
        let what = What::Sample { header, frames_at };
        self.pending.push(Pending { time_ns: header.time_ns, what });
    }

    /// Hands out, oldest first, what is not younger than `cutoff_ns`. Process events go before
    /// samples of the same nanosecond where they were pushed before them.
    pub fn deliver(&mut self, cutoff_ns: u64, sink: &mut dyn FnMut(KernelEvent<'_>)) {
        self.pending.sort_by_key(|pending| pending.time_ns);
        let ready = self.pending.partition_point(|pending| pending.time_ns <= cutoff_ns);
        for pending in self.pending.drain(..ready) {
            self.late += u64::from(pending.time_ns < self.delivered_until_ns);
            self.delivered_until_ns = self.delivered_until_ns.max(pending.time_ns);
            match pending.what {
                What::Process(event) => sink(event.public(pending.time_ns)),
                What::Sample { header, frames_at } => {
                    sink(KernelEvent::Sample(sample(&header, &self.frames, frames_at)));
                }
            }
        }
        self.compact();
    }

    /// Samples on hold.
    pub fn pending_samples(&self) -> u64 {
        let samples = self.pending.iter().filter(|held| matches!(held.what, What::Sample { .. }));
        u64::try_from(samples.count()).unwrap_or(u64::MAX)
    }

    /// Events that were delivered after younger ones.
    pub fn late(&self) -> u64 {
        self.late
    }

    /// Drops the stacks of samples that are gone.
    fn compact(&mut self) {
        let mut kept = std::mem::take(&mut self.spare);
        for pending in &mut self.pending {
            if let What::Sample { header, frames_at } = &mut pending.what {
                let len = usize::from(header.user_frames) + usize::from(header.kernel_frames);
                let from = *frames_at;
                *frames_at = kept.len();
                kept.extend_from_slice(self.frames.get(from..from + len).unwrap_or_default());
            }
        }
        std::mem::swap(&mut self.frames, &mut kept);
        kept.clear();
        self.spare = kept;
    }
}

fn sample<'a>(header: &SampleHeader, frames: &'a [u64], at: usize) -> Sample<'a> {
    let user_end = at + usize::from(header.user_frames);
    let kernel_end = user_end + usize::from(header.kernel_frames);
    Sample {
        time_ns: header.time_ns,
        cgroup_id: header.cgroup_id,
        pid: header.tgid,
        tid: header.tid,
        cpu: header.cpu,
        comm: Comm(header.comm),
        flags: SampleFlags(header.flags),
        outcome: Outcome::from_code(header.outcome()).unwrap_or(Outcome::Broken),
        guessed: header.guessed() != 0,
        user: frames.get(at..user_end).unwrap_or_default(),
        kernel: frames.get(user_end..kernel_end).unwrap_or_default(),
    }
}

#[cfg(test)]
#[path = "merge_tests.rs"]
mod tests;
