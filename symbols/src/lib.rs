//! Names for addresses, apart from who asks: an agent for what runs beside it, a server for what was
//! pushed to it.
//!
//! Reading ELF and DWARF means parsing whatever somebody else made, with as much memory and time as
//! the file demands. So it happens in a child process: niced, limited in memory, without
//! capabilities that it does not need, killed when it takes too long. If a file kills it, the file is
//! tried once more without its debug information and then left alone; nobody else is harmed. The
//! child ends when it has nothing to do, so that names cost memory only while names are made.
//!
//! The child is the very executable that asks, started again with [`WORKER_ARG`]; a `main` calls
//! [`dispatch_worker`] before anything else. Files are passed as open descriptors (`SCM_RIGHTS`,
//! unix(7)), so that the child needs no right to look for them. It reads the build id of what it was
//! given before it names anything: a file that was replaced yields no names rather than wrong ones.
//!
//! [`Runner`] is the parent's side, [`elf`] reads the little of ELF that identity needs, in bounded
//! pieces and without a child. Nothing here knows of processes, stores or networks.

#![forbid(unsafe_code)]

mod channel;
mod child;
mod definitions;
mod demangled;
pub mod elf;
pub mod go;
mod inside;
mod known;
mod limits;
mod minidebug;
mod namer;
mod paths;
mod protocol;
mod quarantine;
mod runner;
mod search;
mod split;
mod symtab;
mod text;
mod vdso;
mod worker;

pub use child::{REQUEST_TIMEOUT, WorkerConfig};
pub use definitions::{Sources, Strings};
pub use demangled::demangled;
pub use minidebug::{UNPACKED_BYTES_MAX, unpack};
pub use protocol::{ADDRESSES_MAX, FILE_BYTES_MAX, INLINED_MAX, NAME_BYTES_MAX};
pub use protocol::{Image, Meaning, Role, Spot, Trouble};
pub use runner::{Outcome, PAUSE_MAX, PAUSE_MIN, Question, Runner, WorkerCounters};
pub use text::clean_text;
pub use vdso::{VDSO_BYTES_MAX, vdso_image};
pub use worker::{WORKER_ARG, dispatch_worker, run_worker};
