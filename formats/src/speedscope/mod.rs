//! speedscope's JSON (www.speedscope.app/file-format-schema.json): what py-spy, rbspy, dotnet-trace
//! and speedscope itself save.
//!
//! A file holds one table of frames and any number of profiles, mostly one for each thread. Profiles
//! of one unit are one thing measured, so they become one [`ImportedProfile`](crate::ImportedProfile)
//! with the attribute `thread`.

mod evented;
mod model;
mod read;
mod ticks;
mod timed;
mod write;

pub use read::read;
pub use timed::{MAX_THREADS, TimedSample, TimedSource, TimedThread, write_timed};
pub use write::{SpeedscopeSource, write};

/// The format's word for a unit.
fn unit_word(unit: &str) -> &str {
    match unit {
        "nanoseconds" | "microseconds" | "milliseconds" | "seconds" | "bytes" => unit,
        _ => "none",
    }
}
