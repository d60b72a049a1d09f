//! The seam for what there is: segments by tenant and time, by label, by build. Today sled, later
//! PostgreSQL. All of it can be rebuilt from segments, and an entry is never per node or row.

use super::api::{SpoolId, TenantId, TimeRange};
use super::error::StoreError;
use super::messages::Footer;

/// A segment as the catalogue holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// What it holds.
    pub footer: Footer,
    /// Its bytes.
    pub length: u64,
}

/// A segment that is added, and what it is found by.
#[derive(Debug, Clone)]
pub struct Added {
    /// The segment. Its labels are those of the footer's summary.
    pub entry: Entry,
    /// Builds that its frames are of, as they are written for people.
    pub builds: Vec<String>,
}

/// What is committed at once.
#[derive(Debug, Clone, Default)]
pub struct Change {
    /// Segments that are there now.
    pub added: Vec<Added>,
    /// Segments that count no more.
    pub superseded: Vec<u64>,
    /// How far spools are stored now.
    pub watermarks: Vec<(SpoolId, u64)>,
}

/// What there is. A failure is no loss: the caller goes on without, and rebuilds it.
pub trait Catalogue: Send + Sync + std::fmt::Debug {
    /// Makes a change, whole or not at all, and durable.
    fn commit(&self, tenant: &TenantId, change: &Change) -> Result<(), StoreError>;
    /// Segments that overlap the range, in order of id.
    fn list(&self, tenant: &TenantId, range: TimeRange) -> Result<Vec<Entry>, StoreError>;
    /// Segments some series of which has this label; those that have too many values of it to list
    /// are among them.
    fn with_label(
        &self,
        tenant: &TenantId,
        name: &str,
        value: &str,
    ) -> Result<Vec<u64>, StoreError>;
    /// Segments that have frames of this build.
    fn with_build(&self, tenant: &TenantId, build: &str) -> Result<Vec<u64>, StoreError>;
    /// How far spools are stored.
    fn watermarks(&self, tenant: &TenantId) -> Result<Vec<(SpoolId, u64)>, StoreError>;
    /// Tenants that it knows of.
    fn tenants(&self) -> Result<Vec<TenantId>, StoreError>;
}

impl Change {
    /// Segments that were written, with how far they bring their spools.
    pub fn add(added: Vec<Added>) -> Self {
        let footers = added.iter().map(|added| &added.entry.footer);
        let superseded = footers.clone().flat_map(|footer| footer.supersedes.clone()).collect();
        let watermarks = footers.flat_map(Footer::spools).collect();
        Self { added, superseded, watermarks }
    }
}
