//! Merging segments: rows of one window together, over as few dictionaries as there is memory for.
//!
//! All that fits is merged over one dictionary, as one slice. More is cut by service: one pass over the segments
//! says how much each service has (`survey`), services in order of name are packed into ranges that fit
//! (`services`), and each range is a pass that takes its rows from every segment and writes them as a slice
//! (`make`). So memory holds one slice, one decoded slice of what is read, and the bytes that are written so
//! far. A slice that becomes too large all the same ends early, and another one has the rest of its range: only
//! less small. Which slice a row is in does not change any answer.

mod loose;
mod make;
mod remap;
mod services;
mod sketch;
mod survey;

use std::ops::ControlFlow;
use std::sync::Arc;

use rustc_hash::FxHashSet;
use stoker_dag::{Definition, FrameIx, FrameTable, LabelSet, SampleRow, UnixNanos};
use stoker_wire::{Dictionary, limits};

use super::api::{Names, PartView, WindowRows};
use super::blobs::Blobs;
use super::cache::Cache;
use super::details::{DetailedRow, DetailsView, WindowDetails, insert};
use super::error::StoreError;
use super::footprint::merge_bytes;
use super::level::Level;
use super::reduce::{Reduce, hour};
use super::segment::{Segment, SliceIx, Wanted};
use loose::Loose;
pub use make::{Made, Making, make};
use remap::Remap;
pub use services::Services;
pub use survey::Survey;

/// A slice that is being merged.
#[derive(Debug, Default)]
pub struct Merge {
    /// What all of it refers to.
    dictionary: Dictionary,
    rows: Vec<WindowRows>,
    totals: Vec<WindowRows>,
    details: Vec<WindowDetails>,
    held_rows: u64,
    /// What sums rows up by the hour, where that is done.
    pub reduce: Option<Reduce>,
    loose: Loose,
}

impl Merge {
    /// A slice of which rows are summed up by the hour, or kept as they are where nothing says how.
    pub fn new(reduce: Option<Reduce>) -> Self {
        Self { reduce, ..Self::default() }
    }

    /// Keeps frames that no stack has.
    pub fn keep(&mut self, frames: &FrameTable) {
        for (id, frame) in frames.iter() {
            self.dictionary.frames.intern_with_id(id, frame);
        }
    }

    /// Adds rows of some services that a segment has, one decoded block at a time; gives how many rows they
    /// are.
    ///
    /// # Errors
    /// When something in it cannot be read: the merge has the rest then.
    pub fn add(
        &mut self,
        blobs: &dyn Blobs,
        segment: &Segment,
        services: &Services,
    ) -> Result<u64, StoreError> {
        let bare = services.is_all().then(|| self.loose.learn_bare(blobs, segment));
        let mut failure = bare.and_then(Result::err);
        let mut rows = 0;
        for slice in segment.slices() {
            let told = segment.footer.slices.get(slice.0 as usize);
            if !services.may_be_in(told) {
                continue;
            }
            let of = (segment, slice);
            failure = failure.or(self.add_rows(blobs, of, services, &mut rows).err());
            if self.reduce.is_none() {
                failure = failure.or(self.add_details(blobs, of, services).err());
            }
        }
        failure.map_or(Ok(rows), Err)
    }

    fn add_rows(
        &mut self,
        blobs: &dyn Blobs,
        (segment, slice): (&Segment, SliceIx),
        services: &Services,
        rows: &mut u64,
    ) -> Result<(), StoreError> {
        self.reduce.iter_mut().for_each(Reduce::enter_dictionary);
        let (mut remap, mut failure) = (None, None);
        let has = |series: &LabelSet| services.has_series(series);
        let wanted = Wanted { series: Some(&has), ..Wanted::ALL };
        let visited = segment.visit_slice(blobs, &Cache::new(0), (slice, wanted), &mut |part| {
            if remap.is_none() && services.is_all() {
                failure = self.loose.learn(blobs, (segment, slice), part.dictionary).err();
            }
            let remap = remap.get_or_insert_with(|| Remap::new(part.dictionary, services));
            *rows += self.part(part, remap);
            ControlFlow::Continue(())
        });
        let _ = visited?;
        failure.map_or(Ok(()), Err)
    }

    /// Adds samples one by one, which summing up drops.
    fn add_details(
        &mut self,
        blobs: &dyn Blobs,
        (segment, slice): (&Segment, SliceIx),
        services: &Services,
    ) -> Result<(), StoreError> {
        let has = |series: &LabelSet| services.has_series(series);
        let wanted = (Some(slice), Wanted { series: Some(&has), ..Wanted::ALL });
        let mut remap = None;
        let mut take = |view: DetailsView<'_>| {
            let remap = remap.get_or_insert_with(|| Remap::new(view.dictionary, services));
            for held in view.windows {
                let samples = held.samples.iter().filter(|sample| remap.takes(sample.series));
                let samples: Vec<DetailedRow> = samples.copied().collect();
                let sample = |sample: DetailedRow| {
                    let row = remap.row(&sample.row(), view.dictionary, &mut self.dictionary, None);
                    let SampleRow { series, attributes, node, .. } = row;
                    DetailedRow { series, attributes, node, ..sample }
                };
                let samples: Vec<DetailedRow> = samples.into_iter().map(sample).collect();
                self.held_rows += samples.len() as u64;
                let (window, profile_type) = (held.window, held.profile_type.clone());
                if !samples.is_empty() {
                    insert(&mut self.details, WindowDetails { window, profile_type, samples });
                }
            }
            ControlFlow::Continue(())
        };
        let _ = segment.visit_details(blobs, &Cache::new(0), wanted, &mut take)?;
        Ok(())
    }

    /// Adds rows of a part; gives how many.
    fn part(&mut self, part: PartView<'_>, remap: &mut Remap) -> u64 {
        let before = self.held_rows;
        self.dictionary.modules.merge(&part.dictionary.modules);
        // What has been reduced already stays as it is.
        let mut reduce = self.reduce.as_mut().filter(|_| part.level == Level::Raw);
        for held in part.windows {
            let is_summed = reduce.is_some() && !held.profile_type.is_gauge();
            let window = if is_summed { hour(held.window) } else { held.window };
            let rows = of_window(held, window, remap, |remap, row| {
                remap.row(row, part.dictionary, &mut self.dictionary, reduce.as_deref_mut())
            });
            self.held_rows += rows.rows.len() as u64;
            self.rows.extend(Some(rows).filter(|held| !held.rows.is_empty()));
        }
        let count = self.held_rows - before;
        for held in part.totals {
            let rows = of_window(held, held.window, remap, |remap, row| {
                remap.row(row, part.dictionary, &mut self.dictionary, None)
            });
            self.held_rows += rows.rows.len() as u64;
            self.totals.extend(Some(rows).filter(|held| !held.rows.is_empty()));
        }
        count
    }

    /// All that it takes by the time it is written.
    pub fn bytes(&self) -> u64 {
        merge_bytes(self.held_rows, &self.dictionary)
    }

    /// Whether it has nothing to write.
    pub fn is_empty(&self) -> bool {
        self.held_rows == 0 && self.dictionary.frames.is_empty()
    }

    /// What is to be written, with what frames mean by `names`. Nothing where a dictionary cannot hold it.
    pub fn finish(mut self, names: &Names) -> Option<Merged> {
        let loose = std::mem::take(&mut self.loose).into_frames();
        self.keep(&loose);
        let (windows, totals) = (in_order(self.rows), in_order(self.totals));
        let frames = (0..).map(FrameIx).zip(self.dictionary.frames.iter());
        let definitions: Vec<(FrameIx, Definition)> = frames
            .filter_map(|(ix, (id, _))| Some((ix, names.definitions.get(&id)?.clone())))
            .collect();
        let (dictionary, details) = (self.dictionary, self.details);
        let merged = Merged { dictionary, definitions, windows, details, totals };
        merged.is_within_limits().then_some(merged)
    }
}

/// The rows of a window that are taken over, as `row` makes them. Each part of a window stays as it came: putting
/// them together would take room to grow.
fn of_window(
    held: &WindowRows,
    window: UnixNanos,
    remap: &mut Remap,
    mut row: impl FnMut(&mut Remap, &SampleRow) -> SampleRow,
) -> WindowRows {
    let takes = held.rows.iter().filter(|row| remap.takes(row.series)).count();
    let mut rows = Vec::with_capacity(takes);
    for of in &held.rows {
        if remap.takes(of.series) {
            rows.push(row(remap, of));
        }
    }
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
    /// Rows, in order of profile type, then window.
    pub windows: Vec<WindowRows>,
    /// Samples one by one, likewise.
    pub details: Vec<WindowDetails>,
    /// Total values of functions, likewise, where it is of functions.
    pub totals: Vec<WindowRows>,
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
