//! What summing up by the hour takes from rows and facts: the host and every label that rollups do
//! not keep. A host becomes its replicate group.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rustc_hash::FxHashMap;
use stoker_dag::{LabelIx, LabelSet, SampleRow, UnixNanos};
use stoker_wire::{Dictionary, HostFacts, LostSamples};

use super::api::{TenantId, WindowFacts};
use super::level::HOUR_NS;
use super::replicate::ReplicateGroup;

/// Labels that every rollup keeps, where rows have them; `--rollup-labels` adds to them.
pub const ROLLUP_KEYS: [&str; 7] =
    ["service_name", "version", "namespace", "cpu_model", "instance_type", "zone", "region"];
/// The label that names hosts.
pub const HOST: &str = "host";

/// The groups of hosts, by name, whose ids are known.
pub type Hosts = BTreeMap<Arc<str>, ReplicateGroup>;

/// Takes labels away.
#[derive(Debug, Clone)]
pub struct Reduce {
    tenant: TenantId,
    keys: BTreeSet<Arc<str>>,
    /// Hosts of the segment at hand whose ids are known.
    hosts: Arc<Hosts>,
    /// What pairs of the dictionary at hand become.
    pairs: FxHashMap<(LabelIx, LabelIx), (LabelIx, LabelIx)>,
    /// What was taken away.
    pub dropped: BTreeSet<Arc<str>>,
}

impl Reduce {
    /// For rows of a tenant; keeps [`ROLLUP_KEYS`] and `more`.
    pub fn new(tenant: &TenantId, more: &[Arc<str>]) -> Self {
        let keys = ROLLUP_KEYS.iter().map(|key| Arc::<str>::from(*key)).chain(more.iter().cloned());
        Self {
            tenant: tenant.clone(),
            keys: keys.collect(),
            hosts: Arc::default(),
            pairs: FxHashMap::default(),
            dropped: BTreeSet::new(),
        }
    }

    /// A segment begins, whose hosts are known.
    pub fn enter(&mut self, hosts: &Arc<Hosts>) {
        self.hosts = Arc::clone(hosts);
        self.enter_dictionary();
    }

    /// Another dictionary of the segment begins.
    pub fn enter_dictionary(&mut self) {
        self.pairs.clear();
    }

    /// Facts say which ids belong to names of hosts.
    pub fn hosts(&self, facts: &[WindowFacts]) -> Hosts {
        let mut hosts = Hosts::new();
        for held in facts {
            let group = ReplicateGroup::of_host(&self.tenant, &held.host_id);
            // Of two hosts of one name one stands for both, whatever the order.
            let known = hosts.entry(Arc::clone(&held.host_name)).or_insert(group);
            *known = group.min(*known);
        }
        hosts
    }

    /// Series and attributes of a row in `to`.
    pub fn pair(
        &mut self,
        row: &SampleRow,
        from: &Dictionary,
        to: &mut Dictionary,
    ) -> (LabelIx, LabelIx) {
        let key = (row.series, row.attributes);
        if let Some(known) = self.pairs.get(&key) {
            return *known;
        }
        let sets = (from.labels.get(row.series), from.labels.get(row.attributes));
        let (series, attributes) = self.reduced(sets.0, sets.1);
        let pair = (to.labels.intern(&series), to.labels.intern(&attributes));
        self.pairs.insert(key, pair);
        pair
    }

    fn reduced(&mut self, series: &LabelSet, attributes: &LabelSet) -> (LabelSet, LabelSet) {
        let mut kept: BTreeMap<Arc<str>, Arc<str>> = BTreeMap::new();
        // A series' own label counts more than an attribute of its name.
        for (name, value) in attributes.iter().chain(series.iter()) {
            if self.keys.contains(name) {
                kept.insert(Arc::clone(name), Arc::clone(value));
            } else if !self.dropped.contains(name) {
                self.dropped.insert(Arc::clone(name));
            }
        }
        let host = match series.get(HOST) {
            "" => attributes.get(HOST),
            host => host,
        };
        let known = self.hosts.get(host).copied();
        let group = known.unwrap_or_else(|| ReplicateGroup::of_name(&self.tenant, host));
        (LabelSet::new(kept), group.attributes())
    }

    /// The facts of a replicate group and hour that one batch's become.
    pub fn facts(&self, held: &WindowFacts) -> WindowFacts {
        let group = ReplicateGroup::of_host(&self.tenant, &held.host_id);
        WindowFacts {
            window: hour(held.window),
            host_id: group.host_id(),
            host_name: Arc::default(),
            facts: held.facts.clone(),
        }
    }
}

/// The hour that a window lies in.
pub fn hour(window: UnixNanos) -> UnixNanos {
    UnixNanos(window.0 / HOUR_NS * HOUR_NS)
}

/// Facts of groups, one for each window and group. What cannot be summed (CPUs, the sampling source)
/// and what is told of single control groups and files is left out.
pub fn summed(facts: Vec<WindowFacts>) -> Vec<WindowFacts> {
    let mut all: BTreeMap<(UnixNanos, [u8; 16]), HostFacts> = BTreeMap::new();
    for held in facts {
        add(all.entry((held.window, held.host_id)).or_default(), &held.facts);
    }
    let facts = all.into_iter().map(|((window, host_id), facts)| WindowFacts {
        window,
        host_id,
        host_name: Arc::default(),
        facts,
    });
    facts.collect()
}

fn add(sum: &mut HostFacts, more: &HostFacts) {
    for (held, value) in [
        (&mut sum.observed_ns, more.observed_ns),
        (&mut sum.samples_expected, more.samples_expected),
        (&mut sum.samples_taken, more.samples_taken),
        (&mut sum.stacks_complete, more.stacks_complete),
        (&mut sum.stacks_truncated, more.stacks_truncated),
        (&mut sum.stacks_failed, more.stacks_failed),
        (&mut sum.busy_ns, more.busy_ns),
        (&mut sum.frames_named, more.frames_named),
        (&mut sum.frames_nameless, more.frames_nameless),
    ] {
        *held = held.saturating_add(value);
    }
    for lost in &more.lost {
        match sum.lost.iter_mut().find(|held| held.reason == lost.reason) {
            Some(held) => held.samples = held.samples.saturating_add(lost.samples),
            None => sum.lost.push(LostSamples { ..lost.clone() }),
        }
    }
    sum.lost.sort_by(|a, b| a.reason.cmp(&b.reason));
}
