//! From frames to names, in a child process.
//!
//! The work itself is [`stoker_symbols`]'s, in a worker process. Here frames become questions, wait in
//! a bounded queue, and answers become definitions.
//!
//! Promises: asking never waits; what does not fit into the queue is given back and counted; each
//! frame is asked once as long as the bounded cache holds it; no name is longer than
//! [`NAME_BYTES_MAX`].
//!
//! Missing: whole paths of inlined functions where the debug information has none (`-gmlt`,
//! `line-tables-only`), debuginfod, the kernel's own debug information.

mod background;
mod cache;
mod counters;
mod files;
mod identity;
mod queue;
mod service;

pub use background::{ANSWERS_MAX, CACHED_FRAMES_MAX};
pub use counters::SymbolizeCounters;
pub use files::{FILES_MAX, FILES_SHOWN, NamingNews};
pub use queue::{QUEUED_FRAMES_MAX, QUEUED_IMAGES_MAX};
pub use service::{Asked, Symbolizer};
pub use stoker_symbols::{FILE_BYTES_MAX, INLINED_MAX, NAME_BYTES_MAX, REQUEST_TIMEOUT};
pub use stoker_symbols::{WORKER_ARG, WorkerConfig as SymbolizerConfig};
pub use stoker_symbols::{dispatch_worker, run_worker};
