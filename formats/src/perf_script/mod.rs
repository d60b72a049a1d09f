//! The text that `perf script` prints, and simpleperf and others imitate.
//!
//! inferno's collapse reads it too, but gives one event type per run, without modules, threads and
//! times, and panics on some malformed lines. So lines are read here, every event type becomes a
//! profile of its own, and inferno names the frames ([`names`]): stacks are identical to those of
//! `inferno-collapse-perf`, with the module beside each function.

mod lines;
mod names;
mod read;

pub(crate) use lines::looks_like;
pub use read::read;
