//! What profiles mean, pure: from a weighted DAG to the call tree that people look at, and from the
//! call tree to tables.
//!
//! Promises, each held by a test: the total of a tree is the sum of the profile's values, to the
//! unit; the self values of a table sum to the total; a function that calls itself counts once per
//! sample. Nothing here does I/O. Diffs, error bars and capacity arithmetic will live here too.

#![forbid(unsafe_code)]

mod expand;
mod naming;
mod top;

pub use expand::call_tree;
pub use naming::{LABEL_RUNTIME, Naming};
pub use top::{TopBy, TopRow, top};
