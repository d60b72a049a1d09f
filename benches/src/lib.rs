//! What benchmarks share: a made-up fleet, plots, and the committed history.

#![forbid(unsafe_code)]

pub mod generator;
pub mod history;
pub mod plot;
pub mod shape;
