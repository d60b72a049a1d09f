//! From the wire to the model. Nothing of what a peer says is believed: every size, index and order
//! is checked against [`limits`] before memory is taken for it. An error means that
//! the two sides no longer share a dictionary, so the stream ends with it.

use std::sync::Arc;

use stoker_dag::{
    BuildId, BuildIdKind, Definition, DefinitionSource, Frame, FrameIx, LabelIx, LabelSet,
    Location, Module,
};

use crate::body::{BatchBody, Dictionary};
use crate::limits;
use crate::proto;
use facts::facts;
use rows::window;

mod facts;
mod rows;
mod stacks;

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

/// A node of a stream: two columns, its depth, and where it stands in the log; columns that grow by a
/// quarter.
const BYTES_PER_NODE: usize = 18;
/// A frame of a stream, likewise: the frame, its id and whether that is known, and where it stands in the log.
const BYTES_PER_FRAME: usize = 100;

const _: () = assert!(BYTES_PER_FRAME >= (size_of::<Frame>() + 20 + 4) * 5 / 4);

/// One side of a stream: what the other side has told so far.
#[derive(Debug)]
pub struct Decoder {
    dictionary: Dictionary,
    strings: Vec<Arc<str>>,
    string_bytes: usize,
    builds: Vec<BuildId>,
    /// Of every node, the root first.
    depths: Vec<u16>,
    /// Where the peer's dense ids stand in the dictionary: a peer may define one set twice. Frames and
    /// nodes it has there as often as they were told, in their order: whoever stores them looks them up
    /// anyway, and a table without look-ups costs a stream a third.
    labels: Vec<LabelIx>,
    /// Whether ids of frames are computed when they are asked for.
    ids_are_late: bool,
}

impl Default for Decoder {
    fn default() -> Self {
        Self {
            dictionary: Dictionary::default(),
            strings: vec!["".into()],
            string_bytes: 0,
            builds: Vec::new(),
            depths: vec![0],
            labels: vec![LabelIx::default()],
            ids_are_late: false,
        }
    }
}

impl Decoder {
    /// A decoder for a dictionary of which few frames may be looked at: their ids are computed when they are
    /// asked for. (Who stores what a stream tells asks for all, and under a lock.)
    #[must_use]
    pub fn with_late_ids() -> Self {
        Self { ids_are_late: true, ..Self::default() }
    }

    /// All that was told so far; the indexes of decoded batches are into it.
    #[must_use]
    pub fn dictionary(&self) -> &Dictionary {
        &self.dictionary
    }

    /// About how much memory it takes, in bytes: tables with their indexes, and what the other side of a
    /// server's stream remembers of them.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let Dictionary { nodes, frames, labels, .. } = &self.dictionary;
        nodes.len() * BYTES_PER_NODE
            + frames.len() * BYTES_PER_FRAME
            + labels.len() * 560
            + self.string_bytes
            + self.strings.len() * 48
            + self.builds.len() * 96
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
        let rows = self.row_groups(&batch.rows)?;
        let details = crate::details::read(&batch.details, &rows)?;
        Ok(BatchBody {
            sequence: batch.sequence,
            start,
            duration_ns,
            definitions: definitions?,
            rows,
            details,
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
        let source = source.filter(|source| source.is_from_agent());
        let source = source.ok_or(WireError::Malformed("unknown source of a definition"))?;
        let location = |((&function, &file), &line): ((&u32, &u32), &u32)| {
            Ok(Location { function: self.string(function)?, file: self.string(file)?, line })
        };
        let columns = from.function.iter().zip(&from.file).zip(&from.line);
        let locations: Result<Vec<Location>, WireError> = columns.map(location).collect();
        let frame = self.known_frame(from.frame)?;
        Ok((frame, Definition { source, locations: locations?.into() }))
    }
}

fn build_id_kind(code: u32) -> Result<BuildIdKind, WireError> {
    let all = [BuildIdKind::Gnu, BuildIdKind::Go, BuildIdKind::Content];
    let found = all.into_iter().find(|kind| crate::encode::kind_code(*kind) == code);
    found.ok_or(WireError::Malformed("unknown kind of build id"))
}

fn known(dictionary: &'static str, id: u32, count: usize) -> Result<u32, WireError> {
    if (id as usize) < count { Ok(id) } else { Err(WireError::UnknownId { dictionary, id }) }
}

fn lookup<'a, T>(table: &'a [T], dictionary: &'static str, id: u32) -> Result<&'a T, WireError> {
    table.get(id as usize).ok_or(WireError::UnknownId { dictionary, id })
}

pub(crate) fn within(what: &'static str, got: usize, limit: usize) -> Result<(), WireError> {
    if got > limit { Err(WireError::TooLarge { what, got, limit }) } else { Ok(()) }
}
