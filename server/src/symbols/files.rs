//! The files on disk: `symbols/TENANT/BUILD_ID.elf` in the data folder, and what is known of each.
//!
//! A file is written beside the others, synced, and only then given its name: a crash leaves either
//! the whole file or none. The index is made afresh from the folder at every start.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use stoker_dag::{BuildId, UnixNanos};
use stoker_symbols::elf::Inventory;

use super::check::inspect;
use super::error::SymbolsError;
use super::upload::{Slot, Upload};
use super::{MAX_FILE_BYTES, SymbolCounts};
use crate::store::TenantId;

/// What a file ends with, and what one ends with that is not whole.
const ENDING: &str = ".elf";
const PART_ENDING: &str = ".part";

/// What came of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Symbolled {
    /// There was none of this build.
    New,
    /// It stands in place of another.
    Replaced,
    /// The one that is there says more, and stays.
    Poorer,
}

/// A file that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SymbolFile {
    /// Its size.
    pub bytes: u64,
    /// What it has.
    pub inventory: Inventory,
    /// When it was pushed.
    pub pushed: UnixNanos,
    /// What came of the push.
    pub outcome: Symbolled,
    /// Tells it from others that stood for the build before.
    pub(super) version: u64,
    used: u64,
}

type Key = (TenantId, BuildId);

/// All files.
#[derive(Debug)]
pub(super) struct Files {
    dir: PathBuf,
    max_bytes: u64,
    held: Mutex<BTreeMap<Key, SymbolFile>>,
    /// Counts pushes and uses, to order them.
    clock: AtomicU64,
    uploads: Arc<AtomicUsize>,
    pushed: AtomicU64,
    refused: AtomicU64,
    evicted: AtomicU64,
    unreadable: AtomicU64,
}

impl Files {
    /// Finds what is in the folder; one that is not there is empty.
    pub(super) fn open(dir: &Path, max_bytes: u64) -> Result<Self, SymbolsError> {
        let files = Self {
            dir: dir.to_owned(),
            max_bytes,
            held: Mutex::default(),
            clock: AtomicU64::new(1),
            uploads: Arc::default(),
            pushed: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            evicted: AtomicU64::new(0),
            unreadable: AtomicU64::new(0),
        };
        let mut found = Vec::new();
        for (name, path) in list(dir)? {
            let Ok(tenant) = TenantId::parse(&name) else { continue };
            for (name, path) in list(&path)? {
                files.find(&tenant, &name, &path, &mut found);
            }
        }
        found.sort_by_key(|(_, file)| file.pushed);
        for (key, mut file) in found {
            (file.version, file.used) = (files.tick(), files.tick());
            files.lock().insert(key, file);
        }
        files.evict(&mut files.lock(), None);
        Ok(files)
    }

    fn find(&self, tenant: &TenantId, name: &str, path: &Path, found: &mut Vec<(Key, SymbolFile)>) {
        if name.ends_with(PART_ENDING) {
            // What an upload left that broke off.
            let _ = std::fs::remove_file(path);
            return;
        }
        let Some(build_id) = name.strip_suffix(ENDING).and_then(build_id_of) else { return };
        let file = File::open(path).map_err(SymbolsError::io("open", path));
        match file.and_then(|file| Ok((inspect(&file, &build_id)?, file))) {
            Ok((inventory, file)) => {
                found.push(((tenant.clone(), build_id), described(&file, inventory)));
            }
            Err(error) => {
                self.unreadable.fetch_add(1, Ordering::Relaxed);
                tracing::error!(%error, path = %path.display(), "a symbol file is left out");
            }
        }
    }

    /// See [`Symbols::upload`](super::Symbols::upload).
    pub(super) fn begin(
        &self,
        tenant: &TenantId,
        build_id: &BuildId,
        bytes: Option<u64>,
    ) -> Result<Upload, SymbolsError> {
        let limit = self.max_bytes.min(MAX_FILE_BYTES);
        if bytes.is_some_and(|bytes| bytes > limit) || limit == 0 {
            return Err(SymbolsError::too_large(self.max_bytes));
        }
        let slot = Slot::take(&self.uploads)?;
        let dir = self.dir.join(tenant.as_str());
        std::fs::create_dir_all(&dir).map_err(SymbolsError::io("create", &dir))?;
        let number = self.tick();
        let path = dir.join(format!("{}-{number}{PART_ENDING}", std::process::id()));
        Upload::begin((tenant, build_id), path, (limit, self.max_bytes), slot)
    }

    /// See [`Symbols::keep`](super::Symbols::keep).
    pub(super) fn keep(&self, upload: &Upload) -> Result<SymbolFile, SymbolsError> {
        let inventory = inspect(&upload.file, &upload.build_id)?;
        let mut file = described(&upload.file, inventory);
        (file.version, file.used) = (self.tick(), self.tick());
        upload.file.sync_all().map_err(SymbolsError::io("sync", &upload.path))?;
        let key = (upload.tenant.clone(), upload.build_id.clone());
        let mut held = self.lock();
        if let Some(before) = held.get(&key) {
            if before.inventory > inventory {
                return Ok(SymbolFile { outcome: Symbolled::Poorer, ..*before });
            }
            file.outcome = Symbolled::Replaced;
        }
        let path = self.path(&key);
        std::fs::rename(&upload.path, &path).map_err(SymbolsError::io("rename", &upload.path))?;
        sync_dirs(&path)?;
        held.insert(key.clone(), file);
        self.evict(&mut held, Some(&key));
        self.pushed.fetch_add(1, Ordering::Relaxed);
        Ok(file)
    }

    /// Lets those go that were used longest ago, until the rest fits; never `spared`.
    fn evict(&self, held: &mut BTreeMap<Key, SymbolFile>, spared: Option<&Key>) {
        while held.values().map(|file| file.bytes).sum::<u64>() > self.max_bytes {
            let others = held.iter().filter(|(key, _)| Some(*key) != spared);
            let oldest = others.min_by_key(|(_, file)| file.used).map(|(key, _)| key.clone());
            let Some(oldest) = oldest else { return };
            held.remove(&oldest);
            self.evicted.fetch_add(1, Ordering::Relaxed);
            let path = self.path(&oldest);
            tracing::warn!(build_id = %oldest.1, "a symbol file went to make room (--max-symbols)");
            if let Err(error) = std::fs::remove_file(&path) {
                tracing::error!(%error, path = %path.display(), "cannot remove a symbol file");
            }
        }
    }

    /// The version of the file that there is for a build.
    pub(super) fn version(&self, tenant: &TenantId, build_id: &BuildId) -> Option<u64> {
        let key = (tenant.clone(), build_id.clone());
        self.lock().get(&key).map(|file| file.version)
    }

    /// Opens the file of a build, which was used just now.
    pub(super) fn file(&self, tenant: &TenantId, build_id: &BuildId) -> Option<File> {
        let key = (tenant.clone(), build_id.clone());
        let used = self.tick();
        self.lock().get_mut(&key)?.used = used;
        let path = self.path(&key);
        File::open(&path)
            .inspect_err(|error| {
                tracing::error!(%error, path = %path.display(), "cannot open a symbol file");
            })
            .ok()
    }

    pub(super) fn list(&self, tenant: &TenantId) -> Vec<(BuildId, SymbolFile)> {
        let held = self.lock();
        let own = held.iter().filter(|((owner, _), _)| owner == tenant);
        own.map(|((_, build_id), file)| (build_id.clone(), *file)).collect()
    }

    pub(super) fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn max_bytes(&self) -> u64 {
        self.max_bytes
    }

    pub(super) fn count_into(&self, counts: &mut SymbolCounts) {
        let held = self.lock();
        counts.files = held.len() as u64;
        counts.bytes = held.values().map(|file| file.bytes).sum();
        counts.pushed = self.pushed.load(Ordering::Relaxed);
        counts.refused = self.refused.load(Ordering::Relaxed);
        counts.evicted = self.evicted.load(Ordering::Relaxed);
        counts.unreadable = self.unreadable.load(Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, SymbolFile>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::Relaxed)
    }

    fn path(&self, (tenant, build_id): &Key) -> PathBuf {
        // A build id is hexadecimal, after a word and a colon perhaps: no path can be made of it.
        let name = build_id.to_string().replace(':', "-");
        self.dir.join(tenant.as_str()).join(name + ENDING)
    }
}

/// The build id that a file's name says.
fn build_id_of(name: &str) -> Option<BuildId> {
    name.replacen('-', ":", 1).parse().ok()
}

fn described(file: &File, inventory: Inventory) -> SymbolFile {
    let metadata = file.metadata().ok();
    let modified = metadata.as_ref().and_then(|metadata| metadata.modified().ok());
    let since = modified.unwrap_or_else(SystemTime::now).duration_since(UNIX_EPOCH);
    let pushed = since.map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX));
    SymbolFile {
        bytes: metadata.map_or(0, |metadata| metadata.len()),
        inventory,
        pushed: UnixNanos(pushed),
        outcome: Symbolled::New,
        version: 0,
        used: 0,
    }
}

fn list(dir: &Path) -> Result<Vec<(String, PathBuf)>, SymbolsError> {
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(SymbolsError::io("list", dir))?,
    };
    let named = entries.flatten().map(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        (name, entry.path())
    });
    Ok(named.collect())
}

/// Makes a file's name durable, and those of the folders above it that may be new.
fn sync_dirs(path: &Path) -> Result<(), SymbolsError> {
    for dir in path.ancestors().skip(1).take(3) {
        let synced = File::open(dir).and_then(|dir| dir.sync_all());
        synced.map_err(SymbolsError::io("sync", dir))?;
    }
    Ok(())
}
