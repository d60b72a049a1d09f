//! What happened to batches, as plain counters.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// Counters of a [`Shipper`](super::Shipper); they only grow.
        #[derive(Debug, Default)]
        pub struct ShipMetrics {
            $($(#[$doc])* pub(super) $name: AtomicU64,)*
        }

        /// One reading of [`ShipMetrics`].
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct ShipSnapshot {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl ShipMetrics {
            /// Reads all counters.
            #[must_use]
            pub fn snapshot(&self) -> ShipSnapshot {
                ShipSnapshot { $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }
    };
}

counters! {
    /// Batches that the server has acknowledged.
    batches_acked,
    /// Of those, batches that the server already had.
    batches_duplicate,
    /// Samples of acknowledged batches.
    samples_acked,
    /// Sample rows of acknowledged batches.
    rows_acked,
    /// Encoded bytes that were sent, before compression.
    bytes_sent,
    /// Streams that were opened.
    streams_opened,
    /// Streams that broke.
    streams_broken,
    /// Batches that the server can never take.
    batches_refused,
    /// Samples of those.
    samples_refused,
}

pub(super) fn add(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}
