//! Samples of a recording one by one, by thread.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use stoker_dag::{NodeIx, UnixNanos};
use stoker_wire::{BatchBody, Dictionary, ThreadId};

/// Samples of a recording that are kept one by one, 24 bytes each: an hour and a half of two busy CPUs at
/// 99 Hz. What comes beyond is counted in the profile and has no moment.
const MAX_MOMENTS: usize = 1 << 20;

/// The attribute that names a thread.
const NAME: &str = "comm";

/// One sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// When it was taken.
    pub at: UnixNanos,
    /// What it is worth, in nanoseconds; the profile has it in `node`.
    pub value: u64,
    /// Its stack in the recording's profile.
    pub node: NodeIx,
}

/// What one thread did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ThreadMoments {
    /// Its number.
    pub thread: ThreadId,
    /// Its name; the one that most of its samples have, where it took several.
    pub name: Arc<str>,
    /// Its samples, in no order.
    pub moments: Vec<Moment>,
}

/// Samples by thread, while they come.
#[derive(Debug, Default)]
pub(super) struct Moments {
    threads: FxHashMap<ThreadId, Thread>,
    kept: usize,
}

#[derive(Debug, Default)]
struct Thread {
    /// Samples under each name that it had.
    names: FxHashMap<Arc<str>, u64>,
    moments: Vec<Moment>,
}

impl Moments {
    /// Adds the samples of a batch that are told one by one, as far as there is room; `carry` says where
    /// a node of the dictionary stands in the profile.
    pub(super) fn add(
        &mut self,
        dictionary: &Dictionary,
        body: &BatchBody,
        mut carry: impl FnMut(NodeIx) -> NodeIx,
    ) {
        let window = body.start.window_start().0;
        for details in &body.details {
            let group = &body.rows[details.group];
            for sample in details.samples.iter().take(MAX_MOMENTS - self.kept) {
                let row = group.rows[sample.row as usize];
                let thread = self.threads.entry(sample.thread).or_default();
                thread.count(dictionary.labels.get(row.attributes).get(NAME));
                thread.moments.push(Moment {
                    at: UnixNanos(window + u64::from(sample.offset_us) * 1000),
                    value: group.period,
                    node: carry(row.node),
                });
            }
            self.kept = MAX_MOMENTS.min(self.kept + details.samples.len());
        }
    }

    /// By thread, in order of its number.
    pub(super) fn finish(self) -> Vec<ThreadMoments> {
        let of = |(thread, held): (ThreadId, Thread)| ThreadMoments {
            thread,
            name: held.name(),
            moments: held.moments,
        };
        let mut threads: Vec<ThreadMoments> = self.threads.into_iter().map(of).collect();
        threads.sort_unstable_by_key(|of| of.thread);
        threads
    }
}

impl Thread {
    fn count(&mut self, name: &str) {
        if let Some(count) = self.names.get_mut(name) {
            *count += 1;
        } else {
            self.names.insert(name.into(), 1);
        }
    }

    fn name(&self) -> Arc<str> {
        let most = self.names.iter().max_by_key(|(name, count)| (**count, Arc::clone(name)));
        most.map(|(name, _)| Arc::clone(name)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use stoker_dag::{LabelSet, ProfileType, SampleRow};
    use stoker_wire::{CpuId, DetailedSample, Details, RowGroup};

    use super::*;

    #[test]
    fn a_thread_has_its_samples_and_the_name_that_most_of_them_have() {
        let mut dictionary = Dictionary::default();
        let mut row = |name: &str, node: u32, count: u64| SampleRow {
            series: stoker_dag::LabelIx::default(),
            attributes: dictionary.labels.intern(&LabelSet::new([("comm", name)])),
            node: NodeIx(node),
            value: 10 * count,
            count,
        };
        let rows = vec![row("sh", 1, 1), row("burn", 1, 2), row("burn", 2, 2)];
        let group = RowGroup { profile_type: ProfileType::cpu(), period: 10, rows };
        let sample = |offset_us, thread, row| DetailedSample {
            cpu: CpuId(0),
            offset_us,
            thread: ThreadId(thread),
            row,
        };
        let samples = vec![sample(1, 7, 0), sample(2, 7, 1), sample(3, 7, 2), sample(4, 5, 1)];
        let body = BatchBody {
            start: UnixNanos(20_000_000_123),
            rows: vec![group],
            details: vec![Details { group: 0, samples }],
            ..BatchBody::default()
        };
        let mut moments = Moments::default();
        moments.add(&dictionary, &body, |node| NodeIx(node.0 + 10));
        let moment =
            |us: u64, node| Moment { at: UnixNanos(20_000_000_000 + us * 1000), value: 10, node };
        let [five, seven] = moments.finish().try_into().unwrap();
        assert_eq!((five.thread, &*five.name), (ThreadId(5), "burn"));
        assert_eq!(five.moments, [moment(4, NodeIx(11))]);
        assert_eq!((seven.thread, &*seven.name), (ThreadId(7), "burn"));
        let wanted = [moment(1, NodeIx(11)), moment(2, NodeIx(11)), moment(3, NodeIx(12))];
        assert_eq!(seven.moments, wanted);
    }

    #[test]
    fn what_is_beyond_the_bound_has_no_moment() {
        let mut moments = Moments { kept: MAX_MOMENTS - 1, ..Moments::default() };
        let none = stoker_dag::LabelIx::default();
        let row =
            SampleRow { series: none, attributes: none, node: NodeIx(1), value: 20, count: 2 };
        let group = RowGroup { profile_type: ProfileType::cpu(), period: 10, rows: vec![row] };
        let thread = ThreadId(1);
        let sample = |offset_us| DetailedSample { cpu: CpuId(0), offset_us, thread, row: 0 };
        let body = BatchBody {
            rows: vec![group],
            details: vec![Details { group: 0, samples: vec![sample(1), sample(2)] }],
            ..BatchBody::default()
        };
        for _ in 0..2 {
            moments.add(&Dictionary::default(), &body, |node| node);
        }
        assert_eq!(moments.finish()[0].moments.len(), 1);
    }
}
