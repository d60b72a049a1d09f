//! What a frame means. Late-bound: learned from an agent, or from debug information that comes
//! later, and never part of a frame's identity.

use std::cmp::Ordering;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::encode::{Domain, Encoder};
use crate::ids::FrameId;

/// Who says what a frame means, the most trusted last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DefinitionSource {
    /// A runtime's perf map, or the profile the frame was imported from.
    PerfMap,
    /// An ELF symbol table or the kernel's.
    SymbolTable,
    /// A symbol table that was given to the server.
    ServerSymbolTable,
    /// DWARF that the agent found beside the binary.
    AgentDwarf,
    /// Debug information that was given to the server.
    ServerDebugInfo,
}

impl DefinitionSource {
    /// All of them, least trusted first.
    pub const ALL: [Self; 5] = [
        Self::PerfMap,
        Self::SymbolTable,
        Self::ServerSymbolTable,
        Self::AgentDwarf,
        Self::ServerDebugInfo,
    ];

    /// The number that stands for it on the wire and on disk. Never reused.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::PerfMap => 1,
            Self::SymbolTable => 2,
            Self::AgentDwarf => 3,
            Self::ServerDebugInfo => 4,
            Self::ServerSymbolTable => 5,
        }
    }

    /// Whether an agent may say so. What was given to the server only the server says.
    #[must_use]
    pub const fn is_from_agent(self) -> bool {
        !matches!(self, Self::ServerSymbolTable | Self::ServerDebugInfo)
    }

    /// The source with this code.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|source| source.code() == code)
    }
}

/// One function that a frame stands in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location {
    /// Demangled name; empty where only a line is known.
    pub function: Arc<str>,
    /// Source file, or empty.
    pub file: Arc<str>,
    /// Line, 0 where it is not known.
    pub line: u32,
}

/// What a frame means: functions from the outermost to the innermost inlined one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Definition {
    /// Who says so.
    pub source: DefinitionSource,
    /// Innermost last.
    pub locations: Arc<[Location]>,
}

impl Definition {
    /// How much it tells: functions, then files, then lines.
    fn completeness(&self) -> (usize, usize, usize) {
        let count = |has: fn(&Location) -> bool| self.locations.iter().filter(|l| has(l)).count();
        (count(|l| !l.function.is_empty()), count(|l| !l.file.is_empty()), count(|l| l.line != 0))
    }

    fn content_hash(&self) -> [u8; 16] {
        let start = Encoder::tagged(self.source.code()).number(self.locations.len() as u64);
        self.locations
            .iter()
            .fold(start, |encoder, l| {
                encoder.text(&l.function).text(&l.file).number(u64::from(l.line))
            })
            .hash(Domain::Definition)
    }

    /// Order of precedence: source, completeness, content hash. Total over distinct contents, so
    /// that the greater of two never depends on which came first.
    #[must_use]
    pub fn precedence(&self, other: &Self) -> Ordering {
        // What is learned is mostly what is known: comparing costs far less than hashing both.
        if self == other {
            return Ordering::Equal;
        }
        let by_source = self.source.cmp(&other.source);
        by_source
            .then_with(|| self.completeness().cmp(&other.completeness()))
            .then_with(|| self.content_hash().cmp(&other.content_hash()))
    }
}

/// The winning definition of each frame. Merging is commutative, associative and idempotent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DefinitionMap {
    winners: FxHashMap<FrameId, Definition>,
}

impl DefinitionMap {
    /// Makes room for `more` frames.
    pub fn reserve(&mut self, more: usize) {
        self.winners.reserve(more);
    }

    /// Learns a definition; says whether it won and changed the map.
    pub fn learn(&mut self, frame: FrameId, definition: Definition) -> bool {
        match self.winners.entry(frame) {
            std::collections::hash_map::Entry::Vacant(vacant) => {
                vacant.insert(definition);
                true
            }
            std::collections::hash_map::Entry::Occupied(mut held) => {
                let wins = definition.precedence(held.get()) == Ordering::Greater;
                if wins {
                    held.insert(definition);
                }
                wins
            }
        }
    }

    /// What is known of a frame.
    #[must_use]
    pub fn get(&self, frame: &FrameId) -> Option<&Definition> {
        self.winners.get(frame)
    }

    /// Learns all that `other` knows.
    pub fn merge(&mut self, other: &Self) {
        for (frame, definition) in &other.winners {
            self.learn(*frame, definition.clone());
        }
    }

    /// Every frame that is known, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&FrameId, &Definition)> {
        self.winners.iter()
    }

    /// How many frames are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.winners.len()
    }

    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.winners.is_empty()
    }
}
