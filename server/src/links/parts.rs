//! A link's data, to be queried like a tenant's.

use std::time::Instant;

use stoker_dag::{Definition, Frame, FrameId};

use super::{LinkError, LinkId, Links};
use crate::query::Parts;
use crate::store::{
    AloneRows, DetailsVisitor, Names, PartVisitor, Rollups, StoreError, TenantId, TimeRange, Wanted,
};
use crate::symbols::NamedParts;

/// The rows of one link. Debug information that was pushed after it was made names its frames too.
#[derive(Debug)]
pub struct LinkParts {
    links: Links,
    rows: AloneRows,
    late: Option<NamedParts>,
}

impl Links {
    /// The data of a link; `None` where there is no such link.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn parts(
        &self,
        id: LinkId,
        late: Option<NamedParts>,
    ) -> Result<Option<LinkParts>, LinkError> {
        let Some(about) = self.get(id) else { return Ok(None) };
        let rows = self.0.segments.get(&self.0.tenant, &about.segments())?;
        Ok(Some(LinkParts { links: self.clone(), rows, late }))
    }
}

impl Parts for LinkParts {
    fn visit(&self, wanted: Wanted<'_>, visit: &mut PartVisitor<'_>) -> Result<(), StoreError> {
        self.links.0.segments.visit(&self.rows, wanted, visit)
    }

    fn visit_details(
        &self,
        wanted: Wanted<'_>,
        visit: &mut DetailsVisitor<'_>,
    ) -> Result<(), StoreError> {
        self.links.0.segments.visit_details(&self.rows, wanted, visit)
    }

    fn rollups(&self, range: TimeRange) -> Option<Rollups> {
        self.rows.rollups(range)
    }

    fn tenant(&self) -> TenantId {
        self.links.0.tenant.clone()
    }

    fn names(&self, read: &mut dyn FnMut(&Names)) {
        read(&self.rows.names);
    }

    fn late_definitions(
        &self,
        frames: &mut dyn Iterator<Item = (FrameId, &Frame)>,
        deadline: Option<Instant>,
    ) -> Vec<(FrameId, Definition)> {
        self.late.as_ref().map_or_else(Vec::new, |late| late.late_definitions(frames, deadline))
    }
}
