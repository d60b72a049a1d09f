//! What a log's dictionary has come to, and what is bounded in number: series, of which a batch too many
//! is refused, and sets of attributes, of which a row too many is stored without.
//!
//! Both bounds are on what is in use: in this log or the one before it. Who was there first keeps its
//! place, so that a host whose labels explode is refused and those beside it are not.

use std::borrow::Cow;
use std::hash::BuildHasher;
use std::sync::Arc;

use rustc_hash::{FxBuildHasher, FxHashMap, FxHashSet};
use stoker_dag::{LabelIx, LabelSet};
use stoker_wire::{BatchBody, Dictionary, WireError, limits, proto};

/// How many of them there may be.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Series in use.
    pub series: usize,
    /// Sets of attributes in use.
    pub attribute_sets: usize,
}

/// What a log's dictionary has come to, against the limits that its replay is held to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Size {
    /// Strings.
    pub strings: usize,
    /// Their bytes.
    pub string_bytes: usize,
    builds: usize,
}

/// What a log tells of.
#[derive(Debug, Default)]
pub struct Told {
    /// Its dictionary.
    pub size: Size,
    /// What its batches take in memory.
    pub batch_bytes: usize,
    series: InUse,
    attributes: InUse,
}

/// Sets in use, bounded in number. Hashes stand for them, because they outlive the log that holds the sets:
/// of two sets with one hash the second takes no place, which harms nobody.
#[derive(Debug, Default)]
struct InUse {
    sets: FxHashSet<u64>,
    before: Arc<FxHashSet<u64>>,
    /// Of `sets`, those that are not in `before`.
    fresh: usize,
}

fn key(set: &LabelSet) -> u64 {
    FxBuildHasher.hash_one(set)
}

impl InUse {
    fn has(&self, set: &LabelSet) -> bool {
        let key = key(set);
        self.sets.contains(&key) || self.before.contains(&key)
    }

    fn len(&self) -> usize {
        self.before.len() + self.fresh
    }

    fn insert(&mut self, set: &LabelSet) {
        let key = key(set);
        if self.sets.insert(key) && !self.before.contains(&key) {
            self.fresh += 1;
        }
    }

    fn next(&self) -> Self {
        Self { before: Arc::new(self.sets.clone()), ..Self::default() }
    }
}

impl Told {
    /// What the next log begins with.
    pub fn next(&self) -> Self {
        let (series, attributes) = (self.series.next(), self.attributes.next());
        Self { series, attributes, ..Self::default() }
    }

    /// Learns the series of a batch, unless that would be more than `max`. `known` are those of the
    /// stream's series that were learned before. This comes before encoding: a batch that is refused
    /// must leave no entry behind that the log does not tell of.
    pub fn take_series(
        &mut self,
        source: &Dictionary,
        body: &BatchBody,
        known: &mut FxHashSet<LabelIx>,
        max: usize,
    ) -> bool {
        let runs =
            body.rows.iter().flat_map(|group| group.rows.chunk_by(|a, b| a.series == b.series));
        let fresh = runs.map(|run| run[0].series).filter(|ix| !known.contains(ix));
        let fresh: FxHashSet<LabelIx> = fresh.collect();
        let sets = fresh.iter().map(|ix| source.labels.get(*ix));
        let new: FxHashSet<&LabelSet> = sets.filter(|set| !self.series.has(set)).collect();
        if !new.is_empty() && self.series.len() + new.len() > max {
            return false;
        }
        fresh.iter().for_each(|ix| self.series.insert(source.labels.get(*ix)));
        known.extend(fresh);
        true
    }

    /// The batch with no more sets of attributes than there may be, and how many of its rows have lost
    /// theirs: values are never dropped. `known` says of the stream's sets whether they are kept.
    pub fn bound_attributes<'a>(
        &mut self,
        source: &Dictionary,
        body: &'a BatchBody,
        known: &mut FxHashMap<LabelIx, bool>,
        bounds: Bounds,
    ) -> (Cow<'a, BatchBody>, u64) {
        let mut is_whole = true;
        for group in &body.rows {
            for run in group.rows.chunk_by(|a, b| a.attributes == b.attributes) {
                is_whole &= self.keeps(source, run[0].attributes, known, bounds.attribute_sets);
            }
        }
        if is_whole {
            return (Cow::Borrowed(body), 0);
        }
        let (mut body, mut dropped) = (body.clone(), 0);
        for row in body.rows.iter_mut().flat_map(|group| &mut group.rows) {
            if known.get(&row.attributes) == Some(&false) {
                row.attributes = LabelIx::default();
                dropped += 1;
            }
        }
        (Cow::Owned(body), dropped)
    }

    fn keeps(
        &mut self,
        source: &Dictionary,
        ix: LabelIx,
        known: &mut FxHashMap<LabelIx, bool>,
        max: usize,
    ) -> bool {
        if ix == LabelIx::default() {
            return true;
        }
        *known.entry(ix).or_insert_with(|| {
            let set = source.labels.get(ix);
            let fits = self.attributes.has(set) || self.attributes.len() < max;
            if fits {
                self.attributes.insert(set);
            }
            fits
        })
    }
}

impl Size {
    /// A batch was added; an error when the log then exceeds a limit.
    pub fn grow(&mut self, batch: &proto::Batch, dictionary: &Dictionary) -> Result<(), WireError> {
        self.strings += batch.strings.len();
        self.string_bytes += batch.strings.iter().map(String::len).sum::<usize>();
        self.builds += batch.builds.len();
        let frames = dictionary.frames.len();
        for (what, got, limit) in [
            ("strings of a log", self.strings + 1, limits::MAX_STREAM_STRINGS),
            ("bytes of a log's strings", self.string_bytes, limits::MAX_STREAM_STRING_BYTES),
            ("builds of a log", self.builds, limits::MAX_STREAM_BUILDS),
            ("frames of a log", frames, limits::MAX_STREAM_FRAMES),
            ("nodes of a log", dictionary.nodes.len(), limits::MAX_STREAM_NODES),
            ("label sets of a log", dictionary.labels.len(), limits::MAX_STREAM_LABEL_SETS),
        ] {
            if got > limit {
                return Err(WireError::TooLarge { what, got, limit });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use stoker_dag::{NodeIx, ProfileType, SampleRow};
    use stoker_wire::RowGroup;

    use super::*;

    fn body(source: &mut Dictionary, series: &[&str], attributes: &[&str]) -> BatchBody {
        let mut rows = Vec::new();
        for (series, attributes) in series.iter().zip(attributes) {
            rows.push(SampleRow {
                series: source.labels.intern(&LabelSet::new([("service_name", *series)])),
                attributes: source.labels.intern(&LabelSet::new([("pod", *attributes)])),
                node: NodeIx::ROOT,
                value: 1,
                count: 1,
            });
        }
        let group = RowGroup { profile_type: ProfileType::cpu(), period: 1, rows };
        BatchBody { rows: vec![group], ..BatchBody::default() }
    }

    #[test]
    fn who_was_there_first_keeps_its_place() {
        let mut source = Dictionary::default();
        let mut told = Told::default();
        let good = body(&mut source, &["a", "b"], &["1", "2"]);
        let bad = body(&mut source, &["c", "d"], &["3", "4"]);
        let (known, max) = (&mut FxHashSet::default(), 3);
        assert!(told.take_series(&source, &good, known, max));
        assert!(!told.take_series(&source, &bad, known, max));
        let mut next = told.next();
        let known = &mut FxHashSet::default();
        assert!(!next.take_series(&source, &bad, known, max));
        assert!(next.take_series(&source, &good, known, max));
        // A log later nobody has used the places of `good`.
        let mut later = next.next().next();
        assert!(later.take_series(&source, &bad, &mut FxHashSet::default(), max));
    }

    #[test]
    fn rows_beyond_the_bound_lose_their_attributes_and_no_value() {
        let mut source = Dictionary::default();
        let whole = body(&mut source, &["a", "a", "a"], &["1", "2", "1"]);
        let (known, bounds) = (&mut FxHashMap::default(), Bounds { series: 9, attribute_sets: 1 });
        let mut told = Told::default();
        let (bounded, dropped) = told.bound_attributes(&source, &whole, known, bounds);
        let kept =
            |at: usize| bounded.rows[0].rows[at].attributes == whole.rows[0].rows[at].attributes;
        assert_eq!((dropped, kept(0), kept(1), kept(2)), (1, true, false, true));
        assert_eq!(bounded.samples(), whole.samples());
    }
}
