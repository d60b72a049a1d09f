//! Cuts the rows of a log by service, so that each slice of its segment has a part of the dictionary.
//!
//! Whoever merges many logs into slices reads of each only what belongs to the slice at hand. Were a log one
//! slice, all of it would be decoded once for each slice that is made.

use std::collections::BTreeMap;
use std::sync::Arc;

use stoker_dag::{Definition, FrameIx, LabelIx, SampleRow};
use stoker_wire::Dictionary;

use super::api::WindowRows;
use super::details::{DetailedRow, WindowDetails};
use super::error::StoreError;
use super::footprint::merge_bytes;
use super::merge::Services;
use super::segment::{FIRST_LABEL, SegmentWriter, SliceContent};

/// Slices that a log is to have at most. Two that follow one another have together what one was to have, or more, for
/// no service is cut: so there are twice as many at worst.
const MAX_SLICES: u64 = 8;
/// A slice of a log is about this part of what a merged one may take while it is made.
const PART_OF_SLICE: u64 = 2;

/// Writes all of it, as one slice where it is little beside a merged slice, which may take `slice_memory`.
///
/// # Errors
/// When compression fails for want of memory.
pub fn write_cut(
    writer: &mut SegmentWriter,
    content: SliceContent<'_>,
    slice_memory: u64,
) -> Result<(), StoreError> {
    let ranges = ranges(&content, slice_memory);
    if ranges.len() == 1 {
        return writer.slice(content);
    }
    ranges.iter().try_for_each(|services| {
        writer.slice(Cut::new(&content, services).content(content.dictionary))
    })
}

/// Ranges of services with about as many rows each: more of them where there is more.
fn ranges(content: &SliceContent<'_>, slice_memory: u64) -> Vec<Services> {
    let count = |windows: &[WindowRows]| windows.iter().map(|held| held.rows.len() as u64).sum();
    let rows: u64 = count(content.windows);
    let bytes = merge_bytes(rows, content.dictionary);
    let slices = bytes.div_ceil((slice_memory / PART_OF_SLICE).max(1)).clamp(1, MAX_SLICES);
    let mut ranges = vec![Services::default()];
    if slices == 1 {
        return ranges;
    }
    let mut held = 0;
    for (service, rows_of) in by_service(content) {
        if held > 0 && held + rows_of / 2 >= rows / slices {
            let from: Arc<str> = service.into();
            if let Some(last) = ranges.last_mut() {
                last.until = Some(Arc::clone(&from));
            }
            ranges.push(Services { from, until: None });
            held = 0;
        }
        held += rows_of;
    }
    ranges
}

/// How many rows each service has, in order of name.
fn by_service<'a>(content: &SliceContent<'a>) -> BTreeMap<&'a str, u64> {
    let labels = &content.dictionary.labels;
    let mut by_series = vec![0u64; labels.len()];
    for row in content.windows.iter().flat_map(|held| &held.rows) {
        by_series[row.series.at()] += 1;
    }
    let mut by_service = BTreeMap::new();
    for (series, rows) in labels.iter().zip(by_series).filter(|(_, rows)| *rows > 0) {
        *by_service.entry(series.get(FIRST_LABEL)).or_default() += rows;
    }
    by_service
}

/// What a slice has of its own; the dictionary is that of all.
struct Cut {
    definitions: Vec<(FrameIx, Definition)>,
    windows: Vec<WindowRows>,
    details: Vec<WindowDetails>,
}

impl Cut {
    /// What some services have. The first range has the names of frames without a stack, too.
    fn new(content: &SliceContent<'_>, services: &Services) -> Self {
        let series = content.dictionary.labels.iter();
        let taken: Vec<bool> = series.map(|series| services.has_series(series)).collect();
        let takes = |series: LabelIx| taken[series.at()];
        let windows: Vec<WindowRows> =
            content.windows.iter().filter_map(|held| rows_of(held, &takes)).collect();
        let details: Vec<WindowDetails> =
            content.details.iter().filter_map(|held| samples_of(held, &takes)).collect();
        let mut has_frame = frames_of(content.dictionary, (&windows, &details));
        if services.is_first() {
            let has_stack = frames_of(content.dictionary, (content.windows, content.details));
            has_frame.iter_mut().zip(has_stack).for_each(|(has, stack)| *has |= !stack);
        }
        let definitions = content.definitions.iter().filter(|(frame, _)| has_frame[frame.at()]);
        Self { definitions: definitions.cloned().collect(), windows, details }
    }

    /// It as a slice.
    fn content<'a>(&'a self, dictionary: &'a Dictionary) -> SliceContent<'a> {
        let Self { definitions, windows, details } = self;
        SliceContent { dictionary, definitions, windows, details, totals: &[] }
    }
}

fn rows_of(held: &WindowRows, takes: &dyn Fn(LabelIx) -> bool) -> Option<WindowRows> {
    let rows = held.rows.iter().filter(|row| takes(row.series));
    let rows: Vec<SampleRow> = rows.copied().collect();
    let (window, profile_type) = (held.window, held.profile_type.clone());
    (!rows.is_empty()).then_some(WindowRows { window, profile_type, rows })
}

fn samples_of(held: &WindowDetails, takes: &dyn Fn(LabelIx) -> bool) -> Option<WindowDetails> {
    let samples = held.samples.iter().filter(|sample| takes(sample.series));
    let samples: Vec<DetailedRow> = samples.copied().collect();
    let (window, profile_type) = (held.window, held.profile_type.clone());
    (!samples.is_empty()).then_some(WindowDetails { window, profile_type, samples })
}

/// Which frames the stacks of rows and samples have.
fn frames_of(
    dictionary: &Dictionary,
    (windows, details): (&[WindowRows], &[WindowDetails]),
) -> Vec<bool> {
    let mut is_used = vec![false; dictionary.nodes.len()];
    windows.iter().flat_map(|held| &held.rows).for_each(|row| is_used[row.node.at()] = true);
    let samples = details.iter().flat_map(|held| &held.samples);
    samples.for_each(|sample| is_used[sample.node.at()] = true);
    let mut has_frame = vec![false; dictionary.frames.len()];
    for (node, parent, frame) in dictionary.nodes.iter().rev() {
        if is_used[node.at()] {
            is_used[parent.at()] = true;
            has_frame[frame.at()] = true;
        }
    }
    has_frame
}

#[cfg(test)]
mod tests {
    use stoker_dag::{
        BuildId, BuildIdKind, DefinitionSource, Frame, LabelSet, NodeIx, ProfileType, UnixNanos,
    };

    use super::*;

    #[test]
    fn every_row_is_in_one_slice_and_every_name_is_kept() {
        let mut dictionary = Dictionary::default();
        let build_id = BuildId::new(BuildIdKind::Gnu, &[7]).unwrap();
        let frames: Vec<FrameIx> = (0..6)
            .map(|offset| Frame::Native { build_id: build_id.clone(), offset })
            .map(|frame| dictionary.frames.intern(&frame))
            .collect();
        let nodes = frames[..5].iter().map(|frame| dictionary.nodes.child(NodeIx::ROOT, *frame));
        let nodes: Vec<NodeIx> = nodes.collect();
        // The last of them has a node and no row; the one after has not even that.
        let row = |at: usize| {
            let service = ["", "a", "b", "b"][at];
            let series = LabelSet::new([(FIRST_LABEL, service)]);
            (series, nodes[at])
        };
        let rows = (0..4).map(row).map(|(series, node)| {
            let series = dictionary.labels.intern(&series);
            SampleRow { series, attributes: LabelIx::default(), node, value: 1, count: 1 }
        });
        let rows: Vec<SampleRow> = rows.collect();
        let profile_type = ProfileType::cpu();
        let windows = [WindowRows { window: UnixNanos(0), profile_type, rows }];
        let named = Definition { source: DefinitionSource::ALL[0], locations: [].into() };
        let definitions: Vec<_> = frames.iter().map(|frame| (*frame, named.clone())).collect();
        let content = SliceContent {
            windows: &windows,
            definitions: &definitions,
            ..SliceContent::of(&dictionary)
        };
        assert_eq!(ranges(&content, 1 << 30), [Services::default()]);
        let cuts = ranges(&content, 1).iter().map(|of| Cut::new(&content, of)).collect::<Vec<_>>();
        let nodes_of = |cut: &Cut| {
            let rows = cut.windows.iter().flat_map(|held| &held.rows);
            rows.map(|row| row.node.0).collect::<Vec<_>>()
        };
        let frames_of = |cut: &Cut| cut.definitions.iter().map(|(ix, _)| ix.0).collect::<Vec<_>>();
        assert_eq!(cuts.iter().map(nodes_of).collect::<Vec<_>>(), [vec![1], vec![2], vec![3, 4]]);
        assert_eq!(
            cuts.iter().map(frames_of).collect::<Vec<_>>(),
            [vec![0, 4, 5], vec![1], vec![2, 3]]
        );
    }
}
