//! What parent and child say to each other: postcard messages behind a length of four bytes.
//!
//! Both are the same executable, so the format needs no versions; the first message proves that
//! the other side is a worker at all.

use serde::{Deserialize, Serialize};

/// Largest message either way.
pub(super) const MESSAGE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Most addresses of one request.
pub const ADDRESSES_MAX: usize = 256;
/// Most files that come with one request.
pub(super) const FILES_MAX: usize = 4;
/// Longest function name; longer ones are cut.
pub const NAME_BYTES_MAX: usize = 2048;
/// Longest path of a source file; longer ones are cut.
pub const FILE_BYTES_MAX: usize = 1024;
/// Most functions that are inlined into each other at one address; the innermost are left out.
pub const INLINED_MAX: usize = 127;

/// A worker's first message.
pub(super) const GREETING: u32 = 0x5374_6f6b;

const _: () = assert!(NAME_BYTES_MAX * 4 < MESSAGE_BYTES_MAX);

/// What holds the addresses of a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Image {
    /// An ELF file, passed along; its build id as text.
    File(String),
    /// The vdso, the worker's own; its build id as text.
    Vdso(String),
    /// The running kernel and its modules, by absolute addresses.
    Kernel,
}

/// What a file that comes along is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Role {
    /// The file that was mapped, or one that stands for it: it must have the image's build id.
    Image,
    /// A root folder in which debug information of the image may lie; the first is searched first.
    Root,
}

/// Asks for names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Request {
    pub image: Image,
    /// Where the image lies within the roots; empty where there are none.
    pub path: String,
    /// What the files are for that come along, in their order.
    pub roles: Vec<Role>,
    /// Whether to look into debug information or only into symbol tables.
    pub debug_info: bool,
    /// Virtual offsets in a file, absolute addresses in the kernel.
    pub addresses: Vec<u64>,
}

/// One function at an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spot {
    /// Demangled name.
    pub function: String,
    /// Source file, or empty.
    pub file: String,
    /// Line, or 0.
    pub line: u32,
}

/// What an address means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meaning {
    /// Whether debug information said so, rather than a symbol table.
    pub from_debug_info: bool,
    /// Innermost last.
    pub spots: Vec<Spot>,
}

impl Meaning {
    /// Whether debug information gave the outer function without its module.
    pub(super) fn lacks_a_path(&self) -> bool {
        self.from_debug_info && self.spots.first().is_some_and(|s| !s.function.contains("::"))
    }
}

/// What was wrong with sources of names since the last answer. Each was left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// Files that lay where debug information may lie and were of another build, damaged, or not what
    /// the `.gnu_debuglink` says.
    pub debug_files_refused: u32,
    /// `.gnu_debugdata` that was no sound xz stream or unpacked to too much.
    pub debugdata_unreadable: u32,
    /// Go function tables of an unknown version, or damaged.
    pub go_tables_unreadable: u32,
    /// Split DWARF (`.dwo`, `.dwp`) that was missing, of another build, damaged or too large.
    pub split_unreadable: u32,
}

/// Why a whole request has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Refusal {
    /// No file came with the request.
    NoFile,
    /// The file is another build than the one asked for.
    OtherBuild,
    /// The file cannot be read as ELF.
    Unreadable,
    /// The answer would be larger than a message can be.
    TooLarge,
}

/// Answers a request, an entry for each address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Answer {
    Meanings(Vec<Option<Meaning>>, Trouble),
    Refused(Refusal),
}
