//! Where one dictionary's entries stand in the merged one.

use stoker_dag::{FrameIx, LabelIx, NodeIx, SampleRow};
use stoker_wire::Dictionary;

use super::services::Services;
use crate::store::reduce::Reduce;

/// Of the dictionary of one slice that is read.
#[derive(Debug, Default)]
pub struct Remap {
    nodes: Vec<Option<NodeIx>>,
    frames: Vec<Option<FrameIx>>,
    labels: Vec<Option<LabelIx>>,
    /// Which label sets are series that are taken over.
    taken: Vec<bool>,
}

impl Remap {
    /// Nothing is taken over yet; series of `services` will be.
    pub fn new(from: &Dictionary, services: &Services) -> Self {
        Self {
            nodes: vec![None; from.nodes.len()],
            frames: vec![None; from.frames.len()],
            labels: vec![None; from.labels.len()],
            taken: from.labels.iter().map(|series| services.has_series(series)).collect(),
        }
    }

    /// Whether rows of a series are taken over.
    pub fn takes(&self, series: LabelIx) -> bool {
        self.taken[series.at()]
    }

    /// The row over the merged dictionary.
    pub fn row(
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
