//! The protocol between agents and server, and the only way in and out of it.
//!
//! [`proto`] is what travels. [`Decoder`] turns it into the model after checking every size, index
//! and order against a named limit; [`Encoder`] turns the model into it, sending only what the other
//! side does not have yet. The write-ahead log, the spool and the stream are all written by the same
//! encoder and read by the same decoder: one format, one place where bytes are distrusted.

#![forbid(unsafe_code)]

mod body;
mod decode;
mod details;
mod encode;
pub mod limits;

/// The generated messages and services of `stoker.v1`.
#[expect(missing_docs, clippy::all, unused_qualifications, reason = "generated")]
pub mod proto {
    tonic::include_proto!("stoker.v1");
}

pub use body::{
    BatchBody, BrokenStacks, CgroupUsage, Dictionary, FileNames, HostFacts, LostSamples, RowGroup,
};
pub use decode::{Decoder, WireError};
pub use details::{CpuId, DetailedSample, Details, ThreadId, WINDOW_US};
pub use encode::{Encoded, Encoder, Rebase};

/// The minor version of the protocol that this build speaks.
pub const PROTOCOL_MINOR: u32 = 1;
