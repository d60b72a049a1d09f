//! What is known of a link beside its data: one small file of JSON for each, which is also what says
//! that the link is there.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::id::LinkId;
use super::{MAX_SELECTIONS, MAX_VIEW_BYTES};
use crate::store::{Blobs, Disk, Level, LocalBlobs, RealDisk, StoreError, TenantId};

/// What such a file is called, after the link's name.
const ENDING: &str = ".json";
/// Bytes of such a file that are read.
const MAX_FILE_BYTES: u64 = 256 << 10;

/// What was copied for a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection {
    /// The selector, as it was understood.
    pub query: String,
    /// Start of its range.
    pub from_ms: u64,
    /// End of its range.
    pub until_ms: u64,
}

/// A link, as `docs/api.md` describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// Its name.
    pub id: LinkId,
    /// What the viewer shows: the part of its address behind the path.
    pub view: String,
    /// What was copied.
    pub selections: Vec<Selection>,
    /// When it was made.
    pub created_ms: u64,
    /// What its data take on disk.
    pub bytes: u64,
    /// Rows of its data.
    pub rows: u64,
    /// Samples of its data.
    pub samples: u64,
    /// How finely its data were kept when they were copied: a segment for each.
    pub levels: Vec<String>,
}

impl About {
    /// The ids of its segments, in order of level.
    pub(super) fn segments(&self) -> Vec<u64> {
        let held = Level::ALL
            .into_iter()
            .filter(|level| self.levels.iter().any(|word| word == level.as_str()));
        held.map(|level| self.id.segment(level)).collect()
    }
}

fn folder(tenant: &TenantId) -> String {
    format!("about/{tenant}")
}

fn name(tenant: &TenantId, id: LinkId) -> String {
    format!("{}/{id}{ENDING}", folder(tenant))
}

fn blobs(dir: &Path) -> LocalBlobs {
    LocalBlobs::new(Arc::new(RealDisk), dir.to_owned())
}

/// Every link whose file can be read, and how many cannot.
pub(super) fn read_all(
    dir: &Path,
    tenant: &TenantId,
) -> Result<(BTreeMap<LinkId, About>, u64), StoreError> {
    let path = dir.join(folder(tenant));
    RealDisk.create_dir_all(&path).map_err(StoreError::io("make", &path))?;
    let blobs = blobs(dir);
    blobs.remove_unfinished(&folder(tenant))?;
    let (mut held, mut unreadable) = (BTreeMap::new(), 0);
    for file in blobs.list(&folder(tenant))? {
        let Some(id) = file.strip_suffix(ENDING).and_then(|id| id.parse::<LinkId>().ok()) else {
            tracing::warn!(file, "a file that is no link is left alone");
            continue;
        };
        match read(&blobs, tenant, id) {
            Some(about) => {
                held.insert(id, about);
            }
            None => {
                unreadable += 1;
                tracing::error!(link = %id, "a link cannot be read and is left out");
            }
        }
    }
    Ok((held, unreadable))
}

fn read(blobs: &LocalBlobs, tenant: &TenantId, id: LinkId) -> Option<About> {
    let name = name(tenant, id);
    let length = blobs.len(&name).ok().filter(|length| *length <= MAX_FILE_BYTES)?;
    let bytes = blobs.get_range(&name, 0, usize::try_from(length).ok()?).ok()?;
    let about: About = serde_json::from_slice(&bytes).ok()?;
    let is_sound = about.id == id
        && about.view.len() <= MAX_VIEW_BYTES
        && about.selections.len() <= MAX_SELECTIONS;
    is_sound.then_some(about)
}

/// Whether there is a file about a link, readable or not.
pub(super) fn is_there(dir: &Path, tenant: &TenantId, id: LinkId) -> bool {
    blobs(dir).len(&name(tenant, id)).is_ok()
}

/// Makes a link known; durable when it returns.
pub(super) fn write(dir: &Path, tenant: &TenantId, about: &About) -> Result<(), StoreError> {
    let bytes = serde_json::to_vec(about).unwrap_or_default();
    let (blobs, name) = (blobs(dir), name(tenant, about.id));
    // One that cannot be read is in the way.
    blobs.delete(&name)?;
    blobs.put_new(&name, &bytes)
}

/// Makes a link unknown.
pub(super) fn remove(dir: &Path, tenant: &TenantId, id: LinkId) -> Result<(), StoreError> {
    blobs(dir).delete(&name(tenant, id))
}
