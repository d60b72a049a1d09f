//! What a host says of itself.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::{WireError, within};
use crate::body::{BrokenStacks, CgroupUsage, FileNames, HostFacts, LostSamples};
use crate::limits;
use crate::proto;

/// Checks and takes a host's facts.
pub(super) fn facts(from: &proto::HostFacts) -> Result<HostFacts, WireError> {
    within("reasons for loss", from.lost.len(), limits::MAX_FACTS)?;
    within("control groups", from.cgroup_usage.len(), limits::MAX_FACTS)?;
    within("files in which stacks broke", from.broken.len(), limits::MAX_FACTS)?;
    within("files with nameless frames", from.nameless.len(), limits::MAX_FACTS)?;
    within("bytes of a string", from.sample_source.len(), limits::MAX_STRING_BYTES)?;
    // Reasons and paths repeat from batch to batch; sharing them is the reader's business.
    let mut shared: FxHashMap<&str, Arc<str>> = FxHashMap::default();
    let mut share = |text| Arc::clone(shared.entry(text).or_insert_with(|| text.into()));
    let lost = from.lost.iter();
    let usage = from.cgroup_usage.iter();
    let (broken, nameless) = (from.broken.iter(), from.nameless.iter());
    Ok(HostFacts {
        observed_ns: from.observed_ns,
        cpus: from.cpus,
        samples_expected: from.samples_expected,
        samples_taken: from.samples_taken,
        lost: lost.map(|l| LostSamples { reason: share(&l.reason), samples: l.samples }).collect(),
        cgroup_usage: usage
            .map(|u| CgroupUsage { path: share(&u.path), usage_usec: u.usage_usec })
            .collect(),
        sample_source: share(&from.sample_source),
        frequency_hz: from.frequency_hz,
        stacks_complete: from.stacks_complete,
        stacks_truncated: from.stacks_truncated,
        stacks_failed: from.stacks_failed,
        busy_ns: from.busy_ns,
        frames_named: from.frames_named,
        frames_nameless: from.frames_nameless,
        broken: broken
            .map(|b| BrokenStacks {
                file: share(&b.file),
                reason: share(&b.reason),
                stacks: b.stacks,
            })
            .collect(),
        nameless: nameless
            .map(|f| FileNames {
                file: share(&f.file),
                build_id: share(&f.build_id),
                named: f.named,
                nameless: f.nameless,
            })
            .collect(),
    })
}
