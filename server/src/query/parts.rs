//! Where queries find rows: the store, or parts held in memory.

use std::ops::ControlFlow;
use std::time::Instant;

use stoker_dag::{Definition, Frame, FrameId, LabelSet, ProfileType};

use crate::store::{
    DataVersion, DetailsView, Names, PartView, Rollups, Store, StoreError, TenantId, TimeRange,
    Wanted,
};

/// What a query needs of a store. One implementor is one tenant's data.
pub trait Parts: Send + Sync {
    /// Calls `visit` with every part that may hold rows of the range (and type), each row exactly
    /// once, until it breaks.
    ///
    /// # Errors
    /// When something cannot be read.
    fn visit(
        &self,
        range: TimeRange,
        profile_type: Option<&ProfileType>,
        visit: &mut dyn FnMut(PartView<'_>) -> ControlFlow<()>,
    ) -> Result<(), StoreError>;

    /// As [`Self::visit`]; what has no row of a series that `series` accepts may be left out. Rows of
    /// other series may come all the same.
    ///
    /// # Errors
    /// As [`Self::visit`].
    fn visit_series(
        &self,
        range: TimeRange,
        profile_type: Option<&ProfileType>,
        _series: &dyn Fn(&LabelSet) -> bool,
        visit: &mut dyn FnMut(PartView<'_>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.visit(range, profile_type, visit)
    }

    /// Calls `visit` with the samples of a range (and type) that are kept one by one, each exactly once,
    /// until it breaks. What has no sample of a series that `series` accepts may be left out.
    ///
    /// # Errors
    /// When something cannot be read.
    fn visit_details(
        &self,
        _of: (TimeRange, Option<&ProfileType>),
        _series: &dyn Fn(&LabelSet) -> bool,
        _visit: &mut dyn FnMut(DetailsView<'_>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        Ok(())
    }

    /// As [`Self::visit_series`]; rows may come summed over their windows ([`PartView::sums`]) where all
    /// of those are in the range.
    ///
    /// # Errors
    /// As [`Self::visit`].
    fn visit_sums(
        &self,
        range: TimeRange,
        profile_type: Option<&ProfileType>,
        series: &dyn Fn(&LabelSet) -> bool,
        visit: &mut dyn FnMut(PartView<'_>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.visit_series(range, profile_type, series, visit)
    }

    /// The rollups that have rows in a range; nothing where all of it is raw.
    fn rollups(&self, _range: TimeRange) -> Option<Rollups> {
        None
    }

    /// Whose data these are: what replicate groups are hashed with.
    fn tenant(&self) -> TenantId {
        TenantId::default_tenant()
    }

    /// What is known to be missing in a range, a sentence for each.
    fn missing(&self, _range: TimeRange) -> Vec<String> {
        Vec::new()
    }

    /// The state of the data of a range: equal versions give equal answers. Nothing where that is not
    /// known, and no answer is kept.
    fn version(&self, _range: TimeRange) -> Option<DataVersion> {
        None
    }

    /// Calls `read` once with what is known of frames and builds.
    fn names(&self, read: &mut dyn FnMut(&Names));

    /// What debug information that came later says of frames, as far as that is known by `deadline`.
    /// Beside [`Self::names`], which wins where it says more.
    fn late_definitions(
        &self,
        _frames: &mut dyn Iterator<Item = (FrameId, &Frame)>,
        _deadline: Option<Instant>,
    ) -> Vec<(FrameId, Definition)> {
        Vec::new()
    }
}

/// One tenant's data in a store.
#[derive(Debug, Clone)]
pub struct TenantParts {
    /// The store.
    pub store: Store,
    /// Whose data.
    pub tenant: TenantId,
}

impl Parts for TenantParts {
    fn visit(
        &self,
        range: TimeRange,
        profile_type: Option<&ProfileType>,
        visit: &mut dyn FnMut(PartView<'_>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.store.visit(&self.tenant, range, profile_type, visit)
    }

    fn visit_series(
        &self,
        range: TimeRange,
        profile_type: Option<&ProfileType>,
        series: &dyn Fn(&LabelSet) -> bool,
        visit: &mut dyn FnMut(PartView<'_>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.store.visit_series(&self.tenant, range, profile_type, Some(series), visit)
    }

    fn visit_details(
        &self,
        of: (TimeRange, Option<&ProfileType>),
        series: &dyn Fn(&LabelSet) -> bool,
        visit: &mut dyn FnMut(DetailsView<'_>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.store.visit_details(&self.tenant, of, series, visit)
    }

    fn visit_sums(
        &self,
        range: TimeRange,
        profile_type: Option<&ProfileType>,
        series: &dyn Fn(&LabelSet) -> bool,
        visit: &mut dyn FnMut(PartView<'_>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let wanted = Wanted { range, profile_type, series: Some(series), sums: true };
        self.store.visit_wanted(&self.tenant, wanted, visit)
    }

    fn tenant(&self) -> TenantId {
        self.tenant.clone()
    }

    fn rollups(&self, range: TimeRange) -> Option<Rollups> {
        self.store.rollups(&self.tenant, range)
    }

    fn missing(&self, range: TimeRange) -> Vec<String> {
        let losses = self.store.losses(&self.tenant, range);
        losses.iter().map(|loss| format!("data are missing: {loss}")).collect()
    }

    fn version(&self, range: TimeRange) -> Option<DataVersion> {
        Some(self.store.version(&self.tenant, range))
    }

    fn names(&self, read: &mut dyn FnMut(&Names)) {
        self.store.names(&self.tenant, |names| read(names));
    }
}
