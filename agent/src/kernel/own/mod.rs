//! Sampling single processes through perf events alone: without root, without BPF.
//!
//! Why: the kernel lets anybody sample processes of their own (`perf_event_open(2)`, the sysctl
//! `kernel.perf_event_paranoid` at 2 or below), which is what a developer at a desk needs. One event
//! per thread and CPU, inherited by all that descends from the thread; all events of a CPU share its
//! ring. Samples and process events come out as those of the [`Sampler`](super::Sampler) do.
//!
//! What is less than there: stacks by frame pointers only; at level 2 no samples while the kernel
//! works for the process; no names of threads, no cgroups.

mod sample;
mod threads;

use std::{collections::HashSet, fs, io, time::Duration};

use super::{
    cpus,
    error::KernelError,
    event::{KernelEvent, SampleSource},
    merge::Merger,
    perf::{PerfEvent, ThreadSampling},
    preflight, record,
    record::{Decoded, ProcessEvent},
    ring::Ring,
    target,
};

/// Rings, largest first. The kernel gives every user 516 KiB per CPU to lock
/// (`kernel.perf_event_mlock_kb`), which is the first and its page of control data.
const RING_BYTES: [usize; 4] = [512 << 10, 256 << 10, 128 << 10, 32 << 10];
/// How long an event is held back, so that older ones can still go before it.
const MERGE_DELAY: Duration = Duration::from_millis(10);
/// How often threads are looked for that were born while events were being opened.
const LOOKS_MAX: usize = 5;
/// Between the moment that a thread can be seen and the news of its birth.
const BIRTH_DELAY: Duration = Duration::from_millis(1);

/// When sampling begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnStart {
    /// At once.
    Now,
    /// With the next `exec` of the process.
    AtExec,
}

/// What to sample and how.
#[derive(Clone, Copy, Debug)]
pub struct OwnConfig {
    /// Samples per second of CPU time, of each thread.
    pub frequency_hz: u32,
    /// When it begins.
    pub start: OwnStart,
}

/// A running sampler. Dropping it ends all sampling.
pub struct OwnSampler {
    rings: Vec<(u32, Ring)>,
    /// Events that write to another's ring; open as long as they are to count.
    others: Vec<PerfEvent>,
    sampling: ThreadSampling,
    merger: Merger,
    is_running: bool,
    lost: u64,
    malformed: u64,
    frames: Vec<u64>,
}

impl OwnSampler {
    /// Samples all threads of the processes that `members` names, and whatever descends from them.
    /// It is asked again for those that are born meanwhile.
    ///
    /// # Errors
    /// Where the kernel does not allow it, a process is somebody else's, or there are too many
    /// threads for the limit of open files.
    pub fn start(
        config: OwnConfig,
        members: &mut dyn FnMut() -> Vec<u32>,
    ) -> Result<Self, KernelError> {
        preflight::frequency(config.frequency_hz)?;
        threads::raise_file_limit();
        let mut sampler = Self {
            rings: Vec::new(),
            others: Vec::new(),
            sampling: sampling(config),
            merger: Merger::default(),
            is_running: true,
            lost: 0,
            malformed: 0,
            frames: Vec::new(),
        };
        let cpus = cpus::online()?;
        let mut watched: HashSet<u32> = HashSet::new();
        for look in 0..LOOKS_MAX {
            let seen = threads::of(&members());
            if look > 0 {
                std::thread::sleep(BIRTH_DELAY);
            }
            sampler.read_rings(&mut |event| {
                if let ProcessEvent::Fork { tid, .. } = event {
                    watched.insert(*tid);
                }
            });
            let fresh: Vec<u32> = seen.into_iter().filter(|tid| watched.insert(*tid)).collect();
            if fresh.is_empty() {
                break;
            }
            fresh.iter().try_for_each(|&tid| sampler.watch(tid, &cpus, config.start))?;
        }
        Ok(sampler)
    }

    /// What makes the CPUs take samples.
    #[must_use]
    pub const fn source(&self) -> SampleSource {
        SampleSource::CpuClock
    }

    /// Whether time is seen that the kernel works for the processes.
    #[must_use]
    pub const fn sees_kernel_time(&self) -> bool {
        self.sampling.kernel_time
    }

    /// Hands out what has happened up to a moment ago, in time order; after [`OwnSampler::stop`],
    /// everything. To be called every 100 ms or so, before the rings are full.
    pub fn drain(&mut self, sink: &mut dyn FnMut(KernelEvent<'_>)) {
        let now_ns = now_ns();
        self.read_rings(&mut |_| {});
        let delay_ns = u64::try_from(MERGE_DELAY.as_nanos()).unwrap_or(u64::MAX);
        let cutoff_ns = if self.is_running { now_ns.saturating_sub(delay_ns) } else { u64::MAX };
        self.merger.deliver(cutoff_ns, sink);
    }

    /// Samples no more; the next drain gives all that is left.
    ///
    /// # Errors
    /// Where the kernel does not switch an event off.
    pub fn stop(&mut self) -> io::Result<()> {
        self.is_running = false;
        let first = self.rings.iter().map(|(_, ring)| ring.event());
        first.chain(&self.others).try_for_each(PerfEvent::disable)
    }

    /// Records that found a ring full: samples, as good as always.
    #[must_use]
    pub const fn lost(&self) -> u64 {
        self.lost
    }

    /// Records that made no sense.
    #[must_use]
    pub const fn malformed(&self) -> u64 {
        self.malformed
    }

    /// Opens the events of one thread, on every CPU. One that has ended meanwhile needs none.
    fn watch(&mut self, tid: u32, cpus: &[u32], start: OwnStart) -> Result<(), KernelError> {
        for &cpu in cpus {
            let event = match self.open(tid, cpu) {
                Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return Ok(()),
                opened => opened.map_err(|source| threads::refused(tid, source))?,
            };
            let failed = |doing| move |source| KernelError::Perf { doing, cpu, source };
            let ring = self.rings.iter().find(|(of, _)| *of == cpu);
            let event = match ring {
                Some((_, ring)) => {
                    event.write_to(ring.event()).map_err(failed("share the ring of samples"))?;
                    self.others.push(event);
                    self.others.last()
                }
                None => {
                    let ring = map(event).map_err(failed("map the ring of samples"))?;
                    self.rings.push((cpu, ring));
                    self.rings.last().map(|(_, ring)| ring.event())
                }
            };
            if let (OwnStart::Now, Some(event)) = (start, event) {
                event.enable().map_err(failed("start sampling"))?;
            }
        }
        Ok(())
    }

    /// Leaves the kernel's time out where the sysctl asks for that.
    fn open(&mut self, tid: u32, cpu: u32) -> io::Result<PerfEvent> {
        let opened = PerfEvent::of_thread(tid, cpu, &self.sampling);
        match opened {
            Err(error) if is_denied(&error) && self.sampling.kernel_time => {
                let less =
                    ThreadSampling { kernel_time: false, kernel_stacks: false, ..self.sampling };
                let event = PerfEvent::of_thread(tid, cpu, &less)?;
                self.sampling = less;
                Ok(event)
            }
            opened => opened,
        }
    }

    fn read_rings(&mut self, told: &mut dyn FnMut(&ProcessEvent)) {
        let Self { rings, merger, lost, malformed, frames, sampling, .. } = self;
        for (cpu, ring) in rings {
            let skipped = ring.drain(&mut |bytes| match record::decode(bytes) {
                Decoded::Event { time_ns, event } => {
                    if let ProcessEvent::Lost { count } = event {
                        *lost += count;
                    }
                    told(&event);
                    merger.push_process(time_ns, event);
                }
                Decoded::Other if sample::is_sample(bytes) => {
                    match sample::decode(bytes, *cpu, sampling.frames_limit, frames) {
                        Some(header) => merger.push_stacks(header, frames),
                        None => *malformed += 1,
                    }
                }
                Decoded::Other => {}
                Decoded::Malformed => *malformed += 1,
            });
            *malformed += u64::from(skipped > 0);
        }
    }
}

fn sampling(config: OwnConfig) -> ThreadSampling {
    ThreadSampling {
        period_ns: 1_000_000_000 / u64::from(config.frequency_hz.max(1)),
        frames_limit: u16::try_from(target::frames_limit()).unwrap_or(u16::MAX),
        kernel_time: true,
        kernel_stacks: sees_kernel_addresses(),
        from_exec: config.start == OwnStart::AtExec,
    }
}

/// Whether the kernel tells its addresses to us: else all are 0 (proc_kallsyms(5)).
fn sees_kernel_addresses() -> bool {
    let file = fs::File::open("/proc/kallsyms");
    let line = file.ok().and_then(|file| {
        let mut start = [0; 8];
        io::Read::read_exact(&mut { file }, &mut start).ok().map(|()| start)
    });
    line.is_some_and(|start| start != *b"00000000")
}

fn map(event: PerfEvent) -> io::Result<Ring> {
    let mut event = event;
    let mut failure = io::Error::from(io::ErrorKind::PermissionDenied);
    for bytes in RING_BYTES {
        match Ring::new(event, bytes) {
            Ok(ring) => return Ok(ring),
            Err((back, error)) => (event, failure) = (back, error),
        }
    }
    Err(failure)
}

fn is_denied(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EACCES | libc::EPERM))
}

/// `CLOCK_MONOTONIC`, the clock of all events.
fn now_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    seconds * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}
