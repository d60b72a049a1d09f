//! Samples that are kept one by one: bringing those that a query selects to whoever asks, and how many of
//! the selected samples are kept so. What is answered from them says what it cannot see.

use std::ops::ControlFlow;

use rustc_hash::FxHashMap;
use stoker_dag::{LabelIx, LabelSet, SampleRow};
use stoker_wire::Dictionary;

use super::error::QueryError;
use super::scan::scan;
use super::sink::Sink;
use super::stack::StackFilter;
use super::{Engine, Query};
use crate::store::{DetailedRow, DetailsView, DictionaryId, Wanted, WindowDetails, WindowRows};

/// How many samples are looked at between two looks at the clock.
const SAMPLES_BETWEEN_CHECKS: usize = 1 << 14;

/// What is done with selected samples.
pub(super) trait DetailSink {
    /// Another dictionary begins: nothing that was remembered of the last one holds.
    fn enter(&mut self, _dictionary: &Dictionary) {}

    /// Takes a sample.
    fn take(
        &mut self,
        part: &Dictionary,
        window: &WindowDetails,
        sample: &DetailedRow,
    ) -> Result<(), QueryError>;
}

/// Brings every selected sample that is kept one by one to `sink`.
pub(super) fn scan_details(
    engine: Engine<'_>,
    query: &Query,
    sink: &mut dyn DetailSink,
) -> Result<(), QueryError> {
    let mut stacks = StackFilter::new(&query.selector);
    let mut at = At::default();
    let mut failure = None;
    let mut part = |view: DetailsView<'_>| -> Result<(), QueryError> {
        // The dictionary of a live log grows between two looks at it.
        let id =
            Some((view.dictionary_id, view.dictionary.nodes.len(), view.dictionary.labels.len()));
        if at.id != id {
            let nodes = stacks.as_mut().map(|stacks| stacks.nodes(engine, view.dictionary));
            at = At { id, nodes, pairs: FxHashMap::default() };
            sink.enter(view.dictionary);
        }
        for window in view.windows.iter().filter(|held| query.range.holds(held.window)) {
            for samples in window.samples.chunks(SAMPLES_BETWEEN_CHECKS) {
                engine.progress.check()?;
                engine.progress.add_rows(samples.len() as u64);
                for sample in samples {
                    if at.accepts(query, view.dictionary, sample) {
                        sink.take(view.dictionary, window, sample)?;
                    }
                }
            }
        }
        Ok(())
    };
    let visit = &mut |view: DetailsView<'_>| match part(view) {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => {
            failure = Some(error);
            ControlFlow::Break(())
        }
    };
    let profile_type = query.selector.profile_type.as_ref();
    let may_be_wanted = |series: &LabelSet| query.selector.may_accept(series);
    let (range, series) =
        (query.range, Some(&may_be_wanted as &(dyn Fn(&LabelSet) -> bool + Sync)));
    engine.parts.visit_details(Wanted { range, profile_type, series, sums: false }, visit)?;
    failure.map_or(Ok(()), Err)
}

/// What is known of the dictionary at hand.
#[derive(Default)]
struct At {
    id: Option<(DictionaryId, usize, usize)>,
    /// Which nodes the matchers on the stack accept.
    nodes: Option<Vec<bool>>,
    pairs: FxHashMap<(LabelIx, LabelIx), bool>,
}

impl At {
    fn accepts(&mut self, query: &Query, part: &Dictionary, sample: &DetailedRow) -> bool {
        let is_on_stack = self.nodes.as_ref().is_none_or(|nodes| nodes[sample.node.at()]);
        let accepts = |pair: (LabelIx, LabelIx)| {
            query.selector.accepts(part.labels.get(pair.0), part.labels.get(pair.1))
        };
        let pair = (sample.series, sample.attributes);
        is_on_stack && *self.pairs.entry(pair).or_insert_with(|| accepts(pair))
    }
}

/// How many of the selected samples are kept one by one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Coverage {
    /// With their moments.
    pub with_time: u64,
    /// In rows only.
    pub without_time: u64,
    /// Lost on the way, by what hosts say.
    pub lost: u64,
}

/// How many samples of the query's windows are kept one by one; `with_time` of them are.
pub(super) fn coverage(
    engine: Engine<'_>,
    query: &Query,
    with_time: u64,
) -> Result<Coverage, QueryError> {
    let mut samples = Samples(0);
    let stats = scan(engine, query, &mut samples)?;
    // Rows may have come since the samples were counted, never the other way round.
    let without_time = samples.0.saturating_sub(with_time);
    Ok(Coverage { with_time, without_time, lost: stats.lost_samples })
}

/// Counts samples.
struct Samples(u64);

impl Sink for Samples {
    fn class(&mut self, _: &LabelSet, _: &LabelSet) -> Result<u32, QueryError> {
        Ok(0)
    }

    fn row(&mut self, _: &Dictionary, _: &WindowRows, row: &SampleRow, _: u32) {
        self.0 = self.0.saturating_add(row.count);
    }
}

impl DetailSink for Samples {
    fn take(
        &mut self,
        _: &Dictionary,
        _: &WindowDetails,
        _: &DetailedRow,
    ) -> Result<(), QueryError> {
        self.0 += 1;
        Ok(())
    }
}

/// How many samples of the query's windows are kept one by one.
pub(super) fn covered(engine: Engine<'_>, query: &Query) -> Result<Coverage, QueryError> {
    let mut samples = Samples(0);
    scan_details(engine, query, &mut samples)?;
    coverage(engine, query, samples.0)
}
