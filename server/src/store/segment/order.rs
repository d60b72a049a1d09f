//! The numbers that stacks, frames and label sets get in a segment: only what rows use is written,
//! in the order that makes it small and lets blocks be skipped by series.

use std::collections::BTreeSet;

use stoker_dag::{Definition, FrameIx, LabelIx, SampleRow};
use stoker_wire::Dictionary;

use super::super::api::WindowRows;
use super::super::details::{DetailedRow, WindowDetails};
use super::FIRST_LABEL;
use super::details::TimedDetail;
use super::effort::Effort;
use super::rows::TimedRow;
use super::stack_order::StackOrder;

/// From a dictionary to that of a segment.
#[derive(Debug)]
pub struct Order {
    /// Of nodes and frames.
    pub stacks: StackOrder,
    labels: Vec<LabelIx>,
    /// Label sets that are series of rows, in the order in which they are written.
    pub series: Vec<LabelIx>,
    attributes: Vec<LabelIx>,
    /// Whether rows have a series without labels, which is always there and written nowhere.
    has_bare: bool,
}

impl Order {
    /// The order for what these rows and definitions use.
    pub fn new(
        dictionary: &Dictionary,
        windows: [&[WindowRows]; 2],
        details: &[WindowDetails],
        definitions: &[(FrameIx, Definition)],
        effort: Effort,
    ) -> Self {
        let mut nodes = vec![false; dictionary.nodes.len()];
        let mut is_series = vec![false; dictionary.labels.len()];
        let mut is_attribute = is_series.clone();
        let rows = windows.into_iter().flatten().flat_map(|held| held.rows.iter().copied());
        let samples = details.iter().flat_map(|held| &held.samples).map(DetailedRow::row);
        for row in rows.chain(samples) {
            nodes[row.node.at()] = true;
            is_series[row.series.at()] = true;
            is_attribute[row.attributes.at()] = true;
        }
        let mut stacks = StackOrder::new(&dictionary.nodes, dictionary.frames.len(), nodes, effort);
        definitions.iter().for_each(|(frame, _)| stacks.add_frame(*frame));
        let sets = |wanted: &dyn Fn(usize) -> bool| {
            let all = (0u32..).map(LabelIx).zip(dictionary.labels.iter()).skip(1);
            let chosen = all.filter(|(ix, _)| wanted(ix.at()));
            let chosen: BTreeSet<_> =
                chosen.map(|(ix, set)| (set.get(FIRST_LABEL), set, ix)).collect();
            chosen.into_iter().map(|(.., ix)| ix).collect::<Vec<_>>()
        };
        let series = sets(&|at| is_series[at]);
        let attributes = sets(&|at| is_attribute[at] && !is_series[at]);
        let mut labels = vec![LabelIx::default(); dictionary.labels.len()];
        for (new, old) in (1u32..).zip(series.iter().chain(&attributes)) {
            labels[old.at()] = LabelIx(new);
        }
        Self { stacks, labels, series, attributes, has_bare: is_series[0] }
    }

    /// The first and the last service of series; empty where one has none, or there is no series.
    pub fn services<'a>(&self, dictionary: &'a Dictionary) -> (&'a str, &'a str) {
        let service = |series: Option<&LabelIx>| {
            series.map_or("", |ix| dictionary.labels.get(*ix).get(FIRST_LABEL))
        };
        let first = self.series.first().filter(|_| !self.has_bare);
        (service(first), service(self.series.last()))
    }

    /// The row over the segment's dictionary.
    pub fn row(&self, window: u64, row: &SampleRow) -> TimedRow {
        let row = SampleRow {
            series: self.labels[row.series.at()],
            attributes: self.labels[row.attributes.at()],
            node: self.stacks.node(row.node),
            ..*row
        };
        TimedRow { window, row }
    }

    /// The sample over the segment's dictionary.
    pub fn detail(&self, window: u64, sample: &DetailedRow) -> TimedDetail {
        let SampleRow { series, attributes, node, .. } = self.row(window, &sample.row()).row;
        TimedDetail { window, sample: DetailedRow { series, attributes, node, ..*sample } }
    }

    /// The slice's dictionary without nodes and label sets, which are written by themselves.
    pub fn names(&self, dictionary: &Dictionary) -> Dictionary {
        let mut names = Dictionary { modules: dictionary.modules.clone(), ..Dictionary::default() };
        let frames = &dictionary.frames;
        names.frames.reserve_appended(self.stacks.frame_order().len());
        for &frame in self.stacks.frame_order() {
            names.frames.append_with_id(frames.id(frame), frames.frame(frame).clone());
        }
        names
    }

    /// Its label sets.
    pub fn labels(&self, dictionary: &Dictionary) -> Dictionary {
        let mut labels = Dictionary::default();
        for &set in self.series.iter().chain(&self.attributes) {
            labels.labels.intern(dictionary.labels.get(set));
        }
        labels
    }
}
