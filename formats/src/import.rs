//! What every reader gives: stacks once, in one table of nodes, and a column of values for each
//! thing that was measured.

use stoker_dag::{
    DefinitionMap, Frame, FrameIx, FrameTable, LabelIx, LabelSet, LabelTable, ModuleMap, NodeIx,
    NodeTable, Profile, ProfileType, SpecialFrame, UnixNanos,
};

use crate::Format;
use crate::error::{Place, ReadError};
use crate::limits::{Limits, MAX_COMMENTS, MAX_NAMED_LINES};

/// How a profile's values are to be understood over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProfileKind {
    /// What happened within the profile's duration: two profiles add up.
    Delta,
    /// What happened since the process started, as Go's heap and mutex profiles without a duration:
    /// two of them are subtracted.
    Cumulative,
    /// What was there at one moment, as memory in use: it neither adds up nor subtracts.
    Gauge,
}

/// One sample row of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ImportedRow {
    /// The stack, in the file's node table.
    pub node: NodeIx,
    /// The sample's labels, in the file's attribute table.
    pub attributes: LabelIx,
    /// In the profile type's unit.
    pub value: u64,
    /// How many samples, allocations or events the value stands for.
    pub count: u64,
}

/// One thing that was measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedProfile {
    /// What values count.
    pub profile_type: ProfileType,
    /// How values are to be understood over time.
    pub kind: ProfileKind,
    /// Units of the period type between two samples; 0 where the file does not say.
    pub period: u64,
    /// When the profile starts, where the file says.
    pub start: Option<UnixNanos>,
    /// How long it is; 0 where the file does not say.
    pub duration_ns: u64,
    /// Rows that have a value or a count. A (node, attributes) pair may stand in several.
    pub rows: Vec<ImportedRow>,
}

impl ImportedProfile {
    /// The sum of all values; readers refuse files where it does not fit.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.rows.iter().fold(0, |sum, row| sum.saturating_add(row.value))
    }

    /// The number of all samples.
    #[must_use]
    pub fn samples(&self) -> u64 {
        self.rows.iter().fold(0, |sum, row| sum.saturating_add(row.count))
    }

    /// Adds what another profile of this type holds.
    fn append(&mut self, other: Self) {
        self.rows.extend(other.rows);
        self.duration_ns = self.duration_ns.saturating_add(other.duration_ns);
        self.start = [self.start, other.start].into_iter().flatten().min();
        if self.period != other.period {
            self.period = 0;
        }
    }

    /// The unit of values.
    #[must_use]
    pub fn unit(&self) -> &str {
        self.profile_type.unit()
    }
}

/// A line that a text format does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidLine {
    /// From 1 on.
    pub line: usize,
    /// What is wrong with it.
    pub problem: &'static str,
}

/// What a reader met besides samples. Nothing is left out silently: it is counted here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notes {
    /// Samples, events or lines that were read.
    pub records: u64,
    /// Lines that are no part of the format.
    pub invalid_lines: u64,
    /// The first of them.
    pub first_invalid: Vec<InvalidLine>,
    /// Stacks of which only the innermost frames were kept.
    pub truncated_stacks: u64,
    /// Names that were cut.
    pub cut_names: u64,
    /// Samples that lost labels to a limit.
    pub lost_labels: u64,
    /// Stacks that lost frames because the file asks for that (pprof's `drop_frames`).
    pub pruned_stacks: u64,
}

impl Notes {
    pub(crate) fn invalid_line(&mut self, line: usize, problem: &'static str) {
        self.invalid_lines += 1;
        if self.first_invalid.len() < MAX_NAMED_LINES {
            self.first_invalid.push(InvalidLine { line, problem });
        }
    }
}

/// A file that was read.
#[derive(Debug, Clone)]
pub struct Imported {
    /// What it was.
    pub format: Format,
    /// The distinct frames.
    pub frames: FrameTable,
    /// The distinct stacks and their prefixes, shared by all profiles.
    pub nodes: NodeTable,
    /// What the file says that frames mean.
    pub definitions: DefinitionMap,
    /// What the file says of builds.
    pub modules: ModuleMap,
    /// The distinct label sets of samples.
    pub attributes: LabelTable,
    /// What was measured; never empty.
    pub profiles: Vec<ImportedProfile>,
    /// Which of `profiles` is meant where none is asked for.
    pub default: usize,
    /// What the file says for people.
    pub comments: Vec<String>,
    /// What was met besides samples.
    pub notes: Notes,
}

impl Imported {
    pub(crate) fn new(format: Format) -> Self {
        Self {
            format,
            frames: FrameTable::default(),
            nodes: NodeTable::default(),
            definitions: DefinitionMap::default(),
            modules: ModuleMap::default(),
            attributes: LabelTable::default(),
            profiles: Vec::new(),
            default: 0,
            comments: Vec::new(),
            notes: Notes::default(),
        }
    }

    /// The profile that is meant where none is asked for.
    ///
    /// # Panics
    /// Never for what a reader gave: `profiles` is not empty and `default` lies within it.
    #[must_use]
    pub fn default_profile(&self) -> &ImportedProfile {
        &self.profiles[self.default]
    }

    /// Which profile has this type.
    #[must_use]
    pub fn find(&self, profile_type: &ProfileType) -> Option<usize> {
        self.profiles.iter().position(|profile| profile.profile_type == *profile_type)
    }

    /// One of the profiles as a weighted DAG, attributes summed up.
    ///
    /// # Panics
    /// When `at` is no index of `profiles`.
    #[must_use]
    pub fn profile(&self, at: usize) -> Profile {
        let mut profile = Profile::default();
        profile.frames = self.frames.clone();
        profile.nodes = self.nodes.clone();
        profile.definitions = self.definitions.clone();
        add_rows(&mut profile, &self.profiles[at].rows);
        profile
    }

    /// As [`Self::profile`], without a copy of the tables.
    ///
    /// # Panics
    /// When `at` is no index of `profiles`.
    #[must_use]
    pub fn into_profile(self, at: usize) -> (Profile, ModuleMap) {
        let mut profile = Profile::default();
        profile.frames = self.frames;
        profile.nodes = self.nodes;
        profile.definitions = self.definitions;
        add_rows(&mut profile, &self.profiles[at].rows);
        (profile, self.modules)
    }

    pub(crate) fn comment(&mut self, text: &str) {
        if self.comments.len() < MAX_COMMENTS && !text.is_empty() {
            self.comments.push(text.to_owned());
        }
    }

    /// The leaf of `stack` (outermost first), cut at the limit of depth.
    pub(crate) fn leaf(
        &mut self,
        stack: &[FrameIx],
        limits: &Limits,
        place: impl Fn() -> Place,
    ) -> Result<NodeIx, ReadError> {
        let mut node = NodeIx::ROOT;
        let mut kept = stack;
        if stack.len() > limits.stack_depth {
            kept = &stack[stack.len() + 1 - limits.stack_depth.max(1)..];
            self.notes.truncated_stacks += 1;
            let truncated = self.frames.intern(&Frame::Special(SpecialFrame::Truncated));
            node = self.nodes.child(node, truncated);
        }
        for &frame in kept {
            node = self.nodes.child(node, frame);
        }
        self.check_nodes(limits, place)?;
        Ok(node)
    }

    pub(crate) fn check_nodes(
        &self,
        limits: &Limits,
        place: impl Fn() -> Place,
    ) -> Result<(), ReadError> {
        if self.nodes.len() <= limits.nodes {
            return Ok(());
        }
        let (what, limit) = ("nodes of stacks", limits.nodes);
        Err(ReadError::TooLarge { what, limit, place: place() })
    }

    /// The index of a label set, or of the empty one where there are too many.
    pub(crate) fn label_ix(&mut self, set: &LabelSet, limits: &Limits) -> LabelIx {
        if let Some(known) = self.attributes.find(set) {
            return known;
        }
        if self.attributes.len() > limits.attribute_sets {
            self.notes.lost_labels += 1;
            return LabelIx::default();
        }
        self.attributes.intern(set)
    }

    /// Adds a profile, to the one of its type where there is one, and says which it is. Totals that
    /// do not fit are refused, so that no sum over rows ever clips.
    pub(crate) fn add(&mut self, profile: ImportedProfile) -> Result<usize, ReadError> {
        let at = self.find(&profile.profile_type).unwrap_or(self.profiles.len());
        let (value, count) = self.profiles.get(at).map_or((0, 0), |p| (p.total(), p.samples()));
        let sum = |start: u64, column: fn(&ImportedRow) -> u64| {
            profile.rows.iter().try_fold(start, |sum, row| sum.checked_add(column(row)))
        };
        if sum(value, |row| row.value).is_none() || sum(count, |row| row.count).is_none() {
            let place = Place::Entry { table: "profile", index: at, byte: None };
            return Err(ReadError::malformed(self.format, place, "its values exceed 2^64 - 1"));
        }
        match self.profiles.get_mut(at) {
            None => self.profiles.push(profile),
            Some(held) => held.append(profile),
        }
        Ok(at)
    }
}

fn add_rows(profile: &mut Profile, rows: &[ImportedRow]) {
    for row in rows {
        profile.add(row.node, row.value, row.count);
    }
}

/// Text with bad bytes replaced; without a copy where there are none.
pub(crate) fn text_of(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    // The check alone is several times as fast as the search for what to replace.
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => String::from_utf8_lossy(bytes),
    }
}

/// `name`, cut to at most `limit` bytes at a character's border, with `…` at the end.
pub(crate) fn cut<'a>(
    name: &'a str,
    limits: &Limits,
    notes: &mut Notes,
) -> std::borrow::Cow<'a, str> {
    if name.len() <= limits.name_bytes {
        return name.into();
    }
    notes.cut_names += 1;
    const ELLIPSIS: char = '…';
    let mut end = limits.name_bytes.saturating_sub(ELLIPSIS.len_utf8());
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    let mut kept = name[..end].to_owned();
    kept.push(ELLIPSIS);
    kept.into()
}
