//! The catalogue in sled. Keys are texts joined by zero bytes, so that a prefix scan answers every
//! question; the segment's own entry is written last and goes first, so that an index entry without it means
//! only that a commit did not finish.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use prost::Message;
use sled::{Batch, Tree};
use stoker_dag::UnixNanos;

use super::api::{SpoolId, TenantId, TimeRange};
use super::catalogue::{Added, Catalogue, Change, Entry};
use super::error::StoreError;
use super::messages::Footer;

/// What the index holds and how; another number makes it be rebuilt.
const INDEX_VERSION: &[u8] = b"2";
/// Larger batches make sled hold everything up.
const MAX_BATCH: usize = 900;
const CACHE_BYTES: u64 = 16 << 20;

/// A segment as its entry has it.
#[derive(Clone, PartialEq, Message)]
struct Held {
    #[prost(message, required, tag = "1")]
    footer: Footer,
    /// Which builds it is found by, so that it can be forgotten.
    #[prost(string, repeated, tag = "2")]
    builds: Vec<String>,
}

/// The catalogue in a folder of sled's.
#[derive(Debug)]
pub struct SledCatalogue {
    db: sled::Db,
    segments: Tree,
    labels: Tree,
    builds: Tree,
    watermarks: Tree,
}

fn failed(doing: &'static str) -> impl FnOnce(sled::Error) -> StoreError {
    move |error| StoreError::Index { doing, what: error.to_string() }
}

/// Sled panics on some damage; that must not take the server with it.
fn guarded<T>(
    doing: &'static str,
    work: impl FnOnce() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(StoreError::Index { doing, what: "it panicked".to_owned() }))
}

impl SledCatalogue {
    /// Opens or makes the index in `dir` and reads every entry once.
    ///
    /// # Errors
    /// When sled cannot open it, or an entry does not say what it should.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        guarded("open it", || {
            let config = sled::Config::new()
                .path(dir)
                .cache_capacity(CACHE_BYTES)
                .flush_every_ms(None)
                .print_profile_on_drop(false);
            let db = config.open().map_err(failed("open it"))?;
            let tree = |name: &str| db.open_tree(name).map_err(failed("open a tree"));
            let catalogue = Self {
                segments: tree("segments")?,
                labels: tree("labels")?,
                builds: tree("builds")?,
                watermarks: tree("watermarks")?,
                db: db.clone(),
            };
            catalogue.verify()?;
            Ok(catalogue)
        })
    }

    fn verify(&self) -> Result<(), StoreError> {
        match self.db.get("version").map_err(failed("read its version"))? {
            Some(version) if version == INDEX_VERSION => {}
            None if self.segments.is_empty() => {
                self.db.insert("version", INDEX_VERSION).map_err(failed("write its version"))?;
            }
            _ => {
                let what = "it has another version".to_owned();
                return Err(StoreError::Index { doing: "read its version", what });
            }
        }
        for held in &self.segments {
            entry(&held.map_err(failed("read an entry"))?.1)?;
        }
        for tree in [&self.labels, &self.builds, &self.watermarks] {
            for held in tree {
                held.map_err(failed("read an entry"))?;
            }
        }
        Ok(())
    }

    fn ids(&self, tree: &Tree, prefix: &[u8]) -> Result<Vec<u64>, StoreError> {
        guarded("look segments up", || {
            let keys = tree.scan_prefix(prefix).keys();
            let ids = keys.map(|key| {
                let key = key.map_err(failed("look segments up"))?;
                id_at_end(&key)
            });
            ids.collect()
        })
    }

    /// Changes all that some segments are found by.
    fn change_keys(
        &self,
        tenant: &TenantId,
        of: &[Added],
        change: impl Fn(&mut Batch, &[u8]),
    ) -> sled::Result<()> {
        for added in of {
            let (labels, builds) = found_by(tenant, added);
            in_batches(&self.labels, &labels, &change)?;
            in_batches(&self.builds, &builds, &change)?;
        }
        Ok(())
    }

    fn held(&self, tenant: &TenantId, id: u64) -> Result<Option<Added>, StoreError> {
        let held = self.segments.get(of(tenant, id)).map_err(failed("read an entry"))?;
        held.map(|bytes| entry(&bytes)).transpose()
    }
}

/// Keys of the labels and the builds that a segment is found by.
fn found_by(tenant: &TenantId, added: &Added) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let id = added.entry.footer.id.to_be_bytes();
    let labels = added.entry.footer.labels.iter().flat_map(|label| {
        let values = label.values.iter().map(String::as_str).chain(label.more.then_some(""));
        values.map(|value| [&key(&[tenant.as_str(), &label.name, value])[..], &id].concat())
    });
    let builds = added.builds.iter();
    let builds = builds.map(|build| [&key(&[tenant.as_str(), build])[..], &id].concat());
    (labels.collect(), builds.collect())
}

/// The key of a segment's entry.
fn of(tenant: &TenantId, id: u64) -> Vec<u8> {
    [&key(&[tenant.as_str()])[..], &id.to_be_bytes()].concat()
}

fn in_batches(
    tree: &Tree,
    keys: &[Vec<u8>],
    change: impl Fn(&mut Batch, &[u8]),
) -> sled::Result<()> {
    for some in keys.chunks(MAX_BATCH) {
        let mut batch = Batch::default();
        some.iter().for_each(|key| change(&mut batch, key));
        tree.apply_batch(batch)?;
    }
    Ok(())
}

/// Texts, each with a zero byte after it.
fn key(texts: &[&str]) -> Vec<u8> {
    texts.iter().flat_map(|text| text.bytes().filter(|b| *b != 0).chain([0])).collect()
}

fn id_at_end(key: &[u8]) -> Result<u64, StoreError> {
    let wrong = || StoreError::Index { doing: "read a key", what: "it is too short".to_owned() };
    key.last_chunk::<8>().map(|id| u64::from_be_bytes(*id)).ok_or_else(wrong)
}

/// Length of the file, checksum of the rest, the rest.
fn entry(bytes: &[u8]) -> Result<Added, StoreError> {
    let wrong = |what: &str| StoreError::Index { doing: "read an entry", what: what.to_owned() };
    let (length, rest) = bytes.split_first_chunk::<8>().ok_or_else(|| wrong("it is too short"))?;
    let (check, held) = rest.split_first_chunk::<4>().ok_or_else(|| wrong("it is too short"))?;
    if crc32c::crc32c(held) != u32::from_le_bytes(*check) {
        return Err(wrong("its checksum is wrong"));
    }
    let Held { footer, builds } = Held::decode(held).map_err(|_| wrong("it is no entry"))?;
    Ok(Added { entry: Entry { footer, length: u64::from_le_bytes(*length) }, builds })
}

fn entry_bytes(added: &Added) -> Vec<u8> {
    let Added { entry: Entry { footer, length }, builds } = added.clone();
    let held = Held { footer, builds }.encode_to_vec();
    let check = crc32c::crc32c(&held).to_le_bytes();
    [&length.to_le_bytes()[..], &check, &held].concat()
}

impl Catalogue for SledCatalogue {
    fn commit(&self, tenant: &TenantId, change: &Change) -> Result<(), StoreError> {
        guarded("commit a segment", || {
            let add = |batch: &mut Batch, key: &[u8]| batch.insert(key, &[]);
            self.change_keys(tenant, &change.added, add).map_err(failed("add to an index"))?;
            for some in change.watermarks.chunks(MAX_BATCH) {
                let mut batch = Batch::default();
                for (spool, sequence) in some {
                    let key = [&key(&[tenant.as_str()])[..], &spool.0].concat();
                    batch.insert(key, &sequence.to_be_bytes());
                }
                self.watermarks.apply_batch(batch).map_err(failed("move watermarks"))?;
            }
            let (mut batch, mut gone) = (Batch::default(), Vec::new());
            for id in &change.superseded {
                // What cannot be read is not worth keeping the rest from being committed.
                gone.extend(self.held(tenant, *id).ok().flatten());
                batch.remove(of(tenant, *id));
            }
            for added in &change.added {
                batch.insert(of(tenant, added.entry.footer.id), entry_bytes(added));
            }
            self.segments.apply_batch(batch).map_err(failed("commit a segment"))?;
            // Otherwise the index would grow for ever.
            let forget = |batch: &mut Batch, key: &[u8]| batch.remove(key);
            self.change_keys(tenant, &gone, forget).map_err(failed("forget a segment"))?;
            self.db.flush().map_err(failed("flush"))?;
            Ok(())
        })
    }

    fn list(&self, tenant: &TenantId, range: TimeRange) -> Result<Vec<Entry>, StoreError> {
        guarded("list segments", || {
            let held = self.segments.scan_prefix(key(&[tenant.as_str()])).values();
            let entries =
                held.map(|bytes| Ok(entry(&bytes.map_err(failed("list segments"))?)?.entry));
            let overlaps = |entry: &Entry| {
                let footer = &entry.footer;
                range.overlaps(UnixNanos(footer.first_window), UnixNanos(footer.last_window))
            };
            let wanted = |entry: &Result<Entry, StoreError>| entry.as_ref().map_or(true, overlaps);
            entries.filter(wanted).collect()
        })
    }

    fn with_label(
        &self,
        tenant: &TenantId,
        name: &str,
        value: &str,
    ) -> Result<Vec<u64>, StoreError> {
        let mut ids = self.ids(&self.labels, &key(&[tenant.as_str(), name, value]))?;
        ids.extend(self.ids(&self.labels, &key(&[tenant.as_str(), name, ""]))?);
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }

    fn with_build(&self, tenant: &TenantId, build: &str) -> Result<Vec<u64>, StoreError> {
        self.ids(&self.builds, &key(&[tenant.as_str(), build]))
    }

    fn watermarks(&self, tenant: &TenantId) -> Result<Vec<(SpoolId, u64)>, StoreError> {
        guarded("list watermarks", || {
            let wrong =
                || StoreError::Index { doing: "read a watermark", what: "wrong size".to_owned() };
            let held = self.watermarks.scan_prefix(key(&[tenant.as_str()]));
            let watermarks = held.map(|held| {
                let (key, sequence) = held.map_err(failed("list watermarks"))?;
                let spool = SpoolId(*key.last_chunk().ok_or_else(wrong)?);
                let sequence = u64::from_be_bytes((*sequence).try_into().map_err(|_| wrong())?);
                Ok((spool, sequence))
            });
            watermarks.collect()
        })
    }

    fn tenants(&self) -> Result<Vec<TenantId>, StoreError> {
        guarded("list tenants", || {
            let mut tenants = Vec::new();
            for key in self.segments.iter().keys() {
                let key = key.map_err(failed("list tenants"))?;
                let name = key.split(|byte| *byte == 0).next().unwrap_or_default();
                tenants.extend(TenantId::parse(&String::from_utf8_lossy(name)));
            }
            tenants.dedup();
            Ok(tenants)
        })
    }
}
