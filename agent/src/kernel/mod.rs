//! The kernel side, as the rest of the agent sees it: samples and process events in time order.
//!
//! Why one folder: eBPF, perf events and their rings are the only parts of the agent that need
//! `unsafe`, root and a recent kernel. They end here. Nothing else names aya.
//!
//! What it promises:
//! * Events come merged by time, so that a process table has seen a mapping before it is asked about
//!   an address in it, and has seen a short-lived process before its samples.
//! * Each sample that fired is counted exactly once, as taken, lost, filtered or idle.
//! * Nothing is pinned. Dropping the [`Sampler`], or killing the process, detaches everything.
//!
//! What it leaves to others: names, mappings that existed before [`Sampler::start`] (read them from
//! `/proc` after it returns), meaning.
//!
//! Not handled: CPUs that come online later are not sampled; CPUs that go offline fall silent.
//! Costs, limits and traps: `docs/kernel.md`.

mod children;
mod config;
mod cost;
mod cpus;
mod error;
mod event;
mod maps;
mod merge;
mod object;
mod own;
mod perf;
mod preflight;
mod process_events;
mod record;
mod ring;
mod sampler;
mod stats;
mod target;
mod unwind;

pub use config::{DEFAULT_UNWIND_BYTES, SamplerConfig};
pub use cost::CostHistogram;
pub use error::KernelError;
pub use event::{Comm, FileId, KernelEvent, Mmap, Sample, SampleFlags, SampleSource, Target};
pub use own::{OwnConfig, OwnSampler, OwnStart};
pub use preflight::{Check, frequency as check_frequency, likely_source, preflight};
pub use sampler::Sampler;
pub use stats::SamplerStats;
pub use unwind::{UnwindMaps, UnwindRoom};
