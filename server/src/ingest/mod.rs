//! Ingest: the server's end of `ProfileIngest/Push`.
//!
//! It promises that a batch is acknowledged only when it is durable, that a batch which arrives
//! twice counts once, and that a stream which sends nonsense ends alone: every other goes on. It
//! refuses before it takes memory: tonic bounds a message to `MAX_BATCH_BYTES` compressed and
//! decompressed, the stream's decoder bounds everything in it. At most [`MAX_UNACKED`] batches of a
//! stream wait for the disk; then the stream is not read, which the agent feels as back-pressure.
//!
//! Dictionaries of all streams together have a share of `--ingest-memory`, past which the largest
//! begin again, and messages that are read have another, past which they wait (`reading`).
//!
//! Not here yet: tokens and tenants from them, directives.

mod agents;
mod answers;
mod footprint;
mod import;
mod metrics;
mod push;
mod reading;
mod service;
mod spread;
mod trouble;

pub use agents::{Agent, Agents, Unwind};
pub use answers::MAX_FUTURE;
pub use import::{ImportedBatches, batches};
pub use metrics::{IngestCounts, IngestMetrics, RefusalCode};
pub use push::MAX_UNACKED;
pub use reading::Reading;
pub use service::{DecodeBatch, Ingest, service, service_decoding};
pub use trouble::{Named, Trouble};
