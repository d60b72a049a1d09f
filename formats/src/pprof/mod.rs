//! pprof: the gzipped `profile.proto` that `go tool pprof` and most others read and write.
//!
//! Reading goes over the bytes once without building messages ([`read`]); `frames.rs` has the rule of
//! identity. In what is written addresses are the virtual offsets in the ELF file (or the kernel),
//! mappings carry build ids, and functions inlined into a location are its further lines. The names
//! of the messages' fields are those of github.com/google/pprof, `proto/profile.proto`.

mod build;
mod frames;
mod images;
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

use stoker_dag::{Frame, ModuleMap, Profile, ProfileType, UnixNanos};

pub(crate) use frames::IMPORT;
pub(crate) use images::base_name;
pub(crate) use message::looks_like;
pub use read::{read, read_into};
pub use write::{message, write, write_imported};

/// How a comment begins that names the build id of a main executable. Functions of a main executable are
/// the same in a binary of another name, and a file of many processes has many.
const MAIN_EXECUTABLE: &str = "main executable: ";

/// What a pprof file says beside its stacks.
pub struct PprofSource<'a> {
    /// The stacks, with the definitions of their frames.
    pub profile: &'a Profile,
    /// What the module of a frame is called.
    pub module: &'a dyn Fn(&Frame) -> String,
    /// Which builds are main executables: the format has no place for it, so comments say it.
    pub modules: &'a ModuleMap,
    /// What values count.
    pub profile_type: &'a ProfileType,
    /// When the profile starts.
    pub start: UnixNanos,
    /// How long it is.
    pub duration_ns: u64,
    /// Where it comes from, for people.
    pub comment: &'a str,
}
