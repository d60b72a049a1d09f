//! How the samples of a selection were taken, as far as hosts said.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde::Serialize;

use crate::store::WindowFacts;

/// One way of sampling.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sampling {
    /// What samples were taken by: `cycles`, `cpu-clock`; `push` for what was pushed as a file.
    pub source: String,
    /// Samples per second and CPU; 0 where that is not known.
    pub frequency_hz: u32,
    /// How many hosts sampled like this.
    pub hosts: u64,
}

/// What hosts said of themselves.
#[derive(Debug, Default)]
pub(super) struct Hosts(FxHashMap<([u8; 16], u32), Arc<str>>);

impl Hosts {
    pub(super) fn see(&mut self, facts: &WindowFacts) {
        if facts.facts.sample_source.is_empty() {
            return;
        }
        let key = (facts.host_id, facts.facts.frequency_hz);
        self.0.entry(key).or_insert_with(|| Arc::clone(&facts.facts.sample_source));
    }

    /// In order of falling number of hosts.
    pub(super) fn sampling(&self) -> Vec<Sampling> {
        let mut hosts: BTreeMap<(&str, u32), u64> = BTreeMap::new();
        for ((_, frequency), source) in &self.0 {
            *hosts.entry((source, *frequency)).or_default() += 1;
        }
        let all = hosts.into_iter().map(|((source, frequency_hz), hosts)| Sampling {
            source: source.to_owned(),
            frequency_hz,
            hosts,
        });
        let mut all: Vec<Sampling> = all.collect();
        all.sort_by_key(|sampling| std::cmp::Reverse(sampling.hosts));
        all
    }
}
