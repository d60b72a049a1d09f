//! From the model to the wire: sends only what the other side does not have yet.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use stoker_dag::{
    BuildId, BuildIdKind, Definition, DefinitionMap, FrameIx, LabelIx, LabelSet, Module, NodeIx,
    SampleRow, reserve_quarter,
};

use self::facts::facts;
use crate::body::{BatchBody, Dictionary, RowGroup};
use crate::details::Details;
use crate::proto;

mod columns;
mod facts;

/// Where the entries of one dictionary stand in an encoder's. Belongs to one pair of them; filled as
/// rows refer to entries.
#[derive(Debug, Clone, Default)]
pub struct Rebase {
    frames: Vec<u32>,
    nodes: Vec<u32>,
    labels: Vec<u32>,
}

/// What stands where an entry has no place yet. No table has so many.
const NOWHERE: u32 = u32::MAX;

/// What [`Encoder::encode`] gives.
#[derive(Debug, Clone)]
pub struct Encoded {
    /// What travels.
    pub batch: proto::Batch,
    /// The same batch over the encoder's dictionary.
    pub body: BatchBody,
}

/// One side of a stream: knows what the other side has been told.
#[derive(Debug, Default)]
pub struct Encoder {
    dictionary: Dictionary,
    definitions: DefinitionMap,
    strings: FxHashMap<Arc<str>, u32>,
    builds: FxHashMap<BuildId, u32>,
    /// How many build entries the other side has; one build can have several.
    builds_sent: u32,
}

impl Encoder {
    /// What the other side has.
    #[must_use]
    pub fn dictionary(&self) -> &Dictionary {
        &self.dictionary
    }

    /// What the other side has been told of frames.
    #[must_use]
    pub fn definitions(&self) -> &DefinitionMap {
        &self.definitions
    }

    /// Encodes a batch whose indexes are into `source`.
    pub fn encode(
        &mut self,
        source: &Dictionary,
        body: &BatchBody,
        rebase: &mut Rebase,
    ) -> Encoded {
        let mut out = Pending::new(self, source, rebase);
        let rebased = out.body(body);
        Encoded { batch: out.batch, body: rebased }
    }

    /// What a fresh encoder tells of all frames and label sets of `source`, with the indexes that they have
    /// there, and of definitions; of no stack and no row. No frame may stand twice in `source`.
    #[must_use]
    pub fn define(source: &Dictionary, definitions: &[(FrameIx, Definition)]) -> proto::Batch {
        let (encoder, rebase) = (&mut Self::default(), &mut Rebase::default());
        let mut out = Pending::new(encoder, source, rebase);
        for ix in 0..source.labels.len() {
            out.label(LabelIx(u32::try_from(ix).expect("fewer than 2^32 label sets")));
        }
        // Not taken into the encoder: nothing follows, and there can be hundreds of thousands.
        out.write_all_frames(source.frames.frames_from(FrameIx(0)));
        for (frame, definition) in definitions {
            out.write_definition(*frame, definition);
        }
        out.batch
    }
}

/// One batch on its way out.
struct Pending<'a> {
    encoder: &'a mut Encoder,
    source: &'a Dictionary,
    rebase: &'a mut Rebase,
    batch: proto::Batch,
    /// Room for the nodes of one stack.
    missing: Vec<(NodeIx, FrameIx)>,
}

impl<'a> Pending<'a> {
    fn new(encoder: &'a mut Encoder, source: &'a Dictionary, rebase: &'a mut Rebase) -> Self {
        Self { encoder, source, rebase, batch: proto::Batch::default(), missing: Vec::new() }
    }
}

/// The running value behind a delta column.
#[derive(Default)]
struct Running(i64);

impl Running {
    fn delta(&mut self, value: i64) -> i64 {
        let delta = value.wrapping_sub(self.0);
        self.0 = value;
        delta
    }
}

impl Pending<'_> {
    fn body(&mut self, body: &BatchBody) -> BatchBody {
        let (first_frame, first_node) =
            (self.encoder.dictionary.frames.len(), self.encoder.dictionary.nodes.len());
        let (mut rows, mut details) = (Vec::with_capacity(body.rows.len()), Vec::new());
        for (at, group) in body.rows.iter().enumerate() {
            let (group, of_group) =
                self.rebased_group(group, body.details.iter().find(|d| d.group == at));
            rows.push(group);
            details.extend(of_group);
        }
        let definitions = self.rebased_definitions(&body.definitions);
        self.write_frames(first_frame);
        self.write_nodes(first_node);
        for (frame, definition) in &definitions {
            self.write_definition(*frame, definition);
        }
        for group in &rows {
            self.write_rows(group);
        }
        // What samples are worth is said by the rows' period.
        details.retain(|details| self.batch.rows[details.group].period != 0);
        self.batch.details = details.iter().map(crate::details::write).collect();
        self.batch.sequence = body.sequence;
        self.batch.start_unix_ns = body.start.0;
        self.batch.duration_ns = body.duration_ns;
        self.batch.facts = Some(facts(&body.facts));
        let facts = body.facts.clone();
        let (sequence, start, duration_ns) = (body.sequence, body.start, body.duration_ns);
        BatchBody { sequence, start, duration_ns, definitions, rows, details, facts }
    }

    fn string(&mut self, text: &Arc<str>) -> u32 {
        if text.is_empty() {
            return 0;
        }
        if let Some(&ix) = self.encoder.strings.get(text) {
            return ix;
        }
        let ix = u32::try_from(self.encoder.strings.len() + 1).expect("fewer than 2^32 strings");
        self.encoder.strings.insert(Arc::clone(text), ix);
        self.batch.strings.push(text.to_string());
        ix
    }

    fn build(&mut self, build_id: &BuildId) -> u32 {
        let known = self.encoder.builds.get(build_id).copied();
        let news = self.source.modules.get(build_id).filter(|module| {
            self.encoder.dictionary.modules.learn(build_id, Module::clone(module))
        });
        match (known, news) {
            (Some(ix), None) => ix,
            (known, news) => {
                let (name, main_executable) = news.map_or((0, false), |module| {
                    (self.string(&module.name), module.main_executable)
                });
                // A build that is told again with a better module gets one more index.
                let next = self.encoder.builds_sent;
                self.encoder.builds_sent += 1;
                self.encoder.builds.insert(build_id.clone(), known.unwrap_or(next));
                self.batch.builds.push(proto::Build {
                    kind: kind_code(build_id.kind()),
                    id: build_id.as_bytes().to_vec().into(),
                    module: name,
                    main_executable,
                });
                known.unwrap_or(next)
            }
        }
    }

    fn rebased_group(
        &mut self,
        group: &RowGroup,
        details: Option<&Details>,
    ) -> (RowGroup, Option<Details>) {
        let mut rows: Vec<SampleRow> = group.rows.iter().map(|row| self.rebased_row(row)).collect();
        let key = |row: &SampleRow| (row.series, row.attributes, row.node);
        let details = if let Some(details) = details {
            let mut order: Vec<usize> = (0..rows.len()).collect();
            order.sort_unstable_by_key(|at| key(&rows[*at]));
            let mut places = vec![0; rows.len()];
            (0u32..).zip(&order).for_each(|(place, at)| places[*at] = place);
            rows = order.iter().map(|at| rows[*at]).collect();
            Some(crate::details::moved(details, &places))
        } else {
            rows.sort_unstable_by_key(key);
            None
        };
        (RowGroup { profile_type: group.profile_type.clone(), period: group.period, rows }, details)
    }

    fn rebased_row(&mut self, row: &SampleRow) -> SampleRow {
        SampleRow {
            series: self.label(row.series),
            attributes: self.label(row.attributes),
            node: self.node(row.node),
            ..*row
        }
    }

    fn label(&mut self, ix: LabelIx) -> LabelIx {
        let known = *slot(&mut self.rebase.labels, ix.at());
        if known != NOWHERE {
            return LabelIx(known);
        }
        let set = self.source.labels.get(ix);
        let known = self.encoder.dictionary.labels.len();
        let to = self.encoder.dictionary.labels.intern(set);
        if to.at() == known {
            self.write_label_set(set);
        }
        self.rebase.labels[ix.at()] = to.0;
        to
    }

    fn write_label_set(&mut self, set: &LabelSet) {
        let texts = set.iter().flat_map(|(name, value)| [self.string(name), self.string(value)]);
        let texts = texts.collect();
        self.batch.label_sets.push(proto::LabelSet { texts });
    }

    fn node(&mut self, ix: NodeIx) -> NodeIx {
        let known = *slot(&mut self.rebase.nodes, ix.at());
        if known != NOWHERE { NodeIx(known) } else { self.new_node(ix) }
    }

    /// As [`Self::node`] for a node that has no place yet.
    fn new_node(&mut self, ix: NodeIx) -> NodeIx {
        let mut missing = std::mem::take(&mut self.missing);
        let mut at = ix;
        let mut to = loop {
            let Some(frame) = self.source.nodes.frame(at) else {
                break NodeIx::ROOT;
            };
            // Parents have smaller numbers: there are slots for all of them.
            let known = self.rebase.nodes[at.at()];
            if known != NOWHERE {
                break NodeIx(known);
            }
            missing.push((at, frame));
            at = self.source.nodes.parent(at);
        };
        for (node, frame) in missing.drain(..).rev() {
            let frame = self.frame(frame);
            to = self.encoder.dictionary.nodes.child(to, frame);
            self.rebase.nodes[node.at()] = to.0;
        }
        self.missing = missing;
        to
    }

    fn frame(&mut self, ix: FrameIx) -> FrameIx {
        let known = slot(&mut self.rebase.frames, ix.at());
        if *known == NOWHERE {
            let (frames, source) = (&mut self.encoder.dictionary.frames, &self.source.frames);
            *known = frames.intern_with_id(source.id(ix), source.frame(ix)).0;
        }
        FrameIx(*known)
    }

    fn rebased_definitions(&mut self, all: &[(FrameIx, Definition)]) -> Vec<(FrameIx, Definition)> {
        let mut news = Vec::new();
        for (frame, definition) in all {
            let to = self.frame(*frame);
            if self.encoder.definitions.learn(self.source.frames.id(*frame), definition.clone()) {
                news.push((to, definition.clone()));
            }
        }
        news
    }
}

fn slot(slots: &mut Vec<u32>, at: usize) -> &mut u32 {
    if slots.len() <= at {
        reserve_quarter(slots, at + 1 - slots.len());
        slots.resize(at + 1, NOWHERE);
    }
    &mut slots[at]
}

pub(crate) fn kind_code(kind: BuildIdKind) -> u32 {
    match kind {
        BuildIdKind::Gnu => 1,
        BuildIdKind::Go => 2,
        BuildIdKind::Content => 3,
    }
}
