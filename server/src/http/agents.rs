//! `/api/v1/agents`: who sends, how well it goes, and whose code is in the way.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use serde::Serialize;
use stoker_wire::{BrokenStacks, FileNames};

use super::Shared;
use super::error::ApiError;
use super::params::Params;

/// Files that are listed, of each kind; the worst.
const FILES_MAX: usize = 50;

/// One agent, as `docs/api.md` describes it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct AgentEntry {
    /// What its host calls itself.
    pub host: String,
    /// Names the host for as long as its machine id lasts.
    pub host_id: String,
    /// The agent's version.
    pub version: String,
    /// When its last batch came.
    pub last_seen_ms: u64,
    /// CPUs of the host.
    pub cpus: u32,
    /// `cycles` or `cpu-clock`.
    pub sample_source: String,
    /// Samples per second and CPU.
    pub frequency_hz: u32,
    /// Samples that its kernel took.
    pub samples_taken: u64,
    /// Samples that are in no row.
    pub samples_lost: u64,
    /// How its stacks ended.
    pub unwind: UnwindCounts,
    /// How its frames were named.
    pub names: NameCounts,
    /// Where its stacks broke; listed for all agents together.
    #[serde(skip)]
    pub broken: Vec<BrokenStacks>,
    /// Which of its files have frames without names; listed for all agents together.
    #[serde(skip)]
    pub nameless: Vec<FileNames>,
}

/// How stacks ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct UnwindCounts {
    /// At their thread's start.
    pub complete: u64,
    /// At the limit of depth.
    pub truncated: u64,
    /// Where they could not be followed.
    pub failed: u64,
}

/// Frames of files by whether they have a name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct NameCounts {
    /// Frames that got one.
    pub named: u64,
    /// Frames for which there is none.
    pub nameless: u64,
}

/// Stacks that could not be followed through one file, for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct BrokenEntry {
    file: String,
    reason: String,
    stacks: u64,
    hosts: u64,
}

/// A file of which some frames have no name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct NamelessEntry {
    file: String,
    build_id: String,
    named: u64,
    nameless: u64,
    hosts: u64,
}

#[derive(Serialize)]
pub(super) struct Agents {
    agents: Vec<AgentEntry>,
    broken: Vec<BrokenEntry>,
    nameless: Vec<NamelessEntry>,
}

pub(super) async fn agents(
    State(app): State<Shared>,
    RawQuery(raw): RawQuery,
) -> Result<Json<Agents>, ApiError> {
    Params::read(raw.as_deref())?.finish()?;
    let mut agents = app.backend.agents();
    agents.sort_by(|a, b| (&a.host, &a.host_id).cmp(&(&b.host, &b.host_id)));
    let (broken, nameless) = (broken(&agents), nameless(&agents));
    Ok(Json(Agents { agents, broken, nameless }))
}

/// What broke most stacks, over all agents.
fn broken(agents: &[AgentEntry]) -> Vec<BrokenEntry> {
    let mut sums: HashMap<_, (u64, u64)> = HashMap::new();
    for one in agents.iter().flat_map(|agent| &agent.broken) {
        let (stacks, hosts) = sums.entry((&one.file, &one.reason)).or_default();
        *stacks = stacks.saturating_add(one.stacks);
        *hosts += 1;
    }
    let entry = |((file, reason), (stacks, hosts)): ((&Arc<str>, &Arc<str>), _)| {
        let (file, reason) = (file.to_string(), reason.to_string());
        BrokenEntry { file, reason, stacks, hosts }
    };
    let mut all: Vec<_> = sums.into_iter().map(entry).collect();
    all.sort_by(|a, b| {
        b.stacks.cmp(&a.stacks).then_with(|| (&a.file, &a.reason).cmp(&(&b.file, &b.reason)))
    });
    all.truncate(FILES_MAX);
    all
}

/// The files with the most frames that have no name, over all agents.
fn nameless(agents: &[AgentEntry]) -> Vec<NamelessEntry> {
    let mut sums: HashMap<_, (u64, u64, u64)> = HashMap::new();
    for one in agents.iter().flat_map(|agent| &agent.nameless) {
        let (named, nameless, hosts) = sums.entry((&one.file, &one.build_id)).or_default();
        *named = named.saturating_add(one.named);
        *nameless = nameless.saturating_add(one.nameless);
        *hosts += 1;
    }
    let entry = |((file, build_id), (named, nameless, hosts)): ((&Arc<str>, &Arc<str>), _)| {
        let (file, build_id) = (file.to_string(), build_id.to_string());
        NamelessEntry { file, build_id, named, nameless, hosts }
    };
    let mut all: Vec<_> = sums.into_iter().map(entry).collect();
    all.sort_by(|a, b| {
        let by_name = || (&a.file, &a.build_id).cmp(&(&b.file, &b.build_id));
        b.nameless.cmp(&a.nameless).then_with(by_name)
    });
    all.truncate(FILES_MAX);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_summed_over_hosts_the_worst_first() {
        let broken_in =
            |file: &str, stacks| BrokenStacks { file: file.into(), reason: "gap".into(), stacks };
        let agent = |stacks, nameless| AgentEntry {
            broken: vec![broken_in("libfew.so", 7), broken_in("libmany.so", stacks)],
            nameless: vec![FileNames {
                file: "app".into(),
                build_id: "0c".into(),
                named: 1,
                nameless,
            }],
            ..AgentEntry::default()
        };
        let agents = [agent(10, 2), agent(20, 3)];
        let all = broken(&agents);
        let said: Vec<_> = all.iter().map(|one| (&*one.file, one.stacks, one.hosts)).collect();
        assert_eq!(said, [("libmany.so", 30, 2), ("libfew.so", 14, 2)]);
        let all = nameless(&agents);
        assert_eq!((all.len(), all[0].named, all[0].nameless, all[0].hosts), (1, 2, 5, 2));
    }
}
