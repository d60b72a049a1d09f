//! Time is cut into windows; a flush may touch two of them, and late samples an older one.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use stoker_dag::{ProfileType, SampleRow, UnixNanos, WINDOW_NS};
use stoker_wire::{BrokenStacks, CgroupUsage, Details, HostFacts, LostSamples, RowGroup};

use super::details::{Moments, Place, RowKey};
use crate::symbolize::NamingNews;

/// A half-open stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval {
    /// First moment.
    pub from: UnixNanos,
    /// First moment after it.
    pub until: UnixNanos,
}

impl Interval {
    /// The interval cut at window edges, oldest first.
    pub(super) fn by_window(self) -> impl Iterator<Item = Self> {
        let mut at = self.from;
        std::iter::from_fn(move || {
            let edge = UnixNanos(at.window_start().0 + WINDOW_NS);
            let piece = Self { from: at, until: edge.min(self.until) };
            at = edge;
            (piece.from < piece.until).then_some(piece)
        })
    }

    /// Its length in nanoseconds.
    #[must_use]
    pub const fn ns(self) -> u64 {
        self.until.0.saturating_sub(self.from.0)
    }
}

/// What the host says of the time since the last flush.
#[derive(Debug, Clone, Default)]
pub struct FlushFacts {
    /// CPUs that were online.
    pub cpus: u32,
    /// Samples per second and CPU; 0 while sampling is off.
    pub frequency_hz: u32,
    /// `cycles` or `cpu-clock`; `off (…)` with the reason while sampling is off.
    pub sample_source: std::sync::Arc<str>,
    /// Samples that were taken and are in no row, since the last flush.
    pub lost: Vec<LostSamples>,
    /// CPU time that control groups used since the last flush.
    pub cgroup_usage: Vec<CgroupUsage>,
    /// CPU time that the whole host spent since the last flush, in nanoseconds.
    pub busy_ns: u64,
    /// Where stacks broke since the last flush.
    pub broken: Vec<BrokenStacks>,
    /// What became of frames on their way to a name since the last flush.
    pub names: NamingNews,
}

/// What is counted in one window and not yet flushed.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// By the period that samples were taken at: hardly ever more than one.
    rows: BTreeMap<u64, FxHashMap<RowKey, u64>>,
    /// Likewise, where samples are told one by one.
    moments: BTreeMap<u64, Moments>,
    quality: QualityCounts,
}

/// How far stacks could be followed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QualityCounts {
    /// To their thread's start, as far as the walk can tell.
    pub complete: u64,
    /// To the limit of depth.
    pub truncated: u64,
    /// Not at all, or into what is not known.
    pub failed: u64,
}

impl QualityCounts {
    /// All stacks.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.complete + self.truncated + self.failed
    }

    pub(super) fn add(&mut self, quality: super::StackQuality) {
        match quality {
            super::StackQuality::Complete => self.complete += 1,
            super::StackQuality::Truncated => self.truncated += 1,
            super::StackQuality::Failed => self.failed += 1,
        }
    }
}

impl Counts {
    pub(super) fn add(&mut self, period_ns: u64, key: RowKey, quality: super::StackQuality) {
        let rows = self.rows.entry(period_ns).or_default();
        *rows.entry(key).or_default() += 1;
        self.quality.add(quality);
    }

    pub(super) fn add_moment(&mut self, period_ns: u64, key: RowKey, at: UnixNanos, place: Place) {
        self.moments.entry(period_ns).or_default().add(key, at, place);
    }

    /// The samples of [`Self::row_groups`] one by one, as far as they were kept so.
    pub(super) fn details(&self, groups: &[RowGroup]) -> Vec<Details> {
        let of_group = |(group, of): (usize, &RowGroup)| {
            let moments = self.moments.get(&of.period)?;
            Some(Details { group, samples: moments.of(&of.rows) })
        };
        groups.iter().enumerate().filter_map(of_group).collect()
    }

    pub(super) fn samples(&self) -> u64 {
        self.rows.values().flat_map(FxHashMap::values).sum()
    }

    /// A group for each period, so that each sample is worth what it was taken at; an empty one at
    /// `period_ns` where there are no samples.
    pub(super) fn row_groups(&self, period_ns: u64) -> Vec<RowGroup> {
        if self.rows.is_empty() {
            return vec![Self::row_group(period_ns, &FxHashMap::default())];
        }
        self.rows.iter().map(|(&period_ns, rows)| Self::row_group(period_ns, rows)).collect()
    }

    fn row_group(period_ns: u64, rows: &FxHashMap<RowKey, u64>) -> RowGroup {
        let row = |(&(series, attributes, node), &count): (&RowKey, &u64)| SampleRow {
            series,
            attributes,
            node,
            value: count * period_ns,
            count,
        };
        let mut rows: Vec<SampleRow> = rows.iter().map(row).collect();
        rows.sort_unstable_by_key(|row| (row.series, row.attributes, row.node));
        RowGroup { profile_type: ProfileType::cpu(), period: period_ns, rows }
    }

    /// Facts of this window alone; those of the whole flush are added to the newest.
    pub(super) fn facts(&self, observed: Option<Interval>, flush: &FlushFacts) -> HostFacts {
        // Time in which nobody sampled was not observed.
        let observed = observed.filter(|_| flush.frequency_hz > 0);
        let observed_ns = observed.map_or(0, Interval::ns);
        let cpu_ns = observed_ns.saturating_mul(u64::from(flush.cpus));
        let expected = u128::from(cpu_ns) * u128::from(flush.frequency_hz) / 1_000_000_000;
        HostFacts {
            observed_ns,
            cpus: flush.cpus,
            samples_expected: u64::try_from(expected).unwrap_or(u64::MAX),
            samples_taken: self.samples(),
            sample_source: flush.sample_source.clone(),
            frequency_hz: flush.frequency_hz,
            stacks_complete: self.quality.complete,
            stacks_truncated: self.quality.truncated,
            stacks_failed: self.quality.failed,
            ..HostFacts::default()
        }
    }
}

/// Windows that were touched since the last flush: those with samples and those that time passed.
pub(super) fn touched(
    counts: &mut BTreeMap<UnixNanos, Counts>,
    interval: Interval,
) -> BTreeMap<UnixNanos, (Counts, Option<Interval>)> {
    let mut all: BTreeMap<_, _> =
        std::mem::take(counts).into_iter().map(|(window, held)| (window, (held, None))).collect();
    for piece in interval.by_window() {
        all.entry(piece.from.window_start()).or_default().1 = Some(piece);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_cut_at_window_edges() {
        let seconds = |from: u64, until: u64| Interval {
            from: UnixNanos(from * 1_000_000_000),
            until: UnixNanos(until * 1_000_000_000),
        };
        let cut: Vec<Interval> = seconds(7, 25).by_window().collect();
        assert_eq!(cut, [seconds(7, 10), seconds(10, 20), seconds(20, 25)]);
        assert_eq!(seconds(10, 20).by_window().collect::<Vec<_>>(), [seconds(10, 20)]);
        assert_eq!(seconds(10, 10).by_window().count(), 0);
        assert_eq!(seconds(12, 10).by_window().count(), 0);
    }
}
