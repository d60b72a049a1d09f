//! What benchmarks share: a made-up fleet, stores, plots, a process's CPU time, and the committed history.

#![forbid(unsafe_code)]

pub mod cpu;
pub mod generator;
pub mod history;
pub mod plot;
pub mod shape;
pub mod store;
