//! One tenant's parts, and the rules by which they change.
//!
//! A batch is encoded and put in line for the disk under one lock (`entry`), so that the order of
//! the log is the order of its encoder. Parts change from live to frozen to sealed under another
//! (`parts`), each time in one step, so that a reader sees every row exactly once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use rustc_hash::FxHashMap;

use super::api::{SpoolId, StoreConfig, TenantId};
use super::head::Head;
use super::losses::Losses;
use super::names::SharedNames;
use super::retired::Retirement;
use super::segment::Segment;

/// A tenant's state.
#[derive(Debug)]
pub struct Tenant {
    /// Which tenant.
    pub id: TenantId,
    entry: Mutex<Entry>,
    parts: RwLock<Parts>,
    /// How far each spool is durable.
    watermarks: RwLock<FxHashMap<SpoolId, u64>>,
    /// What frames and builds are called.
    pub names: SharedNames,
    /// Segments that count no more.
    pub retirement: Retirement,
    /// What is known to be missing.
    pub losses: Losses,
}

/// What is in line for the disk.
#[derive(Debug, Default)]
pub struct Entry {
    /// The highest sequence of each spool that was put in line, and whether its log failed since.
    in_line: FxHashMap<SpoolId, (u64, Arc<AtomicBool>)>,
}

impl Entry {
    /// Whether this or a later sequence is in line and may still become durable.
    pub fn is_in_line(&self, spool: SpoolId, sequence: u64) -> bool {
        let held = self.in_line.get(&spool);
        held.is_some_and(|(last, failed)| sequence <= *last && !failed.load(Ordering::Acquire))
    }

    /// A batch is put in line for `head`.
    pub fn put_in_line(&mut self, spool: SpoolId, sequence: u64, head: &Head) {
        self.in_line.insert(spool, (sequence, Arc::clone(&head.failed)));
    }
}

/// Where rows are.
#[derive(Debug, Clone)]
pub struct Parts {
    /// The log that is written.
    pub live: Arc<Head>,
    /// Logs that wait to be sealed, oldest first.
    pub frozen: Vec<Arc<Head>>,
    /// Segments, oldest first.
    pub sealed: Vec<Arc<Segment>>,
}

impl Tenant {
    /// A tenant with these parts.
    pub fn new(
        id: TenantId,
        parts: Parts,
        watermarks: FxHashMap<SpoolId, u64>,
        losses: Losses,
    ) -> Self {
        Self {
            id,
            entry: Mutex::default(),
            parts: RwLock::new(parts),
            watermarks: RwLock::new(watermarks),
            names: SharedNames::default(),
            retirement: Retirement::default(),
            losses,
        }
    }

    /// Takes the right to encode and to change which log is live.
    pub fn enter(&self) -> MutexGuard<'_, Entry> {
        self.entry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The parts as they are now; they stay readable whatever happens after.
    pub fn parts(&self) -> Parts {
        self.parts.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The log that is written.
    pub fn live(&self) -> Arc<Head> {
        Arc::clone(&self.parts.read().unwrap_or_else(PoisonError::into_inner).live)
    }

    /// How many logs wait to be sealed.
    pub fn waiting(&self) -> usize {
        self.parts.read().unwrap_or_else(PoisonError::into_inner).frozen.len()
    }

    /// Puts a new log in the place of the live one, which is frozen and given back.
    pub fn freeze(&self, _entry: &MutexGuard<'_, Entry>, next_log: u64) -> Arc<Head> {
        let mut parts = self.parts.write().unwrap_or_else(PoisonError::into_inner);
        let next = Arc::new(parts.live.next(next_log));
        let frozen = std::mem::replace(&mut parts.live, next);
        parts.frozen.push(Arc::clone(&frozen));
        frozen
    }

    /// Puts a segment in the place of a frozen log, or nothing where the log was empty.
    pub fn sealed(&self, log: u64, segment: Option<Arc<Segment>>) {
        let mut parts = self.parts.write().unwrap_or_else(PoisonError::into_inner);
        parts.frozen.retain(|head| head.log != log);
        parts.sealed.extend(segment);
    }

    /// Puts a segment in the place of others.
    pub fn superseded(&self, ids: &[u64], segment: Arc<Segment>) {
        let mut parts = self.parts.write().unwrap_or_else(PoisonError::into_inner);
        parts.sealed.retain(|held| !ids.contains(&held.id()));
        parts.sealed.push(segment);
        parts.sealed.sort_by_key(|held| (held.footer.last_window, held.id()));
    }

    /// How far a spool is durable.
    pub fn watermark(&self, spool: SpoolId) -> u64 {
        let watermarks = self.watermarks.read().unwrap_or_else(PoisonError::into_inner);
        watermarks.get(&spool).copied().unwrap_or(0)
    }

    /// A batch of a spool is durable.
    pub fn advance(&self, spool: SpoolId, sequence: u64) {
        let mut watermarks = self.watermarks.write().unwrap_or_else(PoisonError::into_inner);
        let held = watermarks.entry(spool).or_default();
        *held = sequence.max(*held);
    }
}

/// Whether a log should be sealed.
pub fn is_due(head: &Head, config: &StoreConfig) -> bool {
    let StoreConfig { seal_bytes, seal_rows, seal_after, .. } = *config;
    let used = head.encoded_rows.load(Ordering::Relaxed);
    let written = head.log_bytes.load(Ordering::Relaxed);
    head.failed.load(Ordering::Relaxed)
        || used >= seal_rows
        || written >= seal_bytes
        || head.memory.load(Ordering::Relaxed) >= config.log_memory()
        || head.since.get().is_some_and(|since| since.elapsed() >= seal_after)
}
