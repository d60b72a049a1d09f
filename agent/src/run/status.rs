//! What the agent knows of itself, published each second for metrics and health.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stoker_unwind::Outcome;
use stoker_wire::FileNames;

use super::Tally;
use super::sampling::Off;
use crate::aggregate::QualityCounts;
use crate::guard::{Budget, Plan, Usage};
use crate::kernel::{SampleSource, SamplerStats};
use crate::process::ProcessCounters;
use crate::symbolize::SymbolizeCounters;
use crate::unwind::LoadCounters;

/// One reading of everything that the sampling thread counts.
#[derive(Debug, Clone, Default)]
pub struct AgentStatus {
    /// What makes the CPUs take samples.
    pub source: Option<SampleSource>,
    /// Samples per second and CPU now; 0 while sampling is off.
    pub frequency_hz: u32,
    /// Samples per second and CPU, as asked for.
    pub asked_hz: u32,
    /// Why sampling is off, if it is.
    pub off: Option<Off>,
    /// Samples by what became of them.
    pub tally: Tally,
    /// The kernel side's counters.
    pub sampler: SamplerStats,
    /// How far stacks could be followed.
    pub quality: QualityCounts,
    /// How user stacks ended, and what is loaded to follow them.
    pub unwind: UnwindStatus,
    /// Processes that are known.
    pub processes: usize,
    /// How addresses were resolved.
    pub process_counters: ProcessCounters,
    /// How frames were named.
    pub symbolize: SymbolizeCounters,
    /// The files with the most frames that have no name.
    pub nameless_files: Vec<FileNames>,
    /// What the agent used.
    pub usage: Usage,
    /// What it may use.
    pub budget: Budget,
    /// What follows from the two.
    pub plan: Option<Plan>,
    /// What was done to stay within the budget.
    pub guarded: Guarded,
}

/// How user stacks ended, and what is loaded to follow them.
#[derive(Debug, Clone, Default)]
pub struct UnwindStatus {
    /// Stacks by how they ended.
    pub totals: Vec<(Outcome, u64)>,
    /// Stacks with a frame that no table vouches for.
    pub guessed: u64,
    /// The files that break most stacks, the worst first.
    pub worst: Vec<(Arc<str>, Outcome, u64)>,
    /// What is loaded.
    pub loads: LoadCounters,
}

/// How often the agent had to give something up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Guarded {
    /// Times that the frequency was lowered.
    pub frequency_lowered: u64,
    /// Times that it was raised again.
    pub frequency_raised: u64,
    /// Times that naming was paused.
    pub naming_paused: u64,
    /// Times that caches were dropped.
    pub caches_dropped: u64,
    /// Times that sampling rested.
    pub rests: u64,
    /// Times that the kill switch switched sampling off.
    pub kill_switch_offs: u64,
    /// Times that settings were changed while running.
    pub reloads: u64,
}

/// A status that one thread writes and others read.
#[derive(Debug, Clone, Default)]
pub(super) struct Published(Arc<Mutex<AgentStatus>>);

impl Published {
    pub(super) fn lock(&self) -> MutexGuard<'_, AgentStatus> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
