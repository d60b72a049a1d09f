//! From readings to a plan: how often to sample, whether to make names, what to drop.

use super::cpu_share::CpuShare;
use super::memory::MemoryWatch;
use super::naming_allowance::NamingAllowance;
use super::{Budget, Usage};

/// How long the agent must have been calm before it samples more often again.
const PATIENCE_NS: u64 = 15_000_000_000;
/// The longest that this grows when going back up was too early.
const PATIENCE_MAX_NS: u64 = 300_000_000_000;
/// Calm means this part of the budget: twice the frequency costs at most twice as much.
const CALM_PART: u64 = 2;
/// Too much again so soon after going back up: that was too early.
const TOO_EARLY_NS: u64 = 60_000_000_000;
/// How long sampling rests when nothing else helps, the first time and at most.
const REST_NS: u64 = 30_000_000_000;
const REST_MAX_NS: u64 = 600_000_000_000;

/// How many times the frequency is halved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FrequencyStep(pub u32);

impl FrequencyStep {
    /// The frequency at this step; never below 1 Hz.
    #[must_use]
    pub fn of(self, asked_hz: u32) -> u32 {
        asked_hz.checked_shr(self.0).unwrap_or(0).max(1)
    }

    fn is_last_of(self, asked_hz: u32) -> bool {
        self.of(asked_hz) == 1
    }
}

/// What to do until the next reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// How often to sample.
    pub step: FrequencyStep,
    /// Whether names may be made.
    pub naming: bool,
    /// Whether not to sample at all, because nothing else helped.
    pub rest: bool,
    /// Drop what is only convenient, now.
    pub drop_caches: bool,
}

/// Decides. Feed it a reading each second.
#[derive(Debug)]
pub struct Governor {
    budget: Budget,
    asked_hz: u32,
    step: FrequencyStep,
    share: CpuShare,
    naming: NamingAllowance,
    memory: MemoryWatch,
    calm_since_ns: Option<u64>,
    patience_ns: u64,
    went_up_ns: Option<u64>,
    rest_until_ns: Option<u64>,
    rest_ns: u64,
}

impl Governor {
    /// Holds `budget` for an agent that is asked to sample at `asked_hz`.
    #[must_use]
    pub fn new(budget: Budget, asked_hz: u32) -> Self {
        Self {
            budget,
            asked_hz,
            step: FrequencyStep::default(),
            share: CpuShare::default(),
            naming: NamingAllowance::default(),
            memory: MemoryWatch::default(),
            calm_since_ns: None,
            patience_ns: PATIENCE_NS,
            went_up_ns: None,
            rest_until_ns: None,
            rest_ns: REST_NS,
        }
    }

    /// The budget.
    #[must_use]
    pub fn budget(&self) -> Budget {
        self.budget
    }

    /// What to do, as of monotonic time `now_ns`.
    pub fn decide(&mut self, now_ns: u64, usage: &Usage) -> Plan {
        let memory = self.memory.read(&self.budget, now_ns, usage.memory_bytes());
        let budget = self.budget.cpu_ns_per_second();
        let affordable = self.naming.read(budget, now_ns, usage.cpu_ns());
        if self.rest_until_ns.is_some_and(|until| now_ns >= until) {
            self.rest_until_ns = None;
            self.changed();
        }
        if let Some((share, budget)) = self.share.read(now_ns, usage.sampling_ns()).zip(budget) {
            self.judge(now_ns, share, budget);
        }
        if budget.is_none() {
            self.step = FrequencyStep::default();
        }
        if memory.hopeless {
            self.rest(now_ns);
        }
        Plan {
            step: self.step,
            naming: affordable && !memory.tight && self.rest_until_ns.is_none(),
            rest: self.rest_until_ns.is_some(),
            drop_caches: memory.relieve,
        }
    }

    fn judge(&mut self, now_ns: u64, share: u64, budget: u64) {
        if self.rest_until_ns.is_some() {
            return;
        }
        if share > budget {
            self.down(now_ns);
        } else if share <= budget / CALM_PART {
            let calm_ns = now_ns - *self.calm_since_ns.get_or_insert(now_ns);
            if calm_ns >= self.patience_ns {
                self.up(now_ns);
            }
        } else {
            self.calm_since_ns = None;
        }
    }

    fn down(&mut self, now_ns: u64) {
        let early = self.went_up_ns.take().is_some_and(|up| now_ns - up < TOO_EARLY_NS);
        if early {
            self.patience_ns = (self.patience_ns * 2).min(PATIENCE_MAX_NS);
        }
        if self.step.is_last_of(self.asked_hz) {
            self.rest(now_ns);
        } else {
            self.step.0 += 1;
        }
        self.changed();
    }

    fn up(&mut self, now_ns: u64) {
        if self.step.0 == 0 {
            (self.patience_ns, self.rest_ns) = (PATIENCE_NS, REST_NS);
            return;
        }
        self.step.0 -= 1;
        self.went_up_ns = Some(now_ns);
        self.changed();
    }

    fn rest(&mut self, now_ns: u64) {
        self.rest_until_ns = Some(now_ns + self.rest_ns);
        self.rest_ns = (self.rest_ns * 2).min(REST_MAX_NS);
        self.changed();
    }

    /// What was measured before the change says nothing about after it.
    fn changed(&mut self) {
        self.share.restart();
        self.calm_since_ns = None;
    }
}

#[cfg(test)]
#[path = "governor_tests.rs"]
mod tests;
