//! Unwinding native stacks by tables: what the kernel-side unwinder reads, made and kept supplied.
//!
//! [`compile`] makes a table of a file; [`Loader`] decides which tables and which processes' mappings
//! are loaded. The step itself is `stoker-unwind`'s and runs in the kernel.
//!
//! Promises: what is loaded fits the store's pages; compiling is one thread at low priority with a
//! bounded queue; what finds no room is counted, and costs no more than frame pointers in its place.

mod background;
pub mod compile;
mod counters;
mod loader;
mod loading;
mod pages;
mod plan;
mod preparing;
mod store;
mod tables;

pub use background::QUEUE_MAX;
pub use counters::{FILES_MAX, LoadCounters, OutcomeCounts};
pub use loader::Loader;
pub use store::{MappingPage, Store, StoreError, TablePage};
