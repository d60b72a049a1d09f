//! From frames to names, in a child process.
//!
//! Reading ELF and DWARF means parsing whatever any process on the host has mapped, with as much
//! memory and time as the file demands. So it happens in a child: niced, limited in memory,
//! without capabilities that it does not need, killed when it takes too long. If a file kills it,
//! the file is tried once more without its debug information and then left alone for good; nobody
//! else is harmed. The child exits when it has nothing to do, so that names cost memory only while
//! names are made.
//!
//! The child is this very executable, started again with [`WORKER_ARG`]; a `main` calls
//! [`dispatch_worker`] before anything else.
//!
//! The parent passes each file as an open descriptor (`SCM_RIGHTS`, unix(7)), so that it can be
//! named after its process or path is gone and the child needs no right to look for files. The
//! child reads the build id of what it was given before it names anything: a file that was
//! replaced yields no names rather than wrong ones.
//!
//! Promises: asking never waits; what does not fit into the queue is given back and counted; each
//! frame is asked once as long as the bounded cache holds it; no name is longer than
//! [`NAME_BYTES_MAX`].
//!
//! Missing: whole paths of inlined functions where the debug information has none (`-gmlt`,
//! `line-tables-only`), `.gnu_debugdata`, debuginfod, debug files by build id for binaries without a
//! `.gnu_debuglink`, debug files inside a container's root, the kernel's own debug information.

mod background;
mod cache;
mod channel;
mod child;
mod counters;
mod definitions;
mod identity;
mod limits;
mod namer;
mod paths;
mod protocol;
mod quarantine;
mod queue;
mod runner;
mod service;
mod worker;

pub use background::{ANSWERS_MAX, CACHED_FRAMES_MAX};
pub use counters::SymbolizeCounters;
pub use protocol::{FILE_BYTES_MAX, INLINED_MAX, NAME_BYTES_MAX};
pub use queue::{QUEUED_FRAMES_MAX, QUEUED_IMAGES_MAX};
pub use service::{Asked, REQUEST_TIMEOUT, Symbolizer, SymbolizerConfig};
pub use worker::{WORKER_ARG, dispatch_worker, run_worker};
