//! Where a recording's samples come from: the eBPF sampler, or perf events alone.

use super::recorder::Sight;
use super::sampling::{Rate, Sampling};
use crate::kernel::{
    DEFAULT_UNWIND_BYTES, KernelError, KernelEvent, OwnConfig, OwnSampler, OwnStart, SampleSource,
    Target, UnwindMaps,
};

/// One of the two.
pub(super) enum Taking {
    /// The agent's own way.
    Everything(Box<Sampling>),
    /// Without privileges; with what was lost up to the last question.
    Own(Box<OwnSampler>, u64),
}

impl Taking {
    pub(super) fn everything(frequency_hz: u32) -> Result<Self, KernelError> {
        let sampling = Sampling::start(Target::All, Rate::Hz(frequency_hz), DEFAULT_UNWIND_BYTES)?;
        Ok(Self::Everything(Box::new(sampling)))
    }

    pub(super) fn own(
        frequency_hz: u32,
        start: OwnStart,
        members: &mut dyn FnMut() -> Vec<u32>,
    ) -> Result<Self, KernelError> {
        let sampler = OwnSampler::start(OwnConfig { frequency_hz, start }, members)?;
        Ok(Self::Own(Box::new(sampler), 0))
    }

    pub(super) fn source(&self) -> SampleSource {
        match self {
            Self::Everything(sampling) => sampling.source(),
            Self::Own(sampler, _) => sampler.source(),
        }
    }

    pub(super) fn sight(&self) -> Sight {
        match self {
            Self::Everything(_) => Sight::All,
            Self::Own(sampler, _) if sampler.sees_kernel_time() => Sight::Own,
            Self::Own(..) => Sight::OwnUserMode,
        }
    }

    pub(super) fn drain(&mut self, sink: &mut dyn FnMut(KernelEvent<'_>)) {
        match self {
            Self::Everything(sampling) => sampling.drain(sink),
            Self::Own(sampler, _) => sampler.drain(sink),
        }
    }

    /// Takes no more samples; the next drain gives all that were taken.
    pub(super) fn stop(&mut self) {
        match self {
            Self::Everything(sampling) => sampling.stop(),
            Self::Own(sampler, _) => {
                if let Err(error) = sampler.stop() {
                    tracing::warn!(%error, "sampling could not be switched off; its end ends it");
                }
            }
        }
    }

    /// The maps that say how user stacks are to be unwound, where that happens in the kernel.
    pub(super) fn unwind_maps(&mut self) -> Option<&mut UnwindMaps> {
        match self {
            Self::Everything(sampling) => sampling.unwind_maps(),
            Self::Own(..) => None,
        }
    }

    /// What was lost since the last call.
    pub(super) fn lost(&mut self) -> u64 {
        match self {
            Self::Everything(sampling) => sampling.lost().iter().map(|lost| lost.samples).sum(),
            Self::Own(sampler, before) => {
                let now = sampler.lost() + sampler.malformed();
                now - std::mem::replace(before, now)
            }
        }
    }
}
