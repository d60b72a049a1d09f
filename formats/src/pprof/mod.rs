//! pprof: the gzipped `profile.proto` that `go tool pprof` and most others read.
//!
//! Addresses are the virtual offsets in the ELF file (or the kernel), mappings carry build ids, and
//! functions inlined into a location are its further lines. Every stack has two values: the number
//! of samples, and the value in the profile type's unit.

mod build;
mod frames;
mod labels;
pub(crate) mod legacy;
mod message;
pub mod proto;
mod prune;
mod read;
mod samples;
mod tables;
mod types;
mod wire;
mod write;

use stoker_dag::{Frame, Profile, ProfileType, UnixNanos};

pub(crate) use frames::{IMPORT, base_name};
pub(crate) use message::looks_like;
pub use read::{read, read_into};
pub use write::{message, write, write_imported};

/// What a pprof file says beside its stacks.
pub struct PprofSource<'a> {
    /// The stacks, with the definitions of their frames.
    pub profile: &'a Profile,
    /// What the module of a frame is called.
    pub module: &'a dyn Fn(&Frame) -> String,
    /// What values count.
    pub profile_type: &'a ProfileType,
    /// When the profile starts.
    pub start: UnixNanos,
    /// How long it is.
    pub duration_ns: u64,
    /// Where it comes from, for people.
    pub comment: &'a str,
}
