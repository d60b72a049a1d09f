//! Decoded blocks of segments, least recently used out first, bounded in bytes. Segments never
//! change and their ids are never reused, so nothing here can be stale.

use std::sync::{Arc, Mutex, PoisonError};

use rustc_hash::FxHashMap;

use super::api::{WindowFacts, WindowRows};
use super::details::WindowDetails;
use super::segment::{SegmentDictionary, Sums};

/// Segment and block.
pub type Key = (u64, usize);

/// A decoded block.
#[derive(Debug, Clone)]
pub enum Cached {
    /// Names and stacks.
    Dictionary(Arc<SegmentDictionary>),
    /// Rows.
    Rows(Arc<Vec<WindowRows>>),
    /// Samples one by one.
    Details(Arc<Vec<WindowDetails>>),
    /// Rows summed over their windows; nothing where sums have more than 64 bits.
    Sums(Option<Arc<Sums>>),
    /// Facts.
    Facts(Arc<Vec<WindowFacts>>),
}

/// The cache.
#[derive(Debug)]
pub struct Cache {
    limit: usize,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    blocks: FxHashMap<Key, (Cached, usize, u64)>,
    bytes: usize,
    clock: u64,
}

impl Cache {
    /// A cache of at most so many bytes.
    pub fn new(limit: usize) -> Self {
        Self { limit, held: Mutex::default() }
    }

    /// A block, if it is held.
    pub fn get(&self, key: Key) -> Option<Cached> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.clock += 1;
        let clock = held.clock;
        held.blocks.get_mut(&key).map(|(block, _, used)| {
            *used = clock;
            block.clone()
        })
    }

    /// Holds a block of about so many bytes, unless it is larger than all that may be held.
    pub fn put(&self, key: Key, block: Cached, bytes: usize) {
        if bytes > self.limit {
            return;
        }
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.clock += 1;
        let clock = held.clock;
        held.bytes += bytes;
        if let Some((_, before, _)) = held.blocks.insert(key, (block, bytes, clock)) {
            held.bytes -= before;
        }
        while held.bytes > self.limit {
            let oldest = held.blocks.iter().min_by_key(|(_, (_, _, used))| *used);
            let Some(oldest) = oldest.map(|(key, _)| *key) else { break };
            if let Some((_, bytes, _)) = held.blocks.remove(&oldest) {
                held.bytes -= bytes;
            }
        }
    }
}
