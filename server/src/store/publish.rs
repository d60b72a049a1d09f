//! Making a segment count: written, read back, known to the index.

use std::io::ErrorKind;

use super::catalogue::{Added, Change, Entry};
use super::error::StoreError;
use super::messages::Footer;
use super::segment::{Segment, WrittenSegment};
use super::shared::{Shared, count};
use super::tenant::Tenant;

/// Puts a segment into its place, reads it back and tells the index. `uncertain` is called where it failed and
/// the file may be there all the same.
///
/// # Errors
/// When it could not be written or is not what was written.
pub fn publish(
    shared: &Shared,
    tenant: &Tenant,
    written: WrittenSegment,
    uncertain: impl FnOnce(),
) -> Result<Segment, StoreError> {
    let WrittenSegment { bytes, footer, builds } = written;
    let name = Segment::name_of(&tenant.id, footer.id);
    let length = bytes.len() as u64;
    let mut segment = Segment::of(&tenant.id, footer.clone(), length);
    segment.forget_labels();
    let put = shared.blobs.put_new(&name, &bytes);
    drop(bytes);
    // What has the name already is not ours to remove.
    let is_taken = |error: &StoreError| matches!(error, StoreError::Io { source, .. } if source.kind() == ErrorKind::AlreadyExists);
    if let Err(error) = put.as_ref()
        && is_taken(error)
    {
        return put.map(|()| segment);
    }
    // Read back before anything that it stands for goes.
    if let Err(error) = put.and_then(|()| segment.verify(&*shared.blobs)) {
        if shared.blobs.len(&name).is_ok() && shared.blobs.delete(&name).is_err() {
            uncertain();
        }
        return Err(error);
    }
    count(&shared.disk_used, length);
    tell_catalogue(shared, tenant, footer, length, builds);
    Ok(segment)
}

fn tell_catalogue(
    shared: &Shared,
    tenant: &Tenant,
    footer: Footer,
    length: u64,
    builds: Vec<String>,
) {
    let Some(catalogue) = shared.catalogue() else { return };
    let change = Change::add(vec![Added { entry: Entry { footer, length }, builds }]);
    if let Err(error) = catalogue.commit(&tenant.id, &change) {
        tracing::error!(%error, "the index lacks a segment until the next start");
    }
}
