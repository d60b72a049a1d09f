//! From the wire to the model. Nothing of what a peer says is believed: every size, index and order
//! is checked against [`limits`] before memory is taken for it. An error means that
//! the two sides no longer share a dictionary, so the stream ends with it.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use stoker_dag::{
    BuildId, BuildIdKind, Definition, DefinitionSource, Frame, FrameIx, KernelImage, LabelIx,
    LabelSet, Location, Module, NodeIx, ProfileType, SampleRow, SpecialFrame, UnixNanos,
};

use crate::body::{BatchBody, CgroupUsage, Dictionary, HostFacts, LostSamples, RowGroup};
use crate::limits;
use crate::proto;

/// Why a batch cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// An index into the stream's dictionary that was never defined.
    #[error("the batch names {dictionary} {id}, which this stream has not defined")]
    UnknownId {
        /// Which dictionary.
        dictionary: &'static str,
        /// The index.
        id: u32,
    },
    /// More than a named limit allows.
    #[error("{what}: {got} exceeds the limit of {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// How large it is.
        got: usize,
        /// How large it may be.
        limit: usize,
    },
    /// Contradicts itself or the protocol.
    #[error("malformed batch: {0}")]
    Malformed(&'static str),
}

impl WireError {
    /// A stable word for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnknownId { .. } => "unknown_id",
            Self::TooLarge { .. } => "too_large",
            Self::Malformed(_) => "malformed",
        }
    }
}

/// One side of a stream: what the other side has told so far.
#[derive(Debug)]
pub struct Decoder {
    dictionary: Dictionary,
    strings: Vec<Arc<str>>,
    string_bytes: usize,
    builds: Vec<BuildId>,
    /// Where the peer's dense ids stand in the dictionary: a peer may define one thing twice.
    frames: Vec<FrameIx>,
    nodes: Vec<NodeIx>,
    depths: Vec<u16>,
    labels: Vec<LabelIx>,
}

impl Default for Decoder {
    fn default() -> Self {
        Self {
            dictionary: Dictionary::default(),
            strings: vec!["".into()],
            string_bytes: 0,
            builds: Vec::new(),
            frames: Vec::new(),
            nodes: vec![NodeIx::ROOT],
            depths: vec![0],
            labels: vec![LabelIx::default()],
        }
    }
}

impl Decoder {
    /// All that was told so far; the indexes of decoded batches are into it.
    #[must_use]
    pub fn dictionary(&self) -> &Dictionary {
        &self.dictionary
    }

    /// All that was told, when the stream is over.
    #[must_use]
    pub fn into_dictionary(self) -> Dictionary {
        self.dictionary
    }

    /// Takes in what a batch defines and gives its rows.
    ///
    /// # Errors
    /// When a limit is exceeded, an id is unknown or the batch contradicts itself. The decoder must
    /// not be used after that.
    pub fn decode(&mut self, batch: &proto::Batch) -> Result<BatchBody, WireError> {
        self.take_strings(&batch.strings)?;
        self.take_builds(&batch.builds)?;
        if let Some(frames) = &batch.frames {
            self.take_frames(frames)?;
        }
        if let Some(nodes) = &batch.nodes {
            self.take_nodes(nodes)?;
        }
        self.take_label_sets(&batch.label_sets)?;
        let definitions: Result<Vec<_>, _> =
            batch.definitions.iter().map(|definition| self.definition(definition)).collect();
        let (start, duration_ns) = window(batch)?;
        Ok(BatchBody {
            sequence: batch.sequence,
            start,
            duration_ns,
            definitions: definitions?,
            rows: self.row_groups(&batch.rows)?,
            facts: batch.facts.as_ref().map(facts).transpose()?.unwrap_or_default(),
        })
    }

    fn take_strings(&mut self, strings: &[String]) -> Result<(), WireError> {
        within(
            "strings of a stream",
            self.strings.len() + strings.len(),
            limits::MAX_STREAM_STRINGS,
        )?;
        for text in strings {
            within("bytes of a string", text.len(), limits::MAX_STRING_BYTES)?;
            self.string_bytes += text.len();
            let what = "bytes of a stream's strings";
            within(what, self.string_bytes, limits::MAX_STREAM_STRING_BYTES)?;
            self.strings.push(text.as_str().into());
        }
        Ok(())
    }

    fn string(&self, id: u32) -> Result<Arc<str>, WireError> {
        lookup(&self.strings, "string", id).cloned()
    }

    fn take_builds(&mut self, builds: &[proto::Build]) -> Result<(), WireError> {
        within("builds of a stream", self.builds.len() + builds.len(), limits::MAX_STREAM_BUILDS)?;
        for build in builds {
            let kind = build_id_kind(build.kind)?;
            let build_id = BuildId::new(kind, &build.id)
                .map_err(|_| WireError::Malformed("a build id is empty or too long"))?;
            let name = self.string(build.module)?;
            if !name.is_empty() {
                let module = Module { main_executable: build.main_executable, name };
                self.dictionary.modules.learn(&build_id, module);
            }
            self.builds.push(build_id);
        }
        Ok(())
    }

    fn take_frames(&mut self, columns: &proto::Frames) -> Result<(), WireError> {
        let count = columns.kind.len();
        within("frames of a stream", self.frames.len() + count, limits::MAX_STREAM_FRAMES)?;
        if columns.image.len() != count || columns.offset_delta.len() != count {
            return Err(WireError::Malformed("the columns of frames differ in length"));
        }
        let (mut modules, mut functions) = (columns.module.iter(), columns.function.iter());
        let mut offset = 0i64;
        for ((&kind, &image), &delta) in
            columns.kind.iter().zip(&columns.image).zip(&columns.offset_delta)
        {
            offset = offset.wrapping_add(delta);
            let names = &mut || modules.next().copied();
            let functions = &mut || functions.next().copied();
            let frame = self.frame(kind, image, offset.cast_unsigned(), names, functions)?;
            self.frames.push(self.dictionary.frames.intern(&frame));
        }
        Ok(())
    }

    fn frame(
        &self,
        kind: u32,
        image: u32,
        offset: u64,
        module: &mut dyn FnMut() -> Option<u32>,
        function: &mut dyn FnMut() -> Option<u32>,
    ) -> Result<Frame, WireError> {
        let short = || WireError::Malformed("a column of frame names is too short");
        let build = || lookup(&self.builds, "build", image).cloned();
        Ok(match kind {
            1 => Frame::Native { build_id: build()?, offset },
            2 => Frame::Kernel { image: KernelImage::Build(build()?), offset },
            3 => {
                let release = self.string(image)?;
                let module = self.string(module().ok_or_else(short)?)?;
                Frame::Kernel { image: KernelImage::Release { release, module }, offset }
            }
            4 => Frame::Interpreted {
                runtime: self.string(image)?,
                module: self.string(module().ok_or_else(short)?)?,
                function: self.string(function().ok_or_else(short)?)?,
                line: u32::try_from(offset)
                    .map_err(|_| WireError::Malformed("a line is no 32-bit number"))?,
            },
            5 => {
                let special = u8::try_from(image).ok().and_then(SpecialFrame::from_code);
                Frame::Special(special.ok_or(WireError::Malformed("unknown special frame"))?)
            }
            _ => return Err(WireError::Malformed("unknown kind of frame")),
        })
    }

    fn take_nodes(&mut self, columns: &proto::Nodes) -> Result<(), WireError> {
        let count = columns.parent_back.len();
        within("nodes of a stream", self.nodes.len() + count, limits::MAX_STREAM_NODES)?;
        if columns.frame_delta.len() != count {
            return Err(WireError::Malformed("the columns of nodes differ in length"));
        }
        let mut frame = 0i64;
        for (&back, &delta) in columns.parent_back.iter().zip(&columns.frame_delta) {
            let parent = self.parent(back)?;
            frame = frame.wrapping_add(i64::from(delta));
            let frame =
                u32::try_from(frame).map_err(|_| WireError::Malformed("a frame below 0"))?;
            let frame = *lookup(&self.frames, "frame", frame)?;
            self.push_node(parent, frame)?;
        }
        Ok(())
    }

    fn parent(&self, back: u32) -> Result<usize, WireError> {
        match self.nodes.len().checked_sub(back as usize) {
            Some(parent) if back > 0 => Ok(parent),
            _ => Err(WireError::Malformed("a node's parent does not stand before it")),
        }
    }

    fn push_node(&mut self, parent: usize, frame: FrameIx) -> Result<(), WireError> {
        let depth = self.depths[parent].saturating_add(1);
        let limit = limits::MAX_STACK_DEPTH;
        within("frames of a stack", depth.into(), limit.into())?;
        self.nodes.push(self.dictionary.nodes.child(self.nodes[parent], frame));
        self.depths.push(depth);
        Ok(())
    }

    fn take_label_sets(&mut self, sets: &[proto::LabelSet]) -> Result<(), WireError> {
        let what = "label sets of a stream";
        within(what, self.labels.len() + sets.len(), limits::MAX_STREAM_LABEL_SETS)?;
        for set in sets {
            within("labels of a set", set.texts.len() / 2, limits::MAX_LABELS)?;
            let mut pairs = Vec::with_capacity(set.texts.len() / 2);
            for pair in set.texts.chunks(2) {
                let [name, value] = *pair else {
                    return Err(WireError::Malformed("a label has no value"));
                };
                pairs.push((self.string(name)?, self.string(value)?));
            }
            self.labels.push(self.dictionary.labels.intern(&LabelSet::new(pairs)));
        }
        Ok(())
    }

    fn definition(&self, from: &proto::Definition) -> Result<(FrameIx, Definition), WireError> {
        let count = from.function.len();
        within("functions of a definition", count, limits::MAX_LOCATIONS)?;
        if from.file.len() != count || from.line.len() != count {
            return Err(WireError::Malformed("the columns of a definition differ in length"));
        }
        let source = u8::try_from(from.source).ok().and_then(DefinitionSource::from_code);
        let source = source.ok_or(WireError::Malformed("unknown source of a definition"))?;
        let location = |((&function, &file), &line): ((&u32, &u32), &u32)| {
            Ok(Location { function: self.string(function)?, file: self.string(file)?, line })
        };
        let columns = from.function.iter().zip(&from.file).zip(&from.line);
        let locations: Result<Vec<Location>, WireError> = columns.map(location).collect();
        let frame = *lookup(&self.frames, "frame", from.frame)?;
        Ok((frame, Definition { source, locations: locations?.into() }))
    }

    /// Rows over what was told so far. Storage keeps dictionary and rows in blocks of their own.
    ///
    /// # Errors
    /// As [`Self::decode`], but the decoder remains usable: rows define nothing.
    pub fn row_groups(&self, groups: &[proto::Rows]) -> Result<Vec<RowGroup>, WireError> {
        let rows = groups.iter().map(|group| group.node_delta.len()).sum();
        within("rows of a batch", rows, limits::MAX_BATCH_ROWS)?;
        groups.iter().map(|group| self.row_group(group)).collect()
    }

    fn row_group(&self, from: &proto::Rows) -> Result<RowGroup, WireError> {
        let profile_type = ProfileType::parse(&self.string(from.profile_type)?)
            .map_err(|_| WireError::Malformed("unknown profile type"))?;
        check_row_columns(from)?;
        let mut rows = Vec::with_capacity(from.node_delta.len());
        for run in 0..from.run_length.len() {
            let series = *lookup(&self.labels, "label set", from.run_series[run])?;
            let attributes = *lookup(&self.labels, "label set", from.run_attributes[run])?;
            let mut node = 0u32;
            for _ in 0..from.run_length[run] {
                let at = rows.len();
                node = node
                    .checked_add(from.node_delta[at])
                    .ok_or(WireError::Malformed("a node beyond 32 bits"))?;
                let (value, count) = value_and_count(from, at)?;
                let node = *lookup(&self.nodes, "node", node)?;
                rows.push(SampleRow { series, attributes, node, value, count });
            }
        }
        Ok(RowGroup { profile_type, period: from.period, rows })
    }
}

fn check_row_columns(from: &proto::Rows) -> Result<(), WireError> {
    let (runs, rows) = (from.run_length.len(), from.node_delta.len());
    let counts = if from.period == 0 { rows } else { 0 };
    let lengths_fit = from.run_series.len() == runs
        && from.run_attributes.len() == runs
        && from.value.len() == rows
        && from.count.len() == counts;
    let in_runs = from.run_length.iter().map(|&length| u64::from(length)).sum::<u64>();
    if !lengths_fit || in_runs != rows as u64 {
        return Err(WireError::Malformed("the columns of rows differ in length"));
    }
    Ok(())
}

fn value_and_count(from: &proto::Rows, at: usize) -> Result<(u64, u64), WireError> {
    if from.period == 0 {
        return Ok((from.value[at], from.count[at]));
    }
    let count = from.value[at];
    let value = count.checked_mul(from.period);
    Ok((value.ok_or(WireError::Malformed("a value beyond 64 bits"))?, count))
}

fn window(batch: &proto::Batch) -> Result<(UnixNanos, u64), WireError> {
    let start = UnixNanos(batch.start_unix_ns);
    let last = batch.start_unix_ns.checked_add(batch.duration_ns.saturating_sub(1));
    let last = UnixNanos(last.ok_or(WireError::Malformed("a time beyond 64 bits"))?);
    if last.window_start() != start.window_start() {
        return Err(WireError::Malformed("a batch spans more than one window of 10 s"));
    }
    Ok((start, batch.duration_ns))
}

fn facts(from: &proto::HostFacts) -> Result<HostFacts, WireError> {
    within("reasons for loss", from.lost.len(), limits::MAX_FACTS)?;
    within("control groups", from.cgroup_usage.len(), limits::MAX_FACTS)?;
    within("bytes of a string", from.sample_source.len(), limits::MAX_STRING_BYTES)?;
    // Reasons and paths repeat from batch to batch; sharing them is the reader's business.
    let mut shared: FxHashMap<&str, Arc<str>> = FxHashMap::default();
    let mut share = |text| Arc::clone(shared.entry(text).or_insert_with(|| text.into()));
    let lost = from.lost.iter();
    let usage = from.cgroup_usage.iter();
    Ok(HostFacts {
        observed_ns: from.observed_ns,
        cpus: from.cpus,
        samples_expected: from.samples_expected,
        samples_taken: from.samples_taken,
        lost: lost.map(|l| LostSamples { reason: share(&l.reason), samples: l.samples }).collect(),
        cgroup_usage: usage
            .map(|u| CgroupUsage { path: share(&u.path), usage_usec: u.usage_usec })
            .collect(),
        sample_source: share(&from.sample_source),
        frequency_hz: from.frequency_hz,
        stacks_complete: from.stacks_complete,
        stacks_truncated: from.stacks_truncated,
        stacks_failed: from.stacks_failed,
        busy_ns: from.busy_ns,
    })
}

fn build_id_kind(code: u32) -> Result<BuildIdKind, WireError> {
    let all = [BuildIdKind::Gnu, BuildIdKind::Go, BuildIdKind::Content];
    let found = all.into_iter().find(|kind| crate::encode::kind_code(*kind) == code);
    found.ok_or(WireError::Malformed("unknown kind of build id"))
}

fn lookup<'a, T>(table: &'a [T], dictionary: &'static str, id: u32) -> Result<&'a T, WireError> {
    table.get(id as usize).ok_or(WireError::UnknownId { dictionary, id })
}

fn within(what: &'static str, got: usize, limit: usize) -> Result<(), WireError> {
    if got > limit { Err(WireError::TooLarge { what, got, limit }) } else { Ok(()) }
}
