//! Where queries find rows: the store, or parts held in memory.

use std::ops::ControlFlow;

use stoker_dag::ProfileType;

use crate::store::{Names, PartView, Store, StoreError, TenantId, TimeRange};

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

    /// Calls `read` once with what is known of frames and builds.
    fn names(&self, read: &mut dyn FnMut(&Names));
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

    fn names(&self, read: &mut dyn FnMut(&Names)) {
        self.store.names(&self.tenant, |names| read(names));
    }
}
