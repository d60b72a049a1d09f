//! From stacks and columns to a pprof message.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use prost::Message;
use stoker_dag::{
    BuildId, DefinitionMap, Frame, FrameIx, FrameTable, LabelIx, ModuleMap, NodeId, NodeIx,
    NodeTable, Profile, ProfileType,
};

use super::build::{Builder, ModuleName, signed};
use super::proto;
use super::{MAIN_EXECUTABLE, PprofSource};
use crate::WriteError;
use crate::import::Imported;

/// Writes the gzipped message of one profile.
///
/// # Errors
/// When a value is above 2^63 - 1, or `out` does not take the bytes.
pub fn write(source: &PprofSource<'_>, out: impl Write) -> Result<(), WriteError> {
    gzip(&message(source)?, out)
}

/// Writes the gzipped message of all profiles of a file that was read: one column of values each,
/// over one table of stacks, with labels. `module` says what the module of a frame is called.
///
/// # Errors
/// When a value is above 2^63 - 1, or `out` does not take the bytes.
pub fn write_imported(
    imported: &Imported,
    module: ModuleName<'_>,
    out: impl Write,
) -> Result<(), WriteError> {
    let mut builder = Builder::new(module);
    let default = imported.default_profile();
    let counter = counter(imported);
    if counter.is_some() {
        let samples = builder.value_type("samples", "count");
        builder.message.sample_type.push(samples);
    }
    for profile in &imported.profiles {
        let [_, kind, unit, ..] = parts(&profile.profile_type);
        let column = builder.value_type(kind, unit);
        builder.message.sample_type.push(column);
    }
    let [_, kind, _, period_kind, period_unit] = parts(&default.profile_type);
    builder.message.default_sample_type = builder.string(kind);
    builder.message.period_type = Some(builder.value_type(period_kind, period_unit));
    builder.message.period = signed("the period", default.period)?;
    builder.message.time_nanos = signed("the start", default.start.map_or(0, |start| start.0))?;
    builder.message.duration_nanos = signed("the duration", default.duration_ns)?;
    for comment in &imported.comments {
        let comment = builder.clean(comment);
        builder.message.comment.push(comment);
    }
    let leaves = imported.profiles.iter().flat_map(|profile| &profile.rows).map(|row| row.node);
    let tables = Tables::new(&imported.frames, &imported.nodes, &imported.definitions, leaves);
    for ((_, node, attributes), values) in joined(imported, &tables, counter)? {
        let label = builder.labels(imported.attributes.get(attributes));
        let location_id = tables.leaf_first(node);
        builder.message.sample.push(proto::Sample { location_id, value: values, label });
    }
    tables.locations(&mut builder);
    gzip(&builder.message, out)
}

/// Values by stack and labels, in an order that does not depend on that of arrival.
type Joined = BTreeMap<(NodeId, NodeIx, LabelIx), Vec<i64>>;

/// The profile whose sample counts need a column of their own, because no column counts anything.
fn counter(imported: &Imported) -> Option<usize> {
    let counts = imported.profiles.iter().any(|profile| profile.unit() == "count");
    (!counts).then_some(imported.default)
}

fn joined(
    imported: &Imported,
    tables: &Tables<'_>,
    counter: Option<usize>,
) -> Result<Joined, WriteError> {
    let mut joined = Joined::new();
    let first = usize::from(counter.is_some());
    let columns = imported.profiles.len() + first;
    for (at, profile) in imported.profiles.iter().enumerate() {
        for row in &profile.rows {
            let key = (tables.ids[row.node.at()], row.node, row.attributes);
            let values = joined.entry(key).or_insert_with(|| vec![0; columns]);
            add(&mut values[first + at], row.value)?;
            if counter == Some(at) {
                add(&mut values[0], row.count)?;
            }
        }
    }
    Ok(joined)
}

fn add(held: &mut i64, value: u64) -> Result<(), WriteError> {
    *held = signed("a value", held.unsigned_abs().saturating_add(value))?;
    Ok(())
}

fn gzip(message: &proto::Profile, out: impl Write) -> Result<(), WriteError> {
    let mut gzip = GzEncoder::new(out, Compression::fast());
    gzip.write_all(&message.encode_to_vec())?;
    gzip.finish()?;
    Ok(())
}

/// The message of one profile: the number of samples, and the value.
///
/// # Errors
/// When a value is above 2^63 - 1.
pub fn message(source: &PprofSource<'_>) -> Result<proto::Profile, WriteError> {
    let mut builder = Builder::new(source.module);
    let profile = source.profile;
    let [_, kind, unit, period_kind, period_unit] = parts(source.profile_type);
    let samples = builder.value_type("samples", "count");
    let values = builder.value_type(kind, unit);
    builder.message.sample_type = vec![samples, values];
    builder.message.default_sample_type = values.r#type;
    builder.message.period_type = Some(builder.value_type(period_kind, period_unit));
    let comment = builder.clean(source.comment);
    builder.message.comment = vec![comment];
    let leaves = profile.rows().map(|(node, _, _)| node);
    let tables = Tables::new(&profile.frames, &profile.nodes, &profile.definitions, leaves);
    for build_id in tables.main_executables(source.modules) {
        let comment = builder.clean(&format!("{MAIN_EXECUTABLE}{build_id}"));
        builder.message.comment.push(comment);
    }
    let stacks = Stacks::new(profile, unit, &tables.ids);
    for (node, value, count) in stacks.rows {
        builder.message.sample.push(proto::Sample {
            location_id: tables.leaf_first(node),
            value: vec![signed("a number of samples", count)?, signed("a value", value)?],
            label: Vec::new(),
        });
    }
    tables.locations(&mut builder);
    builder.message.time_nanos = signed("the start", source.start.0)?;
    builder.message.duration_nanos = signed("the duration", source.duration_ns)?;
    builder.message.period = signed("the period", stacks.period)?;
    Ok(builder.message)
}

/// The five parts of a profile type.
fn parts(profile_type: &ProfileType) -> [&str; 5] {
    let mut parts = profile_type.as_str().split(':');
    [(); 5].map(|()| parts.next().unwrap_or_default())
}

/// The frames of the stacks that end at `leaves`, in order of index.
fn used_frames(
    frames: &FrameTable,
    nodes: &NodeTable,
    leaves: impl Iterator<Item = NodeIx>,
) -> Vec<FrameIx> {
    let mut seen = vec![false; nodes.len()];
    let mut used = vec![false; frames.len()];
    for leaf in leaves {
        let mut at = leaf;
        while !std::mem::replace(&mut seen[at.at()], true)
            && let Some(frame) = nodes.frame(at)
        {
            used[frame.at()] = true;
            at = nodes.parent(at);
        }
    }
    (0u32..).map(FrameIx).zip(used).filter(|(_, used)| *used).map(|(frame, _)| frame).collect()
}

/// The stacks that are written, with the number of each frame as a location.
struct Tables<'a> {
    frames: &'a FrameTable,
    nodes: &'a NodeTable,
    definitions: &'a DefinitionMap,
    ids: Vec<NodeId>,
    /// Frames in order of identity, and where each frame stands in it, from 1 on.
    order: Vec<FrameIx>,
    numbers: Vec<u64>,
}

impl<'a> Tables<'a> {
    fn new(
        frames: &'a FrameTable,
        nodes: &'a NodeTable,
        definitions: &'a DefinitionMap,
        leaves: impl Iterator<Item = NodeIx>,
    ) -> Self {
        let mut order = used_frames(frames, nodes, leaves);
        order.sort_by_key(|frame| frames.id(*frame));
        let mut numbers = vec![0; frames.len()];
        for (number, frame) in (1u64..).zip(&order) {
            numbers[frame.at()] = number;
        }
        Self { frames, nodes, definitions, ids: nodes.ids(frames), order, numbers }
    }

    fn leaf_first(&self, node: NodeIx) -> Vec<u64> {
        let stack = self.nodes.stack(node);
        stack.iter().rev().map(|frame| self.numbers[frame.at()]).collect()
    }

    fn main_executables(&self, modules: &ModuleMap) -> BTreeSet<&'a BuildId> {
        let frames = self.order.iter().map(|frame| self.frames.frame(*frame));
        let is_main =
            |build_id: &&BuildId| modules.get(build_id).is_some_and(|m| m.main_executable);
        frames.filter_map(Frame::build_id).filter(is_main).collect()
    }

    fn locations(&self, builder: &mut Builder<'_>) {
        for &frame in &self.order {
            let definition = self.definitions.get(&self.frames.id(frame));
            builder.location(self.numbers[frame.at()], self.frames.frame(frame), definition);
        }
    }
}

/// Rows in an order that does not depend on that of arrival, and the period they share.
struct Stacks {
    rows: Vec<(NodeIx, u64, u64)>,
    period: u64,
}

impl Stacks {
    fn new(profile: &Profile, unit: &str, ids: &[NodeId]) -> Self {
        let mut rows: Vec<_> = profile.rows().collect();
        rows.sort_by_key(|(node, _, _)| ids[node.at()]);
        let each =
            rows.first().map_or(0, |(_, value, count)| value.checked_div(*count).unwrap_or(0));
        let is_shared = |&(_, value, count): &(_, u64, u64)| count.checked_mul(each) == Some(value);
        let timed = unit == "nanoseconds";
        let period = if timed && rows.iter().all(is_shared) { each } else { 0 };
        Self { rows, period }
    }
}
