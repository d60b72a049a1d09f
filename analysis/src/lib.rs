//! What profiles mean, pure: from a weighted DAG to the call tree that people look at, and from the
//! call tree to tables and differences.
//!
//! Promises, each held by a test: the total of a tree is the sum of the profile's values, to the
//! unit; the self values of a table sum to the total; a function that calls itself counts once per
//! sample; a profile differs from itself by nothing; of comparisons in which nothing changed at most
//! 1 % report anything. Nothing here does I/O.

#![forbid(unsafe_code)]

mod alike;
pub mod capacity;
pub mod compare;
mod expand;
#[cfg(test)]
mod fixtures;
mod functions;
pub mod gate;
mod lines;
mod merged;
mod naming;
pub mod path;
mod sandwich;
mod search;
pub mod stats;
mod top;
mod visible;

pub use alike::{alike, has_modules};
pub use expand::{call_tree, call_tree_placed, call_tree_pruned};
pub use functions::{FunctionName, function_names};
pub use lines::{BuildRow, LineRow, SourceLines, source_lines};
pub use merged::{Merged, merged};
pub use naming::{LABEL_RUNTIME, Naming};
pub use sandwich::{Sandwich, sandwich};
pub use search::{Found, search};
pub use top::{TopBy, TopRow, top};
pub use visible::visible_tree;
