//! From samples to batches: whole stacks are interned once and then counted.
//!
//! A stack that was seen before costs one look-up by its raw addresses; only a new one is resolved
//! to frames. What is counted leaves as one batch per window, with the host's facts. Pure: time,
//! addresses and names are given.

mod aggregator;
mod details;
mod window;

pub use aggregator::{Aggregator, AggregatorConfig, ResolvedStack, StackKey, StackQuality};
pub use details::Place;
pub use window::{FlushFacts, Interval, QualityCounts};
