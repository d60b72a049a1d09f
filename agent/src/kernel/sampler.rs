//! The sampler: everything in this folder, started, drained and stopped as one.

use std::os::fd::{AsFd as _, AsRawFd as _};

use aya::{Ebpf, programs::ProgramFd};
use stoker_ebpf_abi::{Config, Counters, names};

use super::{
    children::Children,
    config::{SamplerConfig, ring_bytes},
    cost::CostHistogram,
    cpus,
    error::KernelError,
    event::{KernelEvent, SampleSource, Target},
    maps::Maps,
    merge::Merger,
    object,
    perf::PerfEvent,
    preflight,
    process_events::ProcessEvents,
    stats::SamplerStats,
    target,
    unwind::{UnwindMaps, UnwindRoom},
};

/// A running sampler. Dropping it detaches everything.
pub struct Sampler {
    source: SampleSource,
    frequency_hz: u32,
    merge_delay_ns: u64,
    running: bool,
    maps: Maps,
    unwind: UnwindMaps,
    merger: Merger,
    processes: ProcessEvents,
    children: Option<Children>,
    sampling: Vec<PerfEvent>,
    delivered: u64,
    malformed: u64,
    /// Samples that earlier frequencies called for, and how long they ran.
    expected_before: u64,
    ran_before_ns: u64,
    ring_bytes: u64,
    program: ProgramFd,
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
        let unwind = u32::from(config.unwind_bytes > 0);
        let settings = Config { unwind, ..target::config(&config.target)? };
        let room = UnwindRoom::within(config.unwind_bytes);
        let cpus = cpus::online()?;
        let ring_bytes = ring_bytes(config.ring_bytes, cpus.len());
        let mut ebpf = object::load(program(config), settings.target, ring_bytes, room)?;
        let mut maps = Maps::take(&mut ebpf, settings)?;
        let unwind = UnwindMaps::take(&mut ebpf, room)?;
        let children = start_pids(config, &mut maps)?;
        let source = best_source(&cpus, config.frequency_hz)?;
        let sampling = attach(&mut ebpf, config, source, &cpus)?;
        let processes = ProcessEvents::open(&cpus)?;
        let ring_bytes = u64::from(ring_bytes) + processes.ring_bytes() + room.bytes();
        let mut sampler = Self {
            source,
            frequency_hz: config.frequency_hz,
            merge_delay_ns: u64::try_from(config.merge_delay.as_nanos()).unwrap_or(u64::MAX),
            running: false,
            maps,
            unwind,
            merger: Merger::default(),
            processes,
            children,
            sampling,
            delivered: 0,
            malformed: 0,
            expected_before: 0,
            ran_before_ns: 0,
            ring_bytes,
            program: object::program_fd(&mut ebpf, program(config))?,
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

    /// Takes no more samples until [`Sampler::resume`]; process events still flow. The next
    /// [`Sampler::drain`] hands out every sample that was taken before.
    ///
    /// # Errors
    /// Where the kernel does not switch an event off.
    pub fn pause(&mut self) -> Result<(), KernelError> {
        self.running = false;
        let failed = |source| KernelError::Perf { doing: "pause sampling", cpu: 0, source };
        self.sampling.iter().try_for_each(PerfEvent::disable).map_err(failed)
    }

    /// Samples again after [`Sampler::pause`], this often. Whoever has drained in between knows
    /// that no sample of the old frequency is still to come.
    ///
    /// # Errors
    /// Where the kernel does not allow the frequency, or does not switch an event on.
    pub fn resume(&mut self, frequency_hz: u32) -> Result<(), KernelError> {
        preflight::frequency(frequency_hz)?;
        let failed = |doing| move |source| KernelError::Perf { doing, cpu: 0, source };
        self.expected_before = self.expected()?;
        self.ran_before_ns = self.running_ns()?;
        for event in &self.sampling {
            let set = event.set_frequency(self.source, frequency_hz);
            set.map_err(failed("change the sampling frequency"))?;
        }
        self.frequency_hz = frequency_hz;
        let enabled = self.sampling.iter().try_for_each(PerfEvent::enable);
        enabled.map_err(failed("start sampling"))?;
        self.running = true;
        Ok(())
    }

    /// Samples this often from now on, with a gap of no more than some system calls. Gives the moment
    /// (`CLOCK_MONOTONIC`) up to which samples are of the old frequency.
    ///
    /// # Errors
    /// Where the kernel does not allow the frequency, or does not switch an event.
    pub fn change_frequency(&mut self, frequency_hz: u32) -> Result<u64, KernelError> {
        preflight::frequency(frequency_hz)?;
        self.pause()?;
        let until_ns = now_ns();
        self.resume(frequency_hz)?;
        Ok(until_ns)
    }

    /// Nanoseconds that the programs ran in the kernel, over all CPUs; `None` where the kernel does
    /// not count them (sysctl `kernel.bpf_stats_enabled`).
    #[must_use]
    pub fn program_ns(&self) -> Option<u64> {
        let path = format!("/proc/self/fdinfo/{}", self.program.as_fd().as_raw_fd());
        let text = std::fs::read_to_string(path).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("run_time_ns:"))?;
        line.trim().parse().ok().filter(|&ns| ns > 0)
    }

    /// The maps that say how user stacks are to be unwound.
    pub fn unwind_maps(&mut self) -> &mut UnwindMaps {
        &mut self.unwind
    }

    /// Memory of the rings that the kernel writes to, and of unwinding tables, in bytes.
    #[must_use]
    pub fn ring_bytes(&self) -> u64 {
        self.ring_bytes
    }

    /// Time that samples cost, in a measuring build; `None` in any other.
    ///
    /// # Errors
    /// Where the kernel does not give the histogram.
    pub fn cost(&self) -> Result<Option<CostHistogram>, KernelError> {
        Ok(self.maps.cost()?.map(CostHistogram::new))
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

    /// For how long the events were on, summed over CPUs.
    fn running_ns(&self) -> Result<u64, KernelError> {
        let failed = |source| KernelError::Perf { doing: "read the running time", cpu: 0, source };
        self.sampling.iter().map(PerfEvent::running_ns).sum::<Result<u64, _>>().map_err(failed)
    }

    fn expected(&self) -> Result<u64, KernelError> {
        let ran_ns = self.running_ns()?.saturating_sub(self.ran_before_ns);
        let samples = u128::from(ran_ns) * u128::from(self.frequency_hz) / 1_000_000_000;
        Ok(self.expected_before.saturating_add(u64::try_from(samples).unwrap_or(u64::MAX)))
    }
}

fn attach(
    ebpf: &mut Ebpf,
    config: &SamplerConfig,
    source: SampleSource,
    cpus: &[u32],
) -> Result<Vec<PerfEvent>, KernelError> {
    let program = object::program_fd(ebpf, program(config))?;
    let open = |&cpu| {
        let failed = |doing| move |source| KernelError::Perf { doing, cpu, source };
        let event = PerfEvent::sampling(source, cpu, config.frequency_hz)
            .map_err(failed("open the sampling event"))?;
        event.attach(program.as_fd()).map_err(failed("attach the sampling program"))?;
        Ok(event)
    };
    cpus.iter().map(open).collect()
}

fn program(config: &SamplerConfig) -> &'static str {
    if config.count_in_kernel { names::SAMPLE_COUNTED } else { names::SAMPLE }
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

/// `CLOCK_MONOTONIC`, the clock of all events.
fn now_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    seconds * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}

// The sampler is made on one thread and drained on another.
const _: () = {
    const fn sendable<T: Send>() {}
    sendable::<Sampler>();
};
