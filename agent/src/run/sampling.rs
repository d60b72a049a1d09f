//! The kernel side, on and off, at one frequency at a time.
//!
//! Off means detached: no program is loaded and no perf event is open. When the frequency changes,
//! the moment is known, and each sample is worth the period of its own side of it.

use stoker_wire::LostSamples;

use crate::kernel::{
    KernelError, KernelEvent, SampleSource, Sampler, SamplerConfig, SamplerStats, Target,
    UnwindMaps, likely_source,
};

/// Why nobody samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Off {
    /// The kill switch says so.
    KillSwitch,
    /// Nothing less kept the agent within its budget.
    Budget,
    /// The kernel side could not be started again; it is tried anew.
    Failed,
}

impl Off {
    /// For logs, metrics and the host's facts.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::KillSwitch => "kill switch",
            Self::Budget => "over budget",
            Self::Failed => "cannot start",
        }
    }
}

/// How often to sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rate {
    /// Samples per second and CPU.
    Hz(u32),
    /// Not at all.
    Off(Off),
}

/// What another rate means for samples to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Changed {
    /// Up to this moment (`CLOCK_MONOTONIC`) they are of the old frequency.
    At(u64),
    /// There are none.
    Detached,
    /// They come from a new sampler; what happened before it is unknown.
    Attached,
}

/// The sampler, or the reason why there is none.
pub(super) struct Sampling {
    target: Target,
    unwind_bytes: u64,
    source: SampleSource,
    rate: Rate,
    sampler: Option<Sampler>,
    /// Of this sampler, at the last flush.
    before: SamplerStats,
    /// Of all samplers that are gone.
    gone: SamplerStats,
}

impl Sampling {
    pub(super) fn start(
        target: Target,
        rate: Rate,
        unwind_bytes: u64,
    ) -> Result<Self, KernelError> {
        let mut sampling = Self {
            target,
            unwind_bytes,
            source: SampleSource::CpuClock,
            rate,
            sampler: None,
            before: SamplerStats::default(),
            gone: SamplerStats::default(),
        };
        match rate {
            Rate::Hz(frequency_hz) => sampling.attach(frequency_hz)?,
            Rate::Off(_) => sampling.source = likely_source()?,
        }
        Ok(sampling)
    }

    pub(super) fn source(&self) -> SampleSource {
        self.source
    }

    pub(super) fn rate(&self) -> Rate {
        self.rate
    }

    /// Samples per second and CPU; 0 while off.
    pub(super) fn frequency_hz(&self) -> u32 {
        match self.rate {
            Rate::Hz(frequency_hz) => frequency_hz,
            Rate::Off(_) => 0,
        }
    }

    pub(super) fn off(&self) -> Option<Off> {
        match self.rate {
            Rate::Hz(_) => None,
            Rate::Off(off) => Some(off),
        }
    }

    pub(super) fn drain(&mut self, sink: &mut dyn FnMut(KernelEvent<'_>)) {
        if let Some(sampler) = &mut self.sampler {
            sampler.drain(sink);
        }
    }

    /// The maps that say how user stacks are to be unwound, while there is a sampler.
    pub(super) fn unwind_maps(&mut self) -> Option<&mut UnwindMaps> {
        self.sampler.as_mut().map(Sampler::unwind_maps)
    }

    /// Takes no more samples; the next drain gives all that were taken.
    pub(super) fn stop(&mut self) {
        let Some(sampler) = &mut self.sampler else { return };
        if let Err(error) = sampler.stop() {
            tracing::warn!(%error, "sampling could not be switched off; detaching ends it");
        }
    }

    /// Samples at `rate` from now on. To go off, [`Self::stop`] first, drain and flush.
    pub(super) fn change(&mut self, rate: Rate) -> Result<Changed, KernelError> {
        let changed = match (rate, &mut self.sampler) {
            (Rate::Off(_), _) => {
                self.detach();
                Changed::Detached
            }
            (Rate::Hz(frequency_hz), None) => {
                self.rate = Rate::Off(Off::Failed);
                self.attach(frequency_hz)?;
                Changed::Attached
            }
            (Rate::Hz(frequency_hz), Some(sampler)) => {
                match sampler.change_frequency(frequency_hz) {
                    Ok(until_ns) => Changed::At(until_ns),
                    Err(error) => {
                        self.detach();
                        self.rate = Rate::Off(Off::Failed);
                        return Err(error);
                    }
                }
            }
        };
        self.rate = rate;
        Ok(changed)
    }

    fn attach(&mut self, frequency_hz: u32) -> Result<(), KernelError> {
        let sampler = Sampler::start(&SamplerConfig {
            frequency_hz,
            target: self.target.clone(),
            unwind_bytes: self.unwind_bytes,
            ..SamplerConfig::default()
        })?;
        self.source = sampler.source();
        self.sampler = Some(sampler);
        self.before = SamplerStats::default();
        self.rate = Rate::Hz(frequency_hz);
        Ok(())
    }

    fn detach(&mut self) {
        self.gone = self.stats();
        self.before = SamplerStats::default();
        self.sampler = None;
    }

    /// All counters since the start, over all samplers.
    pub(super) fn stats(&self) -> SamplerStats {
        let now = self.sampler.as_ref().and_then(|sampler| sampler.stats().ok());
        now.map_or(self.gone, |now| self.gone.plus(&now))
    }

    /// Time that the programs ran in the kernel, and memory of their rings.
    pub(super) fn kernel_cost(&self) -> (Option<u64>, u64) {
        let sampler = self.sampler.as_ref();
        (sampler.and_then(Sampler::program_ns), sampler.map_or(0, Sampler::ring_bytes))
    }

    /// What the kernel side lost since the last call.
    pub(super) fn lost(&mut self) -> Vec<LostSamples> {
        let Some(sampler) = &self.sampler else { return Vec::new() };
        let stats = match sampler.stats() {
            Ok(stats) => stats,
            Err(error) => {
                tracing::warn!(%error, "cannot read the kernel side's counters");
                return Vec::new();
            }
        };
        let lost = [
            ("ring full", stats.lost - self.before.lost),
            ("malformed record", stats.malformed - self.before.malformed),
        ];
        self.before = stats;
        let some = lost.into_iter().filter(|(_, samples)| *samples > 0);
        some.map(|(reason, samples)| LostSamples { reason: reason.into(), samples }).collect()
    }
}
