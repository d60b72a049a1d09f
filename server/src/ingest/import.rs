//! A file that somebody else wrote, as batches: what `/api/v1/push` stores.
//!
//! All rows of a file stand in one window, that of its start: a profile does not say when within its
//! duration a sample was taken. A large file becomes several batches, cut by rows and so always in
//! the same places: a push that broke off in the middle goes on where it ended.

use rustc_hash::FxHashSet;
use stoker_dag::{DefinitionMap, FrameIx, LabelSet, NodeIx, ProfileType, SampleRow, UnixNanos};
use stoker_formats::{Imported, ProfileKind};
use stoker_wire::{BatchBody, Dictionary, HostFacts, RowGroup};

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

/// Cuts a file into batches that begin at `start`; every row carries the labels of `series`.
#[must_use]
pub fn batches(imported: Imported, series: &LabelSet, start: UnixNanos) -> ImportedBatches {
    let mut dictionary = Dictionary {
        frames: imported.frames,
        nodes: imported.nodes,
        labels: imported.attributes,
        modules: imported.modules,
    };
    let series = dictionary.labels.intern(series);
    let (mut groups, mut stored, mut skipped) = (Vec::new(), Vec::new(), Vec::new());
    for profile in imported.profiles {
        if let Some(why) = refused(profile.kind) {
            skipped.push((profile.profile_type, why));
            continue;
        }
        let mut rows: Vec<SampleRow> = profile
            .rows
            .iter()
            .map(|row| SampleRow {
                series,
                attributes: row.attributes,
                node: row.node,
                value: row.value,
                count: row.count,
            })
            .collect();
        rows.sort_by_key(|row| (row.series, row.attributes, row.node));
        stored.push(profile.profile_type.clone());
        for chunk in rows.chunks(MAX_BATCH_ROWS) {
            groups.push(RowGroup {
                profile_type: profile.profile_type.clone(),
                period: 0,
                rows: chunk.to_vec(),
            });
        }
    }
    let bodies = bodies(&dictionary, &imported.definitions, groups, start);
    ImportedBatches { dictionary, bodies, stored, skipped }
}

/// Why values of this kind are not stored.
const fn refused(kind: ProfileKind) -> Option<&'static str> {
    match kind {
        ProfileKind::Delta => None,
        ProfileKind::Cumulative => {
            Some("counts since the start of the process, which are not differenced yet")
        }
        ProfileKind::Gauge => Some("what was there at a moment, which is not stored yet"),
    }
}

fn bodies(
    dictionary: &Dictionary,
    definitions: &DefinitionMap,
    groups: Vec<RowGroup>,
    start: UnixNanos,
) -> Vec<BatchBody> {
    let mut told =
        Told { dictionary, definitions, nodes: FxHashSet::default(), frames: FxHashSet::default() };
    // A file without rows is a batch without rows, so that it too counts once.
    let groups: Vec<Vec<RowGroup>> = if groups.is_empty() {
        vec![Vec::new()]
    } else {
        groups.into_iter().map(|g| vec![g]).collect()
    };
    let body = |(sequence, rows): (u64, Vec<RowGroup>)| {
        let facts = HostFacts {
            sample_source: SOURCE.into(),
            samples_taken: rows.iter().flat_map(|group| &group.rows).map(|row| row.count).sum(),
            ..HostFacts::default()
        };
        let definitions = told.news(&rows);
        BatchBody { sequence, start, duration_ns: 0, definitions, rows, facts }
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
        let made = batches(imported(), &series, UnixNanos(5));
        assert_eq!(made.bodies.len(), 3);
        assert_eq!(made.size().1, 40_000);
        let values = made.bodies.iter().flat_map(|body| &body.rows).flat_map(|group| &group.rows);
        assert_eq!(values.map(|row| row.value).sum::<u64>(), 40_000 * 40_001 / 2);
        assert_eq!(made.bodies, batches(imported(), &series, UnixNanos(5)).bodies);
    }
}
