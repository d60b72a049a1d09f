//! What a host says of itself.

use crate::body::{BrokenStacks, FileNames, HostFacts};
use crate::proto;

pub(super) fn facts(facts: &HostFacts) -> proto::HostFacts {
    let lost = facts.lost.iter();
    let usage = facts.cgroup_usage.iter();
    proto::HostFacts {
        observed_ns: facts.observed_ns,
        cpus: facts.cpus,
        samples_expected: facts.samples_expected,
        samples_taken: facts.samples_taken,
        lost: lost
            .map(|l| proto::Lost { reason: l.reason.to_string(), samples: l.samples })
            .collect(),
        cgroup_usage: usage
            .map(|u| proto::CgroupUsage { path: u.path.to_string(), usage_usec: u.usage_usec })
            .collect(),
        sample_source: facts.sample_source.to_string(),
        frequency_hz: facts.frequency_hz,
        stacks_complete: facts.stacks_complete,
        stacks_truncated: facts.stacks_truncated,
        stacks_failed: facts.stacks_failed,
        busy_ns: facts.busy_ns,
        frames_named: facts.frames_named,
        frames_nameless: facts.frames_nameless,
        broken: facts.broken.iter().map(broken).collect(),
        nameless: facts.nameless.iter().map(nameless).collect(),
    }
}

fn broken(of: &BrokenStacks) -> proto::BrokenStacks {
    let (file, reason) = (of.file.to_string(), of.reason.to_string());
    proto::BrokenStacks { file, reason, stacks: of.stacks }
}

fn nameless(of: &FileNames) -> proto::FileNames {
    let (file, build_id) = (of.file.to_string(), of.build_id.to_string());
    proto::FileNames { file, build_id, named: of.named, nameless: of.nameless }
}
