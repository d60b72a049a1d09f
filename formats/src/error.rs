//! Why bytes could not be read: what is wrong, and where.

use std::fmt;

use crate::Format;

/// Where in the input something is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// An offset in the input, after decompression.
    Byte(usize),
    /// A line, from 1 on.
    Line(usize),
    /// An entry of one of the format's tables, from 0 on, and where it stands.
    Entry {
        /// The table, in the format's own words.
        table: &'static str,
        /// Which entry.
        index: usize,
        /// Its offset in the input, after decompression; `None` where the format has no offsets.
        byte: Option<usize>,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Byte(offset) => write!(f, "byte {offset}"),
            Self::Line(line) => write!(f, "line {line}"),
            Self::Entry { table, index, byte: Some(byte) } => {
                write!(f, "{table} {index} (byte {byte})")
            }
            Self::Entry { table, index, byte: None } => write!(f, "{table} {index}"),
        }
    }
}

/// Why a profile cannot be read. The message says what to do where something can be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// There is nothing.
    #[error("the input is empty")]
    Empty,
    /// Nobody's format.
    #[error(
        "this is no profile that Stoker reads: it reads pprof (gzipped or not), collapsed stacks, \
         the text of `perf script` and speedscope JSON{0}"
    )]
    Unknown(&'static str),
    /// Somebody's format, but not one that is read.
    #[error("this is {what}, which Stoker does not read; {hint}")]
    Refused {
        /// What it is.
        what: &'static str,
        /// What to do instead.
        hint: &'static str,
    },
    /// The gzip envelope is broken.
    #[error(
        "broken gzip at byte {at}: {problem} ({after} bytes came out before it); the file was cut or \
         damaged: fetch it again"
    )]
    Gzip {
        /// How far the file was read.
        at: usize,
        /// How much could be decompressed.
        after: usize,
        /// What the decompressor says.
        problem: String,
    },
    /// More than a limit allows.
    #[error("{place}: more than {limit} {what}, the most that is read")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How much is allowed.
        limit: usize,
        /// Where the limit was met.
        place: Place,
    },
    /// Not what the format says.
    #[error("broken {format} input at {place}: {problem}")]
    Malformed {
        /// The format.
        format: Format,
        /// Where.
        place: Place,
        /// What is wrong.
        problem: String,
    },
}

impl ReadError {
    pub(crate) fn malformed(format: Format, place: Place, problem: impl Into<String>) -> Self {
        Self::Malformed { format, place, problem: problem.into() }
    }
}
