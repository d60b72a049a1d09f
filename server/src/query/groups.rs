//! The replicate groups of rows and facts, the same whether they come from raw data, where hosts have
//! ids and names, or from rollups, which have groups only.

use std::collections::BTreeMap;
use std::sync::Arc;

use stoker_dag::LabelSet;

use super::selector::value_of;
use crate::store::{Level, ReplicateGroup, TenantId, WindowFacts};

/// The label that names hosts.
pub(super) const HOST: &str = "host";

/// Knows groups of hosts by name, once facts of theirs were seen.
#[derive(Debug)]
pub(super) struct Groups {
    tenant: TenantId,
    level: Level,
    hosts: BTreeMap<Arc<str>, ReplicateGroup>,
}

impl Groups {
    pub(super) fn new(tenant: TenantId) -> Self {
        Self { tenant, level: Level::Raw, hosts: BTreeMap::new() }
    }

    /// What comes next is of this level.
    pub(super) fn level(&mut self, level: Level) {
        self.level = level;
    }

    /// The group of the host that says this; its rows come later.
    pub(super) fn of_facts(&mut self, facts: &WindowFacts) -> ReplicateGroup {
        if self.level != Level::Raw {
            return ReplicateGroup::of_number(facts.host_id[0]);
        }
        let group = ReplicateGroup::of_host(&self.tenant, &facts.host_id);
        let known = self.hosts.entry(Arc::clone(&facts.host_name)).or_insert(group);
        // Of two hosts of one name one stands for both, whatever the order.
        *known = group.min(*known);
        *known
    }

    /// The group of a row.
    pub(super) fn of_row(&self, series: &LabelSet, attributes: &LabelSet) -> ReplicateGroup {
        if let Some(group) = ReplicateGroup::of_attributes(attributes) {
            return group;
        }
        let host = value_of(HOST, series, attributes);
        let known = self.hosts.get(host).copied();
        known.unwrap_or_else(|| ReplicateGroup::of_name(&self.tenant, host))
    }
}
