//! Which agents there are: what they said when they opened a stream, and what their stored batches
//! said since this server started.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use stoker_dag::UnixNanos;
use stoker_wire::HostFacts;

use super::trouble::Trouble;
use crate::store::{BatchSource, SpoolId, TenantId};

/// Agents that are remembered; past that, the one that was silent longest is forgotten.
const MAX_AGENTS: usize = 20_000;

/// What is known of one agent. Counts are of stored batches since this server started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// Host name.
    pub host: Arc<str>,
    /// Names the host for as long as its machine id lasts.
    pub host_id: [u8; 16],
    /// The agent's version.
    pub version: Arc<str>,
    /// When it last opened a stream or had a batch stored.
    pub last_seen: UnixNanos,
    /// CPUs of the host.
    pub cpus: u32,
    /// `cycles` or `cpu-clock`.
    pub sample_source: Arc<str>,
    /// Samples per second and CPU.
    pub frequency_hz: u32,
    /// Samples that were taken.
    pub samples_taken: u64,
    /// Samples that were taken and are in no row.
    pub samples_lost: u64,
    /// How unwinding went.
    pub unwind: Unwind,
    /// Where it failed, and what has no names.
    pub trouble: Trouble,
}

/// How stacks were followed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unwind {
    /// To their end.
    pub complete: u64,
    /// As deep as the limit.
    pub truncated: u64,
    /// Not at all, or not far.
    pub failed: u64,
}

/// All agents, shared between ingest and whoever shows them.
#[derive(Debug, Clone, Default)]
pub struct Agents(Arc<RwLock<BTreeMap<(TenantId, SpoolId), Agent>>>);

impl Agents {
    /// A tenant's agents, in order of host name.
    #[must_use]
    pub fn list(&self, tenant: &TenantId) -> Vec<Agent> {
        let held = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let of_tenant = held.iter().filter(|((of, _), _)| of == tenant);
        let mut agents: Vec<Agent> = of_tenant.map(|(_, agent)| agent.clone()).collect();
        agents.sort_by(|a, b| (&a.host, a.host_id).cmp(&(&b.host, b.host_id)));
        agents
    }

    /// An agent opened a stream.
    pub(super) fn hello(
        &self,
        tenant: &TenantId,
        source: &BatchSource,
        version: &str,
        now: UnixNanos,
    ) {
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let agent = held.entry((tenant.clone(), source.spool_id)).or_insert_with(|| Agent {
            host: "".into(),
            host_id: source.host_id,
            version: "".into(),
            last_seen: now,
            cpus: 0,
            sample_source: "".into(),
            frequency_hz: 0,
            samples_taken: 0,
            samples_lost: 0,
            unwind: Unwind::default(),
            trouble: Trouble::default(),
        });
        agent.host = Arc::clone(&source.host_name);
        agent.host_id = source.host_id;
        agent.version = version.into();
        agent.last_seen = now;
        if held.len() > MAX_AGENTS {
            let oldest = held.iter().min_by_key(|(_, agent)| agent.last_seen);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                held.remove(&oldest);
            }
        }
    }

    /// A batch of an agent was stored.
    pub(super) fn stored(
        &self,
        tenant: &TenantId,
        spool: SpoolId,
        facts: &HostFacts,
        now: UnixNanos,
    ) {
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let Some(agent) = held.get_mut(&(tenant.clone(), spool)) else { return };
        agent.last_seen = now;
        if facts.cpus != 0 {
            agent.cpus = facts.cpus;
        }
        // An agent that is off says so with a source and no frequency.
        if !facts.sample_source.is_empty() {
            agent.frequency_hz = facts.frequency_hz;
        }
        if !facts.sample_source.is_empty() {
            agent.sample_source = Arc::clone(&facts.sample_source);
        }
        let lost = facts.lost.iter().fold(0u64, |sum, lost| sum.saturating_add(lost.samples));
        for (held, more) in [
            (&mut agent.samples_taken, facts.samples_taken),
            (&mut agent.samples_lost, lost),
            (&mut agent.unwind.complete, facts.stacks_complete),
            (&mut agent.unwind.truncated, facts.stacks_truncated),
            (&mut agent.unwind.failed, facts.stacks_failed),
        ] {
            *held = held.saturating_add(more);
        }
        agent.trouble.add(facts);
    }
}
