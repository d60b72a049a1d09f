//! What the API needs of the rest of the server, as one narrow trait, so that tests run the whole
//! API over parts in memory.

use crate::query::{Parts, TenantParts};
use crate::symbols::NamedParts;

use super::agents::AgentEntry;
use crate::annotations::Annotations;
use crate::links::Links;

/// Whether a metric only ever grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// Grows from the start of the process.
    Counter,
    /// Goes up and down.
    Gauge,
}

/// One number that `/metrics` shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Its name, without the `_total` that counters get.
    pub name: &'static str,
    /// One sentence.
    pub help: &'static str,
    /// How it moves.
    pub kind: MetricKind,
    /// A label that tells it from others of its name, which stand beside it.
    pub label: Option<(&'static str, &'static str)>,
    /// Its value now.
    pub value: u64,
}

/// Where answers come from.
pub trait Backend: Send + Sync + 'static {
    /// The rows of the tenant that asks.
    fn parts(&self) -> &dyn Parts;

    /// Where what is pushed is stored; `None` where nothing is.
    fn writable(&self) -> Option<TenantParts> {
        None
    }

    /// Where debug information is kept; `None` where none is.
    fn symbols(&self) -> Option<NamedParts> {
        None
    }

    /// Where annotations are kept; `None` where none are.
    fn annotations(&self) -> Option<Annotations> {
        None
    }

    /// Where short links are kept; `None` where none are.
    fn links(&self) -> Option<Links> {
        None
    }

    /// The agents that have sent batches since the server started; none where batches are not taken.
    fn agents(&self) -> Vec<AgentEntry> {
        Vec::new()
    }

    /// What store and ingest count; nothing where there is neither.
    fn metrics(&self) -> Vec<Metric> {
        Vec::new()
    }

    /// What is wrong although the server runs: a sentence for each.
    fn troubles(&self) -> Vec<String> {
        Vec::new()
    }

    /// Whether batches are taken and queries answered.
    ///
    /// # Errors
    /// When not: one sentence that says why.
    fn ready(&self) -> Result<(), String> {
        Ok(())
    }
}
