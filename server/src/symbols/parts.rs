//! A tenant's rows together with the debug information that was pushed for them.

use std::time::Instant;

use stoker_dag::{Definition, Frame, FrameId};

use super::{QUERY_NAMING_MAX, SymbolCounts, Symbols};
use crate::query::{Parts, TenantParts};
use crate::store::{
    DataVersion, DetailsVisitor, Names, PartVisitor, Rollups, StoreError, TenantId, TimeRange,
    Wanted,
};

/// Rows of a store, and late names for their frames.
#[derive(Debug, Clone)]
pub struct NamedParts {
    /// The rows.
    pub rows: TenantParts,
    /// The names.
    pub symbols: Symbols,
}

impl Parts for NamedParts {
    fn visit(&self, wanted: Wanted<'_>, visit: &mut PartVisitor<'_>) -> Result<(), StoreError> {
        self.rows.visit(wanted, visit)
    }

    fn visit_details(
        &self,
        wanted: Wanted<'_>,
        visit: &mut DetailsVisitor<'_>,
    ) -> Result<(), StoreError> {
        self.rows.visit_details(wanted, visit)
    }

    fn tenant(&self) -> TenantId {
        self.rows.tenant.clone()
    }

    fn rollups(&self, range: TimeRange) -> Option<Rollups> {
        self.rows.rollups(range)
    }

    fn missing(&self, range: TimeRange) -> Vec<String> {
        self.rows.missing(range)
    }

    fn version(&self, range: TimeRange) -> Option<DataVersion> {
        let rows = self.rows.version(range)?;
        // What was pushed, and what could not be answered in time or at all.
        let SymbolCounts {
            files, pushed, evicted, unanswered, quarantined, worker_failures, ..
        } = self.symbols.counts();
        let symbols = [files, pushed, evicted, unanswered, quarantined, worker_failures];
        let (low, high) = rows.0.split_at(8);
        let number = |bytes: &[u8]| bytes.iter().fold(0, |n, byte| n << 8 | u64::from(*byte));
        Some(DataVersion::of([number(low), number(high)].into_iter().chain(symbols)))
    }

    fn names(&self, read: &mut dyn FnMut(&Names)) {
        self.rows.names(read);
    }

    fn late_definitions(
        &self,
        frames: &mut dyn Iterator<Item = (FrameId, &Frame)>,
        deadline: Option<Instant>,
    ) -> Vec<(FrameId, Definition)> {
        let own = Instant::now() + QUERY_NAMING_MAX;
        let deadline = deadline.map_or(own, |deadline| deadline.min(own));
        self.symbols.definitions(&self.rows.tenant, frames, deadline)
    }
}
