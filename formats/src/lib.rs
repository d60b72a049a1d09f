//! Writers of the formats that others read: collapsed stacks, pprof, SVG.
//!
//! A writer takes a call tree or a folded profile and gives bytes; it does no I/O of its own. Two
//! promises hold for each, by tests: what is written sums to the profile's total, to the last unit
//! (the picture rounds what it shows, not what it adds), and a hostile name (markup, terminal
//! escapes, separators of the format) cannot become anything but text.
//!
//! Readers come beside the writers, one module per format.

#![forbid(unsafe_code)]

pub mod collapsed;
pub mod pprof;
pub mod svg;
pub mod text;

use std::io;

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
