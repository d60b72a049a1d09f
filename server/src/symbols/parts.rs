//! A tenant's rows together with the debug information that was pushed for them.

use std::ops::ControlFlow;
use std::time::Instant;

use stoker_dag::{Definition, Frame, FrameId, LabelSet, ProfileType};

use super::{QUERY_NAMING_MAX, SymbolCounts, Symbols};
use crate::query::{Parts, TenantParts};
use crate::store::{
    DataVersion, DetailsView, Names, PartView, Rollups, StoreError, TenantId, TimeRange,
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
    fn visit(
        &self,
        range: TimeRange,
        profile_type: Option<&ProfileType>,
        visit: &mut dyn FnMut(PartView<'_>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.rows.visit(range, profile_type, visit)
    }

    fn visit_series(
        &self,
        range: TimeRange,
        profile_type: Option<&ProfileType>,
        series: &dyn Fn(&LabelSet) -> bool,
        visit: &mut dyn FnMut(PartView<'_>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.rows.visit_series(range, profile_type, series, visit)
    }

    fn visit_details(
        &self,
        of: (TimeRange, Option<&ProfileType>),
        series: &dyn Fn(&LabelSet) -> bool,
        visit: &mut dyn FnMut(DetailsView<'_>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.rows.visit_details(of, series, visit)
    }

    fn visit_sums(
        &self,
        range: TimeRange,
        profile_type: Option<&ProfileType>,
        series: &dyn Fn(&LabelSet) -> bool,
        visit: &mut dyn FnMut(PartView<'_>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.rows.visit_sums(range, profile_type, series, visit)
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
