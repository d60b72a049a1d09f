//! Ships batches to a server and loses none that fit its bounds.
//!
//! A batch is written to the spool before it is sent and removed after the server has acknowledged
//! it as durable. The spool's id and the sequence are the dedup key, so that sending a batch twice
//! is harmless, and a server that restarts costs one dictionary and no sample.

mod backoff;
mod client;
mod metrics;
mod spool;
mod stream;

pub use client::{ShipError, Shipper, ShipperConfig};
pub use metrics::{ShipMetrics, ShipSnapshot};
pub use spool::{Evicted, SelfContained, Spool, SpoolConfig, SpoolError};
