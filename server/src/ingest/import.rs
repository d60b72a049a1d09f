//! A file that somebody else wrote, as batches: what `/api/v1/push` stores.
//!
//! A profile does not say when within its duration a sample was taken, so its samples are spread
//! evenly over it (`ingest::spread`). A large file becomes several batches, cut by rows and so always
//! in the same places: a push that broke off in the middle goes on where it ended.

use rustc_hash::FxHashSet;
use stoker_dag::{
    DefinitionMap, FrameIx, LabelIx, LabelSet, NodeIx, ProfileType, SampleRow, UnixNanos,
};
use stoker_formats::{Imported, ImportedProfile, ImportedRow, ProfileKind};
use stoker_wire::{BatchBody, Dictionary, HostFacts, RowGroup};

use super::spread::{MAX_HELD, Parts};

/// Rows of one batch; with stacks of the usual depth it stays far below the limit of a batch.
const MAX_BATCH_ROWS: usize = 16 << 10;
/// What facts say of where the samples come from.
const SOURCE: &str = "push";

/// Batches over a dictionary of their own.
#[derive(Debug)]
pub struct ImportedBatches {
    /// What rows refer to.
    pub dictionary: Dictionary,
    /// In order of sequence, from 1 on; at least one.
    pub bodies: Vec<BatchBody>,
    /// The types that are in them.
    pub stored: Vec<ProfileType>,
    /// The types that are not, with the reason.
    pub skipped: Vec<(ProfileType, &'static str)>,
}

impl ImportedBatches {
    /// Samples and rows of all batches.
    #[must_use]
    pub fn size(&self) -> (u64, u64) {
        let samples = self.bodies.iter().map(BatchBody::samples).sum();
        let rows = self.bodies.iter().map(|body| body.row_count() as u64).sum();
        (samples, rows)
    }
}

/// Cuts a file into batches from `start` on, spread over `length_ns`; every row carries the labels of
/// `series`.
#[must_use]
pub fn batches(
    imported: Imported,
    series: &LabelSet,
    start: UnixNanos,
    length_ns: u64,
) -> ImportedBatches {
    let mut dictionary = Dictionary {
        frames: imported.frames,
        nodes: imported.nodes,
        labels: imported.attributes,
        modules: imported.modules,
    };
    let series = dictionary.labels.intern(series);
    let rows: usize = imported.profiles.iter().map(|profile| profile.rows.len()).sum();
    let parts = Parts::of(start, length_ns, rows);
    let (mut groups, mut stored, mut skipped) = (Vec::new(), Vec::new(), Vec::new());
    for profile in imported.profiles {
        if profile.kind == ProfileKind::Cumulative {
            skipped.push((profile.profile_type, CUMULATIVE));
            continue;
        }
        let profile_type = profile.profile_type.clone();
        if profile_type.is_gauge() && profile.total() > MAX_HELD {
            skipped.push((profile_type, "values too large to be kept as value × seconds"));
            continue;
        }
        for (window, rows) in parts.spread(sorted_rows(&profile, series), profile_type.is_gauge()) {
            for chunk in rows.chunks(MAX_BATCH_ROWS) {
                let (profile_type, rows) = (profile_type.clone(), chunk.to_vec());
                groups.push((window, RowGroup { profile_type, period: 0, rows }));
            }
        }
        stored.push(profile_type);
    }
    let bodies = bodies(&dictionary, &imported.definitions, groups, start);
    ImportedBatches { dictionary, bodies, stored, skipped }
}

/// Why counts since the start of a process are not stored: a file alone does not say from which other
/// it goes on, and values since a start that nobody knows belong to no range of time.
const CUMULATIVE: &str = "counts since the start of the process, and one file alone does not say what \
                          was new in it";

fn sorted_rows(profile: &ImportedProfile, series: LabelIx) -> Vec<SampleRow> {
    let row = |row: &ImportedRow| SampleRow {
        series,
        attributes: row.attributes,
        node: row.node,
        value: row.value,
        count: row.count,
    };
    let mut rows: Vec<SampleRow> = profile.rows.iter().map(row).collect();
    rows.sort_by_key(|row| (row.series, row.attributes, row.node));
    rows
}

fn bodies(
    dictionary: &Dictionary,
    definitions: &DefinitionMap,
    groups: Vec<(UnixNanos, RowGroup)>,
    start: UnixNanos,
) -> Vec<BatchBody> {
    let mut told =
        Told { dictionary, definitions, nodes: FxHashSet::default(), frames: FxHashSet::default() };
    // A file without rows is a batch without rows, so that it too counts once.
    let groups: Vec<(UnixNanos, Vec<RowGroup>)> = if groups.is_empty() {
        vec![(start, Vec::new())]
    } else {
        groups.into_iter().map(|(window, group)| (window, vec![group])).collect()
    };
    let body = |(sequence, (start, rows)): (u64, (UnixNanos, Vec<RowGroup>))| {
        let facts = HostFacts {
            sample_source: SOURCE.into(),
            samples_taken: rows.iter().flat_map(|group| &group.rows).map(|row| row.count).sum(),
            ..HostFacts::default()
        };
        let definitions = told.news(&rows);
        BatchBody { sequence, start, definitions, rows, facts, ..BatchBody::default() }
    };
    (1u64..).zip(groups).map(body).collect()
}

/// What earlier batches have said of frames.
struct Told<'a> {
    dictionary: &'a Dictionary,
    definitions: &'a DefinitionMap,
    nodes: FxHashSet<NodeIx>,
    frames: FxHashSet<FrameIx>,
}

impl Told<'_> {
    /// What is known of frames that stand in these rows for the first time.
    fn news(&mut self, groups: &[RowGroup]) -> Vec<(FrameIx, stoker_dag::Definition)> {
        let mut news = Vec::new();
        for row in groups.iter().flat_map(|group| &group.rows) {
            let mut node = row.node;
            while let Some(frame) = self.dictionary.nodes.frame(node)
                && self.nodes.insert(node)
            {
                if self.frames.insert(frame)
                    && let Some(held) = self.definitions.get(&self.dictionary.frames.id(frame))
                {
                    news.push((frame, held.clone()));
                }
                node = self.dictionary.nodes.parent(node);
            }
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use stoker_formats::{ReadOptions, read};

    use super::*;

    #[test]
    fn every_row_is_in_one_batch_and_the_cut_is_always_the_same() {
        let lines: Vec<String> =
            (1..=40_000u64).map(|n| format!("main;f{};g{n} {n}\n", n % 7)).collect();
        let imported = || read(lines.concat().as_bytes(), &ReadOptions::default()).unwrap();
        let series = LabelSet::new([("service_name", "api")]);
        let made = batches(imported(), &series, UnixNanos(5), 1);
        assert_eq!(made.bodies.len(), 3);
        assert_eq!(made.size().1, 40_000);
        let values = made.bodies.iter().flat_map(|body| &body.rows).flat_map(|group| &group.rows);
        assert_eq!(values.map(|row| row.value).sum::<u64>(), 40_000 * 40_001 / 2);
        assert_eq!(made.bodies, batches(imported(), &series, UnixNanos(5), 1).bodies);
    }
}
