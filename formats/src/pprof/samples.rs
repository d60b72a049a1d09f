//! The samples: the long loop of a pprof. A location is turned into frames when the first sample
//! names it; after that it is a range of indices.

use rustc_hash::FxHashMap;
use stoker_dag::{FrameIx, LabelIx, NodeIx};

use super::frames::Frames;
use super::labels;
use super::message::{Message, malformed};
use super::prune::{Cut, Pruner, remaining};
use super::tables::Tables;
use super::types::Column;
use super::wire::{Fields, Value, WireError, signed, varint};
use crate::error::{Place, ReadError};
use crate::import::{Imported, ImportedRow};
use crate::limits::Limits;

/// The frames of a location.
#[derive(Debug, Clone, Copy)]
struct Made {
    /// The frame where there is one; where there are several, the first of them in a list.
    first: u32,
    frames: u32,
}

/// No sample has named the location yet.
const NOT_MADE: Made = Made { first: 0, frames: u32::MAX };

pub(super) struct Samples<'m, 'a> {
    message: &'m Message<'a>,
    tables: &'m Tables,
    limits: &'m Limits,
    pruner: Option<&'m Pruner>,
    frames: Frames<'m, 'a>,
    made: Vec<Made>,
    /// Frames of locations that have several, outermost first.
    lists: Vec<FrameIx>,
    cuts: Vec<Cut>,
    label_sets: FxHashMap<Vec<u8>, LabelIx>,
}

/// One sample, its memory used again for the next.
#[derive(Default)]
struct Sample<'a> {
    /// Indices of locations, leaf first.
    locations: Vec<u32>,
    values: Vec<i64>,
    labels: Vec<&'a [u8]>,
}

impl<'m, 'a> Samples<'m, 'a> {
    pub(super) fn new(
        message: &'m Message<'a>,
        tables: &'m Tables,
        limits: &'m Limits,
        pruner: Option<&'m Pruner>,
        imported: &mut Imported,
    ) -> Result<Self, ReadError> {
        let count = message.locations.len();
        if imported.nodes.is_empty() {
            // Nothing is known yet, so that nearly everything will be new. An id takes two bytes in
            // a file of some size.
            let bytes: usize = message.samples.iter().map(|sample| sample.len()).sum();
            imported.nodes.reserve_stacks((bytes / 2).min(limits.nodes), message.samples.len());
            imported.frames.reserve(count);
            imported.definitions.reserve(count);
        }
        Ok(Self {
            message,
            tables,
            limits,
            pruner,
            frames: Frames::new(message, tables, pruner, limits, imported)?,
            made: vec![NOT_MADE; count],
            lists: Vec::new(),
            cuts: vec![Cut::Stays; if pruner.is_some() { count } else { 0 }],
            label_sets: FxHashMap::default(),
        })
    }

    /// Reads every sample into `rows`, one column each.
    pub(super) fn read(
        &mut self,
        columns: &[Column],
        rows: &mut [Vec<ImportedRow>],
        imported: &mut Imported,
    ) -> Result<(), ReadError> {
        let mut sample = Sample::default();
        let mut stack = Vec::new();
        for (index, bytes) in self.message.samples.iter().enumerate() {
            let place = || self.message.place("sample", index, bytes);
            self.parse(bytes, &mut sample, place)?;
            check_values(&sample.values, columns.len(), place)?;
            let node = self.node(&mut sample, &mut stack, index, imported)?;
            let attributes = self.attributes(&sample.labels, index, imported)?;
            for (column, rows) in columns.iter().enumerate().zip(&mut *rows) {
                push_row(column, &sample.values, node, attributes, rows);
            }
        }
        imported.notes.records += self.message.samples.len() as u64;
        Ok(())
    }

    fn parse(
        &self,
        bytes: &'a [u8],
        sample: &mut Sample<'a>,
        place: impl Fn() -> Place,
    ) -> Result<(), ReadError> {
        sample.locations.clear();
        sample.values.clear();
        sample.labels.clear();
        let wire = |error: WireError| malformed(place(), error.problem());
        let mut fields = Fields::new(bytes);
        while let Some(field) = fields.next().map_err(wire)? {
            match field {
                (1, Value::Bytes(mut packed)) => {
                    while !packed.is_empty() {
                        let id = varint(&mut packed).map_err(wire)?;
                        sample.locations.push(self.location(id, &place)?);
                    }
                }
                (1, Value::Varint(id)) => sample.locations.push(self.location(id, &place)?),
                (2, Value::Bytes(mut packed)) => {
                    while !packed.is_empty() {
                        sample.values.push(signed(varint(&mut packed).map_err(wire)?));
                    }
                }
                (2, Value::Varint(value)) => sample.values.push(signed(value)),
                (3, Value::Bytes(label)) => sample.labels.push(label),
                _ => {}
            }
        }
        Ok(())
    }

    #[inline]
    fn location(&self, id: u64, place: &impl Fn() -> Place) -> Result<u32, ReadError> {
        let index = self.tables.location_ids.get(id).and_then(|index| u32::try_from(index).ok());
        index.ok_or_else(|| {
            malformed(place(), format!("it names location {id}, which is not there"))
        })
    }

    /// The node of a sample's stack.
    fn node(
        &mut self,
        sample: &mut Sample<'_>,
        stack: &mut Vec<FrameIx>,
        index: usize,
        imported: &mut Imported,
    ) -> Result<NodeIx, ReadError> {
        if self.pruner.is_some() {
            self.prune(&mut sample.locations, imported)?;
        }
        let mut node = NodeIx::ROOT;
        let mut depth = 0;
        for &location in sample.locations.iter().rev() {
            let mut made = self.made[location as usize];
            if made.frames == NOT_MADE.frames {
                made = self.make(location as usize, imported)?;
            }
            depth += made.frames as usize;
            if made.frames == 1 {
                node = imported.nodes.child(node, FrameIx(made.first));
                continue;
            }
            for &frame in self.list(made) {
                node = imported.nodes.child(node, frame);
            }
        }
        let place = || self.message.place("sample", index, self.message.samples[index]);
        if depth > self.limits.stack_depth {
            stack.clear();
            for &location in sample.locations.iter().rev() {
                match self.made[location as usize] {
                    Made { first, frames: 1 } => stack.push(FrameIx(first)),
                    made => stack.extend_from_slice(self.list(made)),
                }
            }
            node = imported.leaf(stack, self.limits, place)?;
        }
        imported.check_nodes(self.limits, place)?;
        Ok(node)
    }

    fn list(&self, made: Made) -> &[FrameIx] {
        let first = made.first as usize;
        &self.lists[first..first + made.frames as usize]
    }

    fn prune(
        &mut self,
        locations: &mut Vec<u32>,
        imported: &mut Imported,
    ) -> Result<(), ReadError> {
        for &location in &*locations {
            if self.made[location as usize].frames == NOT_MADE.frames {
                self.make(location as usize, imported)?;
            }
        }
        let cuts = locations.iter().map(|&location| self.cuts[location as usize]);
        if let Some(kept) = remaining(cuts) {
            locations.drain(..locations.len() - kept);
            imported.notes.pruned_stacks += 1;
        }
        Ok(())
    }

    fn make(&mut self, location: usize, imported: &mut Imported) -> Result<Made, ReadError> {
        let from = self.lists.len();
        let cut = self.frames.of(location, imported, &mut self.lists)?;
        if let Some(held) = self.cuts.get_mut(location) {
            *held = cut;
        }
        let index = |at: usize| {
            let place = Place::Entry { table: "location", index: location, byte: None };
            let limit = u32::MAX as usize;
            u32::try_from(at).map_err(|_| ReadError::TooLarge { what: "frames", limit, place })
        };
        let made = match self.lists[from..] {
            [single] => {
                self.lists.truncate(from);
                Made { first: single.0, frames: 1 }
            }
            _ => Made { first: index(from)?, frames: index(self.lists.len() - from)? },
        };
        self.made[location] = made;
        Ok(made)
    }

    fn attributes(
        &mut self,
        labels: &[&[u8]],
        index: usize,
        imported: &mut Imported,
    ) -> Result<LabelIx, ReadError> {
        if labels.is_empty() {
            return Ok(LabelIx::default());
        }
        // Equal bytes are equal sets; lengths keep neighbours apart.
        let mut key = Vec::with_capacity(labels.iter().map(|label| label.len() + 8).sum());
        for label in labels {
            key.extend_from_slice(&label.len().to_le_bytes());
            key.extend_from_slice(label);
        }
        if let Some(&known) = self.label_sets.get(&key) {
            return Ok(known);
        }
        let place = || self.message.place("sample", index, self.message.samples[index]);
        let set = labels::set(self.message, labels, self.limits, &mut imported.notes, place)?;
        let known = imported.attributes.find(&set);
        let ix = imported.label_ix(&set, self.limits);
        // What lost its labels is counted each time, and not remembered without bound.
        if known.is_some() || ix != LabelIx::default() {
            self.label_sets.insert(key, ix);
        }
        Ok(ix)
    }
}

fn check_values(
    values: &[i64],
    columns: usize,
    place: impl Fn() -> Place,
) -> Result<(), ReadError> {
    if values.len() != columns {
        let problem = format!("it has {} values for {columns} value types", values.len());
        return Err(malformed(place(), problem));
    }
    match values.iter().find(|value| **value < 0) {
        Some(value) => {
            let problem = format!(
                "a value is {value}: a difference of two profiles cannot be imported; \
                 import both and compare them"
            );
            Err(malformed(place(), problem))
        }
        None => Ok(()),
    }
}

fn push_row(
    (at, column): (usize, &Column),
    values: &[i64],
    node: NodeIx,
    attributes: LabelIx,
    rows: &mut Vec<ImportedRow>,
) {
    let value = values[at].unsigned_abs();
    let count = match column.counted_by {
        Some(counter) => values[counter].unsigned_abs(),
        None => u64::from(value != 0),
    };
    if value != 0 || count != 0 {
        rows.push(ImportedRow { node, attributes, value, count });
    }
}
