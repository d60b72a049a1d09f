//! Ranges of services: what a slice of a merged segment has.

use std::sync::Arc;

use stoker_dag::LabelSet;

use crate::store::messages::Slice;
use crate::store::segment::FIRST_LABEL;

/// Services by name, from one on, up to but not including another. A series without a service has the least
/// name, which is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Services {
    /// The first.
    pub from: Arc<str>,
    /// The first of those that come after; nothing where all that come after are in it.
    pub until: Option<Arc<str>>,
}

impl Services {
    /// Whether nothing comes before.
    pub fn is_first(&self) -> bool {
        self.from.is_empty()
    }

    /// Whether it has all of them.
    pub fn is_all(&self) -> bool {
        self.is_first() && self.until.is_none()
    }

    fn has(&self, service: &str) -> bool {
        *self.from <= *service && self.until.as_ref().is_none_or(|until| *service < **until)
    }

    /// Whether a series belongs to it.
    pub fn has_series(&self, series: &LabelSet) -> bool {
        self.has(series.get(FIRST_LABEL))
    }

    /// Whether a slice may have such series; nothing is known of segments before version 6.
    pub fn may_be_in(&self, slice: Option<&Slice>) -> bool {
        slice.is_none_or(|slice| {
            let ends_before = *slice.last_service < *self.from;
            let until = self.until.as_ref();
            !ends_before && until.is_none_or(|until| *slice.first_service < **until)
        })
    }
}
