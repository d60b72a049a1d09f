//! Readers and writers of the formats that others use: pprof, collapsed stacks, the text of
//! `perf script`, speedscope, SVG, HTML.
//!
//! A reader takes bytes and gives stacks with columns of values; a writer takes a call tree or a
//! folded profile and gives bytes. Neither does any I/O of its own. Promises, each held by tests:
//!
//! - totals are kept to the last unit, in and out (a picture rounds what it shows, not what it adds);
//! - the same file gives the same ids, on every machine and in every release;
//! - hostile bytes are refused with what is wrong and where, before memory is taken for them
//!   ([`Limits`]), and nothing is left out without being counted ([`Notes`]);
//! - a hostile name (markup, terminal escapes, separators) cannot become anything but text.
//!
//! `docs/formats-others.md` says what of each format is read, written and refused.

#![forbid(unsafe_code)]

pub mod collapsed;
mod detect;
mod error;
mod gzip;
pub mod html;
mod import;
pub mod limits;
#[cfg(feature = "parquet")]
pub mod parquet;
pub mod perf_script;
pub mod pprof;
mod profile_types;
pub mod speedscope;
pub mod svg;
pub mod text;

use std::fmt;
use std::io;

use stoker_dag::ProfileType;

pub use detect::detect;
pub use error::{Place, ReadError};
pub use import::{Imported, ImportedProfile, ImportedRow, InvalidLine, Notes, ProfileKind};
pub use limits::Limits;

/// A format that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// google/pprof's `profile.proto`, gzipped or not.
    Pprof,
    /// One line per stack.
    Collapsed,
    /// The text that `perf script` prints.
    PerfScript,
    /// speedscope's JSON.
    Speedscope,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pprof => "pprof",
            Self::Collapsed => "collapsed",
            Self::PerfScript => "perf script",
            Self::Speedscope => "speedscope",
        })
    }
}

/// What a reader is told besides the bytes.
#[derive(Debug, Clone, Default)]
pub struct ReadOptions {
    /// The file's name, where there is one: a hint when the content does not say all.
    pub file_name: String,
    /// What values count, for formats that do not say (collapsed stacks; times in speedscope).
    pub profile_type: Option<ProfileType>,
    /// Bounds.
    pub limits: Limits,
}

/// Reads a profile of any known format.
///
/// # Errors
/// When the format is not known or not read, or the content is broken or larger than a limit.
pub fn read(bytes: &[u8], options: &ReadOptions) -> Result<Imported, ReadError> {
    match detect(bytes, &options.file_name)? {
        Format::Pprof => pprof::read(bytes, options),
        Format::Collapsed => collapsed::read(bytes, options),
        Format::PerfScript => perf_script::read(bytes, options),
        Format::Speedscope => speedscope::read(bytes, options),
    }
}

/// Why a profile cannot be written in a format.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The bytes could not be written.
    #[error("the output could not be written: {0}")]
    Io(#[from] io::Error),
    /// A number does not fit the format.
    #[error("{what} is {value}, more than {format} can hold")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// How large it is.
        value: u64,
        /// The format.
        format: &'static str,
    },
}
