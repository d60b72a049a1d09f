//! Where queries find rows: the store, or parts held in memory.

use std::time::Instant;

use stoker_dag::{Definition, Frame, FrameId};

use crate::store::{
    DataVersion, DetailsVisitor, Names, PartVisitor, Rollups, Store, StoreError, TenantId,
    TimeRange, Wanted,
};

/// What a query needs of a store. One implementor is one tenant's data.
pub trait Parts: Send + Sync {
    /// Calls `visit` with every part that may hold rows of what is wanted, each row exactly once, until it
    /// breaks. Rows of series that are not wanted may come all the same; rows may come summed over their
    /// windows ([`PartView::sums`](crate::store::PartView::sums)) where that is allowed and all of those are in the range.
    ///
    /// # Errors
    /// When something cannot be read.
    fn visit(&self, wanted: Wanted<'_>, visit: &mut PartVisitor<'_>) -> Result<(), StoreError>;

    /// Calls `visit` with the samples of what is wanted that are kept one by one, each exactly once, until
    /// it breaks. Samples of other series may come all the same.
    ///
    /// # Errors
    /// When something cannot be read.
    fn visit_details(
        &self,
        _wanted: Wanted<'_>,
        _visit: &mut DetailsVisitor<'_>,
    ) -> Result<(), StoreError> {
        Ok(())
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
    fn visit(&self, wanted: Wanted<'_>, visit: &mut PartVisitor<'_>) -> Result<(), StoreError> {
        self.store.visit(&self.tenant, wanted, visit)
    }

    fn visit_details(
        &self,
        wanted: Wanted<'_>,
        visit: &mut DetailsVisitor<'_>,
    ) -> Result<(), StoreError> {
        self.store.visit_details(&self.tenant, wanted, visit)
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
