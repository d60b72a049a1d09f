//! The sampler: everything in this folder, started, drained and stopped as one.

use std::time::Duration;

use aya::Ebpf;
use stoker_ebpf_abi::{COST_BUCKET_SHIFT, COST_BUCKETS, Counters, names};

use super::{
    children::Children,
    cpus,
    error::KernelError,
    event::{KernelEvent, SampleSource, Target},
    maps::Maps,
    merge::Merger,
    object,
    perf::PerfEvent,
    preflight,
    process_events::ProcessEvents,
    target,
};

/// What to sample and how.
#[derive(Clone, Debug)]
pub struct SamplerConfig {
    /// Samples per second on each CPU.
    pub frequency_hz: u32,
    /// Whom to sample.
    pub target: Target,
    /// With a pid target: sample the children of its processes too, and theirs. A child's samples
    /// from before the next drain are not taken.
    pub follow_children: bool,
    /// Memory for samples between two drains, rounded up to a power of two; `None` for 256 KiB per
    /// CPU, between 1 and 16 MiB.
    pub ring_bytes: Option<u32>,
    /// How long an event is held back, so that older ones can still go before it.
    pub merge_delay: Duration,
    /// Count stacks in the kernel instead of sending them; needs a measuring build.
    #[doc(hidden)]
    pub count_in_kernel: bool,
}

impl Default for SamplerConfig {
    fn default() -> Self {
        Self {
            frequency_hz: 19,
            target: Target::All,
            follow_children: true,
            ring_bytes: None,
            merge_delay: Duration::from_millis(10),
            count_in_kernel: false,
        }
    }
}

/// What became of the samples since the start.
///
/// `fired = taken + lost + filtered + idle`, and `taken = delivered + pending + malformed` once the
/// rings have been drained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SamplerStats {
    /// Samples that the CPUs' running time called for: CPUs × seconds × frequency. More than fired
    /// where a CPU's timer came late, or stood still while idle (hardware cycles).
    pub expected: u64,
    /// Times that the program ran.
    pub fired: u64,
    /// Samples put into the ring.
    pub taken: u64,
    /// Samples that found the ring full.
    pub lost: u64,
    /// Samples of tasks outside the target.
    pub filtered: u64,
    /// Samples of the idle task.
    pub idle: u64,
    /// Of taken and lost: samples whose user stack could not be read.
    pub user_stack_failed: u64,
    /// Samples handed to the sink of [`Sampler::drain`].
    pub delivered: u64,
    /// Samples held back until the next drain.
    pub pending: u64,
    /// Sample records that made no sense.
    pub malformed: u64,
    /// Process events that found a ring full.
    pub process_events_lost: u64,
    /// Process event records that made no sense.
    pub process_events_malformed: u64,
    /// Events delivered after younger ones.
    pub late: u64,
    /// Children of a pid target that could not be added because it was full.
    pub children_missed: u64,
}

/// A running sampler. Dropping it detaches everything.
pub struct Sampler {
    source: SampleSource,
    frequency_hz: u32,
    merge_delay_ns: u64,
    running: bool,
    maps: Maps,
    merger: Merger,
    processes: ProcessEvents,
    children: Option<Children>,
    sampling: Vec<PerfEvent>,
    delivered: u64,
    malformed: u64,
    /// Keeps the programs loaded.
    _ebpf: Ebpf,
}

impl Sampler {
    /// Loads the programs and starts sampling on every online CPU.
    ///
    /// Process events flow before the first sample does; mappings older than that are for the
    /// caller to read from `/proc` once this returns.
    ///
    /// # Errors
    /// Where something is in the way; then nothing is left running.
    pub fn start(config: &SamplerConfig) -> Result<Self, KernelError> {
        preflight::require()?;
        preflight::frequency(config.frequency_hz)?;
        let settings = target::config(&config.target)?;
        let cpus = cpus::online()?;
        let mut ebpf = object::load(settings.target, ring_bytes(config.ring_bytes, cpus.len()))?;
        let mut maps = Maps::take(&mut ebpf, settings)?;
        let children = start_pids(config, &mut maps)?;
        let source = best_source(&cpus, config.frequency_hz)?;
        let sampling = attach(&mut ebpf, config, source, &cpus)?;
        let processes = ProcessEvents::open(&cpus)?;
        let mut sampler = Self {
            source,
            frequency_hz: config.frequency_hz,
            merge_delay_ns: u64::try_from(config.merge_delay.as_nanos()).unwrap_or(u64::MAX),
            running: false,
            maps,
            merger: Merger::default(),
            processes,
            children,
            sampling,
            delivered: 0,
            malformed: 0,
            _ebpf: ebpf,
        };
        sampler.switch_on(&cpus)?;
        Ok(sampler)
    }

    /// What makes the CPUs take samples here.
    #[must_use]
    pub fn source(&self) -> SampleSource {
        self.source
    }

    /// Samples per second on each CPU, as asked for.
    #[must_use]
    pub fn frequency_hz(&self) -> u32 {
        self.frequency_hz
    }

    /// Number of CPUs that are sampled.
    #[must_use]
    pub fn cpus(&self) -> usize {
        self.sampling.len()
    }

    /// Hands out what has happened up to a moment ago (`SamplerConfig::merge_delay`), in time order.
    /// After [`Sampler::stop`], everything. Returns the number of samples handed out.
    ///
    /// Nothing wakes the caller: call it every 100 ms or so, before the rings are full.
    pub fn drain(&mut self, sink: &mut dyn FnMut(KernelEvent<'_>)) -> u64 {
        let now_ns = now_ns();
        self.read_samples(now_ns);
        self.processes.drain(&mut self.merger);
        let cutoff_ns =
            if self.running { now_ns.saturating_sub(self.merge_delay_ns) } else { u64::MAX };
        let samples = self.deliver(cutoff_ns, sink);
        self.delivered += samples;
        samples
    }

    /// What became of the samples so far.
    ///
    /// # Errors
    /// Where the kernel does not give its counters.
    pub fn stats(&self) -> Result<SamplerStats, KernelError> {
        let Counters { fired, taken, lost, filtered, idle, user_failed } = self.maps.counters()?;
        Ok(SamplerStats {
            expected: self.expected()?,
            fired,
            taken,
            lost,
            filtered,
            idle,
            user_stack_failed: user_failed,
            delivered: self.delivered,
            pending: self.merger.pending_samples(),
            malformed: self.malformed,
            process_events_lost: self.processes.lost(),
            process_events_malformed: self.processes.malformed(),
            late: self.merger.late(),
            children_missed: self.children.as_ref().map_or(0, Children::missed),
        })
    }

    /// Samples one more process.
    ///
    /// # Errors
    /// Where this sampler has no pid target, or it is full.
    pub fn add_pid(&mut self, pid: u32) -> Result<(), KernelError> {
        let children = self.children.as_mut().ok_or(KernelError::NotByPid)?;
        children.add(pid, &mut self.maps)
    }

    /// Samples one process less; true if it was sampled.
    ///
    /// # Errors
    /// Where this sampler has no pid target.
    pub fn remove_pid(&mut self, pid: u32) -> Result<bool, KernelError> {
        self.children.as_ref().ok_or(KernelError::NotByPid)?;
        Ok(self.maps.remove_pid(pid))
    }

    /// Stops sampling. The counters stay, and [`Sampler::drain`] then gives all that is left.
    ///
    /// # Errors
    /// Where the kernel does not switch an event off.
    pub fn stop(&mut self) -> Result<(), KernelError> {
        self.running = false;
        let failed = |source| KernelError::Perf { doing: "stop sampling", cpu: 0, source };
        self.sampling.iter().try_for_each(PerfEvent::disable).map_err(failed)?;
        self.processes.disable().map_err(failed)
    }

    /// Time that samples cost, in a measuring build; `None` in any other.
    ///
    /// # Errors
    /// Where the kernel does not give the histogram.
    pub fn cost(&self) -> Result<Option<CostHistogram>, KernelError> {
        Ok(self.maps.cost()?.map(|buckets| CostHistogram { buckets }))
    }

    fn switch_on(&mut self, cpus: &[u32]) -> Result<(), KernelError> {
        let failed = |doing, cpu| move |source| KernelError::Perf { doing, cpu, source };
        self.processes.enable().map_err(failed("watch processes", 0))?;
        for (event, &cpu) in self.sampling.iter().zip(cpus) {
            event.enable().map_err(failed("start sampling", cpu))?;
        }
        self.running = true;
        Ok(())
    }

    fn read_samples(&mut self, now_ns: u64) {
        let Self { maps, merger, malformed, .. } = self;
        maps.drain_samples(&mut |record| {
            let time_ns = merger.push_sample(record);
            *malformed += u64::from(time_ns.is_none());
            // What is taken while draining waits for the next time, so that this one ends.
            time_ns.is_none_or(|time_ns| time_ns <= now_ns)
        });
    }

    fn deliver(&mut self, cutoff_ns: u64, sink: &mut dyn FnMut(KernelEvent<'_>)) -> u64 {
        let Self { maps, merger, children, .. } = self;
        let mut samples = 0;
        merger.deliver(cutoff_ns, &mut |event| {
            samples += u64::from(matches!(event, KernelEvent::Sample(_)));
            if let Some(children) = children {
                children.watch(&event, maps);
            }
            sink(event);
        });
        if let Some(children) = children {
            children.forget_gone(maps);
        }
        samples
    }

    fn expected(&self) -> Result<u64, KernelError> {
        let failed = |source| KernelError::Perf { doing: "read the running time", cpu: 0, source };
        let running_ns = self.sampling.iter().map(PerfEvent::running_ns);
        let total_ns = running_ns.sum::<Result<u64, _>>().map_err(failed)?;
        let samples = u128::from(total_ns) * u128::from(self.frequency_hz) / 1_000_000_000;
        Ok(u64::try_from(samples).unwrap_or(u64::MAX))
    }
}

/// How long samples took in the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CostHistogram {
    buckets: Vec<u64>,
}

impl CostHistogram {
    /// Number of samples.
    #[must_use]
    pub fn samples(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// The duration in nanoseconds that `percent` of the samples stay at or below, to the width of
    /// a bucket (32 ns); `None` where there are no samples, or it lies above what the histogram
    /// tells apart.
    #[must_use]
    pub fn percentile_ns(&self, percent: u32) -> Option<u64> {
        let rank = (self.samples() * u64::from(percent.min(100))).div_ceil(100).max(1);
        let mut seen = 0;
        let bucket = self.buckets.iter().position(|&count| {
            seen += count;
            seen >= rank
        })?;
        let upper = u64::try_from(bucket + 1).ok()?;
        (bucket + 1 < COST_BUCKETS).then_some(upper << COST_BUCKET_SHIFT)
    }
}

fn attach(
    ebpf: &mut Ebpf,
    config: &SamplerConfig,
    source: SampleSource,
    cpus: &[u32],
) -> Result<Vec<PerfEvent>, KernelError> {
    let program = if config.count_in_kernel { object::load_counting(ebpf)? } else { names::SAMPLE };
    object::with_program(ebpf, program, |program| {
        let open = |&cpu| {
            let failed = |doing| move |source| KernelError::Perf { doing, cpu, source };
            let event = PerfEvent::sampling(source, cpu, config.frequency_hz)
                .map_err(failed("open the sampling event"))?;
            event.attach(program).map_err(failed("attach the sampling program"))?;
            Ok(event)
        };
        cpus.iter().map(open).collect()
    })
}

fn best_source(cpus: &[u32], frequency_hz: u32) -> Result<SampleSource, KernelError> {
    preflight::best_source(cpus.first().copied().unwrap_or(0), frequency_hz)
}

fn start_pids(config: &SamplerConfig, maps: &mut Maps) -> Result<Option<Children>, KernelError> {
    let Target::Pids(pids) = &config.target else { return Ok(None) };
    let mut children = Children::new(config.follow_children);
    pids.iter().try_for_each(|&pid| children.add(pid, maps))?;
    Ok(Some(children))
}

/// Size of the sample ring: as asked or by the number of CPUs, a power of two within the bounds.
fn ring_bytes(asked: Option<u32>, cpus: usize) -> u32 {
    const PER_CPU: u32 = 256 << 10;
    const MIN: u32 = 1 << 20;
    const MAX: u32 = 16 << 20;
    const ASKED_MIN: u32 = 64 << 10;
    const ASKED_MAX: u32 = 256 << 20;
    match asked {
        Some(bytes) => bytes.clamp(ASKED_MIN, ASKED_MAX).next_power_of_two(),
        None => {
            let cpus = u32::try_from(cpus).unwrap_or(u32::MAX);
            PER_CPU.saturating_mul(cpus).clamp(MIN, MAX).next_power_of_two()
        }
    }
}

/// `CLOCK_MONOTONIC`, the clock of all events.
fn now_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    seconds * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}

#[cfg(test)]
#[path = "sampler_tests.rs"]
mod tests;
