//! A batch as both sides work with it: rows and facts over a dictionary of dense tables.

use std::sync::Arc;

use stoker_dag::{
    Definition, FrameIx, FrameTable, LabelTable, ModuleMap, NodeTable, ProfileType, SampleRow,
    UnixNanos,
};

use crate::details::Details;

/// What rows refer to.
#[derive(Debug, Clone, Default)]
pub struct Dictionary {
    /// Distinct frames.
    pub frames: FrameTable,
    /// Distinct stacks.
    pub nodes: NodeTable,
    /// Distinct series and attribute sets.
    pub labels: LabelTable,
    /// What is known of builds.
    pub modules: ModuleMap,
}

/// One batch over some [`Dictionary`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BatchBody {
    /// Half of the dedup key; counts up from 1 per spool.
    pub sequence: u64,
    /// When the batch begins; it lies within one window.
    pub start: UnixNanos,
    /// How long it is.
    pub duration_ns: u64,
    /// What was learned of frames.
    pub definitions: Vec<(FrameIx, Definition)>,
    /// Sample rows by profile type.
    pub rows: Vec<RowGroup>,
    /// Of some groups, samples one by one; in order of group.
    pub details: Vec<Details>,
    /// What the host says of the time covered.
    pub facts: HostFacts,
}

/// Rows of one profile type, taken at one period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowGroup {
    /// What values count.
    pub profile_type: ProfileType,
    /// What one sample is worth, 0 where samples differ in worth.
    pub period: u64,
    /// In order of (series, attributes, node).
    pub rows: Vec<SampleRow>,
}

/// What a host says of the time that a batch covers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostFacts {
    /// Host time covered, in nanoseconds.
    pub observed_ns: u64,
    /// CPUs that were online.
    pub cpus: u32,
    /// Samples that the frequency would give if every CPU were busy.
    pub samples_expected: u64,
    /// Samples that the kernel took.
    pub samples_taken: u64,
    /// Samples that were taken and are in no row.
    pub lost: Vec<LostSamples>,
    /// CPU time that control groups say they used.
    pub cgroup_usage: Vec<CgroupUsage>,
    /// `cycles` or `cpu-clock`.
    pub sample_source: Arc<str>,
    /// Samples per second and CPU.
    pub frequency_hz: u32,
    /// Stacks that were followed to their end.
    pub stacks_complete: u64,
    /// Stacks deeper than the limit.
    pub stacks_truncated: u64,
    /// Stacks that could not be followed.
    pub stacks_failed: u64,
    /// CPU time that the whole host spent, in nanoseconds.
    pub busy_ns: u64,
    /// Frames that got a name since the facts before.
    pub frames_named: u64,
    /// Frames for which there is none, since the facts before.
    pub frames_nameless: u64,
    /// Where stacks broke and why, since the facts before.
    pub broken: Vec<BrokenStacks>,
    /// Files of which some frames have no name, since the facts before.
    pub nameless: Vec<FileNames>,
}

/// User stacks that could not be followed through one file's code, for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokenStacks {
    /// The file; empty for code without one.
    pub file: Arc<str>,
    /// Why.
    pub reason: Arc<str>,
    /// How many.
    pub stacks: u64,
}

/// How frames of one file were named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileNames {
    /// What its frames are filed under.
    pub file: Arc<str>,
    /// Which build it is, in hexadecimal; empty for files that are not told apart.
    pub build_id: Arc<str>,
    /// Frames that got a name.
    pub named: u64,
    /// Frames for which there is none.
    pub nameless: u64,
}

/// Samples that were lost for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostSamples {
    /// Why.
    pub reason: Arc<str>,
    /// How many.
    pub samples: u64,
}

/// CPU time that a control group says it used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CgroupUsage {
    /// Its path.
    pub path: Arc<str>,
    /// In microseconds.
    pub usage_usec: u64,
}

impl BatchBody {
    /// The number of samples in all rows.
    #[must_use]
    pub fn samples(&self) -> u64 {
        let rows = self.rows.iter().flat_map(|group| &group.rows);
        rows.fold(0, |sum, row| sum.saturating_add(row.count))
    }

    /// The number of rows.
    #[must_use]
    pub fn row_count(&self) -> usize {
        self.rows.iter().map(|group| group.rows.len()).sum()
    }
}
