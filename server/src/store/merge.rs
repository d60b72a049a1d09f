//! Merging segments in memory: one dictionary, rows of one window together.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};
use stoker_dag::{
    Definition, DefinitionMap, FrameId, FrameIx, LabelIx, LabelSet, NodeIx, SampleRow, UnixNanos,
};
use stoker_wire::{Dictionary, limits};

use super::api::{Names, PartView, WindowFacts, WindowRows};
use super::blobs::Blobs;
use super::cache::Cache;
use super::details::{DetailedRow, WindowDetails, insert};
use super::error::StoreError;
use super::footprint::{merge_bytes, merge_bytes_more};
use super::head::HeadRows;
use super::level::Level;
use super::reduce::{Reduce, hour, summed};
use super::segment::{Segment, Wanted};

/// Segments that are being merged.
#[derive(Debug, Default)]
pub struct Merge {
    /// What all of them refer to.
    pub dictionary: Dictionary,
    definitions: DefinitionMap,
    rows: Vec<WindowRows>,
    totals: Vec<WindowRows>,
    details: Vec<WindowDetails>,
    held_rows: u64,
    facts: Vec<WindowFacts>,
    level: Level,
    dropped: BTreeSet<Arc<str>>,
    reduce: Option<Reduce>,
}

/// Where one dictionary's entries stand in the merged one.
#[derive(Default)]
struct Remap {
    nodes: Vec<Option<NodeIx>>,
    frames: Vec<Option<FrameIx>>,
    labels: Vec<Option<LabelIx>>,
}

impl Merge {
    /// For segments of a level, which they keep.
    pub fn of(level: Level) -> Self {
        Self { level, ..Self::default() }
    }

    /// For raw and hourly segments, which are summed up by the hour.
    pub fn hourly(reduce: Reduce) -> Self {
        Self { level: Level::Hourly, reduce: Some(reduce), ..Self::default() }
    }

    /// Adds all of a segment that can be read.
    ///
    /// # Errors
    /// When something in it cannot be read: the merge has the rest then.
    pub fn add(&mut self, blobs: &dyn Blobs, segment: &Segment) -> Result<(), StoreError> {
        let (named, definitions) = segment.definitions(blobs)?;
        for (frame, definition) in definitions {
            self.dictionary
                .frames
                .intern_with_id(named.frames.id(frame), named.frames.frame(frame));
            self.definitions.learn(named.frames.id(frame), definition);
        }
        self.dictionary.modules.merge(&named.modules);
        self.dropped.extend(segment.footer.dropped_labels.iter().map(|name| name.as_str().into()));
        self.reduce.iter_mut().for_each(Reduce::enter);
        let mut remap = Remap::default();
        let mut rows = 0;
        let visited = segment.visit(blobs, &Cache::new(0), Wanted::ALL, &mut |part| {
            remap.fit(part.dictionary);
            rows += self.part(part, &mut remap);
            ControlFlow::Continue(())
        });
        let _ = visited?;
        if self.reduce.is_none() {
            self.add_details(blobs, segment, &mut remap)?;
        }
        match rows == segment.footer.rows {
            true => Ok(()),
            false => Err(StoreError::damaged(blobs.path(segment.name()), "rows are missing")),
        }
    }

    /// Adds samples one by one, which summing up drops.
    fn add_details(
        &mut self,
        blobs: &dyn Blobs,
        segment: &Segment,
        remap: &mut Remap,
    ) -> Result<(), StoreError> {
        let visited = segment.visit_details(blobs, &Cache::new(0), Wanted::ALL, &mut |view| {
            remap.fit(view.dictionary);
            for held in view.windows {
                let sample = |sample: &DetailedRow| {
                    let row = remap.row(&sample.row(), view.dictionary, &mut self.dictionary, None);
                    let SampleRow { series, attributes, node, .. } = row;
                    DetailedRow { series, attributes, node, ..*sample }
                };
                let samples: Vec<_> = held.samples.iter().map(sample).collect();
                self.held_rows += samples.len() as u64;
                let (window, profile_type) = (held.window, held.profile_type.clone());
                insert(&mut self.details, WindowDetails { window, profile_type, samples });
            }
            ControlFlow::Continue(())
        });
        let _ = visited?;
        Ok(())
    }

    fn part(&mut self, part: PartView<'_>, remap: &mut Remap) -> u64 {
        let mut count = 0;
        // What has been reduced already stays as it is.
        let mut reduce = self.reduce.as_mut().filter(|_| part.level == Level::Raw);
        match &mut reduce {
            Some(reduce) => {
                reduce.learn_hosts(part.facts);
                self.facts.extend(part.facts.iter().map(|facts| reduce.facts(facts)));
            }
            None => self.facts.extend_from_slice(part.facts),
        }
        for held in part.windows {
            let is_summed = reduce.is_some() && !held.profile_type.is_gauge();
            let window = if is_summed { hour(held.window) } else { held.window };
            let row = |row: &SampleRow| {
                remap.row(row, part.dictionary, &mut self.dictionary, reduce.as_deref_mut())
            };
            self.rows.push(of_window(held, window, row));
            count += held.rows.len() as u64;
        }
        for held in part.totals {
            let row = |row: &SampleRow| remap.row(row, part.dictionary, &mut self.dictionary, None);
            self.totals.push(of_window(held, held.window, row));
            self.held_rows += held.rows.len() as u64;
        }
        self.held_rows += count;
        count
    }

    /// Whether all that it takes by the time it is written stays within `memory` bytes if a segment is
    /// added of which every stack is new.
    pub fn has_room_for(&self, segment: &Segment, memory: u64) -> bool {
        let held = merge_bytes(self.held_rows, &self.dictionary);
        held + merge_bytes_more(segment.footer.weight(), segment.nodes()) <= memory
    }

    /// What is to be written: rows, and what frames mean as far as `names` or the segments know.
    /// Nothing where one dictionary cannot hold it.
    pub fn finish(mut self, names: &Names) -> Option<Merged> {
        let facts = match self.level {
            Level::Raw => {
                self.facts.sort_by_key(|facts| facts.window);
                self.facts
            }
            Level::Hourly | Level::Functions => summed(self.facts),
        };
        self.dropped.extend(self.reduce.into_iter().flat_map(|reduce| reduce.dropped));
        let (windows, totals) = (in_order(self.rows), in_order(self.totals));
        let rows =
            HeadRows { windows, details: self.details, facts, watermarks: FxHashMap::default() };
        let frames = (0..).map(FrameIx).zip(self.dictionary.frames.iter());
        let known = |id: FrameId| {
            let known = names.definitions.get(&id).or_else(|| self.definitions.get(&id));
            known.cloned()
        };
        let definitions: Vec<(FrameIx, Definition)> =
            frames.filter_map(|(ix, (id, _))| Some((ix, known(id)?))).collect();
        let dropped = self.dropped.iter().map(ToString::to_string).collect();
        let (dictionary, level) = (self.dictionary, self.level);
        let merged = Merged { dictionary, definitions, rows, totals, level, dropped };
        merged.is_within_limits().then_some(merged)
    }
}

/// The rows of a window as `row` makes them. Each part of a window stays as it came: putting them together would
/// take room to grow.
fn of_window(
    held: &WindowRows,
    window: UnixNanos,
    mut row: impl FnMut(&SampleRow) -> SampleRow,
) -> WindowRows {
    let rows = held.rows.iter().map(&mut row).collect();
    WindowRows { window, profile_type: held.profile_type.clone(), rows }
}

fn in_order(mut windows: Vec<WindowRows>) -> Vec<WindowRows> {
    windows.sort_by(|a, b| (&a.profile_type, a.window).cmp(&(&b.profile_type, b.window)));
    windows
}

/// What [`Merge::finish`] gives.
#[derive(Debug)]
pub struct Merged {
    /// What rows refer to.
    pub dictionary: Dictionary,
    /// What its frames mean.
    pub definitions: Vec<(FrameIx, Definition)>,
    /// Rows and facts; without watermarks.
    pub rows: HeadRows,
    /// Total values of functions, where it is of functions.
    pub totals: Vec<WindowRows>,
    /// How finely rows are kept.
    pub level: Level,
    /// Labels that rows had and have no more, in order.
    pub dropped: Vec<String>,
}

impl Merged {
    /// Whether a decoder would take the dictionary: what is written must be read again.
    fn is_within_limits(&self) -> bool {
        let Dictionary { frames, nodes, labels, modules } = &self.dictionary;
        let mut texts: FxHashSet<&Arc<str>> = FxHashSet::default();
        let locations = self.definitions.iter().flat_map(|(_, d)| d.locations.iter());
        texts.extend(locations.flat_map(|location| [&location.function, &location.file]));
        let labelled = labels.iter().flat_map(LabelSet::iter);
        texts.extend(labelled.flat_map(|(name, value)| [name, value]));
        // Interpreted frames bring up to three texts of their own.
        let strings =
            texts.len() + frames.len().saturating_mul(3).min(limits::MAX_STREAM_STRINGS / 2);
        let bytes: usize = texts.iter().map(|text| text.len()).sum();
        strings < limits::MAX_STREAM_STRINGS
            && bytes < limits::MAX_STREAM_STRING_BYTES / 2
            && frames.len() < limits::MAX_STREAM_FRAMES
            && nodes.len() < limits::MAX_STREAM_NODES
            && labels.len() < limits::MAX_STREAM_LABEL_SETS
            && modules.iter().len() < limits::MAX_STREAM_BUILDS
    }
}

impl Remap {
    fn fit(&mut self, from: &Dictionary) {
        self.nodes.resize(from.nodes.len(), None);
        self.frames.resize(from.frames.len(), None);
        self.labels.resize(from.labels.len(), None);
    }

    fn row(
        &mut self,
        row: &SampleRow,
        from: &Dictionary,
        to: &mut Dictionary,
        reduce: Option<&mut Reduce>,
    ) -> SampleRow {
        let mut label = |ix: LabelIx| {
            *self.labels[ix.at()].get_or_insert_with(|| to.labels.intern(from.labels.get(ix)))
        };
        let (series, attributes) = match reduce {
            Some(reduce) => reduce.pair(row, from, to),
            None => (label(row.series), label(row.attributes)),
        };
        SampleRow { series, attributes, node: self.node(row.node, from, to), ..*row }
    }

    fn node(&mut self, node: NodeIx, from: &Dictionary, to: &mut Dictionary) -> NodeIx {
        let (mut missing, mut at) = (Vec::new(), node);
        let mut new = loop {
            if let Some(known) = self.nodes[at.at()] {
                break known;
            }
            let Some(frame) = from.nodes.frame(at) else { break NodeIx::ROOT };
            missing.push((at, frame));
            at = from.nodes.parent(at);
        };
        for (node, frame) in missing.into_iter().rev() {
            let frame = *self.frames[frame.at()].get_or_insert_with(|| {
                to.frames.intern_with_id(from.frames.id(frame), from.frames.frame(frame))
            });
            new = to.nodes.child(new, frame);
            self.nodes[node.at()] = Some(new);
        }
        new
    }
}
