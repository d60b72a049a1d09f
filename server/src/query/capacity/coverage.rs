//! What hosts say of themselves, beside what was profiled on them.

use std::collections::BTreeMap;

use stoker_dag::{LabelSet, SampleRow};
use stoker_wire::Dictionary;

use super::CapacityStep;
use crate::query::Engine;
use crate::query::error::QueryError;
use crate::query::groups::Groups;
use crate::query::sink::{Sink, SummedStacks};
use crate::store::{Level, ReplicateGroup, WindowFacts, WindowRows};

/// Host time and CPU time of each step.
pub(super) struct Coverage {
    step: CapacityStep,
    groups: Groups,
    /// By start of the step.
    pub(super) steps: BTreeMap<u64, Covered>,
}

/// One step.
#[derive(Debug, Default)]
pub(super) struct Covered {
    /// CPU time in profiles, in nanoseconds.
    pub(super) profiled_ns: u128,
    /// CPU time that hosts report.
    pub(super) busy_ns: u128,
    /// How long hosts were observed, by replicate group.
    pub(super) observed_ns: BTreeMap<ReplicateGroup, u128>,
}

impl Coverage {
    pub(super) fn new(engine: Engine<'_>, step: CapacityStep) -> Self {
        Self { step, groups: Groups::new(engine.parts.tenant()), steps: BTreeMap::new() }
    }
}

impl Sink for Coverage {
    fn class(&mut self, _: &LabelSet, _: &LabelSet) -> Result<u32, QueryError> {
        Ok(0)
    }

    fn level(&mut self, level: Level) {
        self.groups.level(level);
    }

    fn takes_sums(&self) -> bool {
        true
    }

    fn summed(&mut self, _: &Dictionary, stacks: SummedStacks<'_>, _: u32) {
        let held = self.steps.entry(self.step.bucket(stacks.window)).or_default();
        let values = stacks.values.iter().map(|value| u128::from(*value));
        held.profiled_ns += values.sum::<u128>();
    }

    fn row(&mut self, _: &Dictionary, window: &WindowRows, row: &SampleRow, _: u32) {
        let held = self.steps.entry(self.step.bucket(window.window)).or_default();
        held.profiled_ns += u128::from(row.value);
    }

    fn fact(&mut self, facts: &WindowFacts) {
        let group = self.groups.of_facts(facts);
        let held = self.steps.entry(self.step.bucket(facts.window)).or_default();
        held.busy_ns += u128::from(facts.facts.busy_ns);
        *held.observed_ns.entry(group).or_default() += u128::from(facts.facts.observed_ns);
    }
}
