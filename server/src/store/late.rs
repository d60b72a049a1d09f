//! Names that come from elsewhere than batches: what debug information says that was pushed. Rows
//! never need them (queries ask by themselves), but a function table is named once and for good.

use stoker_dag::{Definition, Frame, FrameId};

use super::api::TenantId;

/// Knows what frames mean beside what the store was told.
pub trait LateNames: Send + Sync + std::fmt::Debug {
    /// What is known of these frames; may take a while.
    fn of_frames(
        &self,
        tenant: &TenantId,
        frames: &mut dyn Iterator<Item = (FrameId, &Frame)>,
    ) -> Vec<(FrameId, Definition)>;
}
