//! What a tenant's data of a range are, as one short value: it changes whenever an answer about the
//! range might. It is made of what there is (segments, how much of which log, names, losses), not
//! counted up, so it needs no care at the places where data change and survives no mistake there.

use stoker_dag::UnixNanos;

use super::api::{TenantId, TimeRange};
use super::handle::Store;
use super::head::facts_in;

/// A state of a tenant's data of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DataVersion(pub [u8; 16]);

impl DataVersion {
    /// The version of several numbers.
    #[must_use]
    pub fn of(numbers: impl IntoIterator<Item = u64>) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("stoker 2026 data version");
        for number in numbers {
            hasher.update(&number.to_le_bytes());
        }
        let mut version = [0; 16];
        hasher.finalize_xof().fill(&mut version);
        Self(version)
    }
}

impl Store {
    /// The state of a tenant's data of a range. Equal versions are equal data; unequal ones need not
    /// differ: a log that was sealed has the rows that it had.
    #[must_use]
    pub fn version(&self, tenant: &TenantId, range: TimeRange) -> DataVersion {
        let Some(tenant) = self.shared().find(tenant) else { return DataVersion::of([]) };
        // Names before rows: rows come with their names, which are learned first.
        let mut numbers = vec![tenant.names.changes(), tenant.losses.changes()];
        let parts = tenant.parts();
        let within = parts.sealed.iter().filter(|segment| {
            let footer = &segment.footer;
            range.overlaps(UnixNanos(footer.first_window), UnixNanos(footer.last_window))
        });
        numbers.extend(within.map(|segment| segment.id()));
        for head in parts.frozen.iter().chain([&parts.live]) {
            // Each batch adds one record of facts, in the window of its rows.
            let batches = facts_in(&head.rows().facts, range).len() as u64;
            numbers.extend([u64::MAX, head.log, batches]);
        }
        DataVersion::of(numbers)
    }
}
