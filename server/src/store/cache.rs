//! Decoded blocks of segments, bounded in bytes. Segments never change and their ids are never reused,
//! so nothing here can be stale.
//!
//! A question over a long time reads more blocks than there is room for, one after the other and each time
//! in the same order: what was used longest ago would always be what is needed next. So the cache resists
//! scans (`quick_cache`, a variant of CLOCK-Pro): a part of the blocks stays.
//!
//! What is decoded ahead of a question stands beside that until the question has come by, so that no
//! other block can drive it out in between.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quick_cache::sync::{Cache as Blocks, DefaultLifecycle};
use quick_cache::{OptionsBuilder, Weighter};
use rustc_hash::{FxBuildHasher, FxHashMap};

use super::api::{WindowFacts, WindowRows};
use super::details::WindowDetails;
use super::segment::{SegmentDictionary, Sums};

/// Segment and block.
pub type Key = (u64, usize);

/// About how large a decoded block is, for the size of the cache's tables.
const USUAL_BLOCK_BYTES: usize = 1 << 20;

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

/// A block and about how many bytes it has.
type Weighed = (Cached, u64);

#[derive(Debug, Clone)]
struct ByBytes;

impl Weighter<Key, Weighed> for ByBytes {
    fn weight(&self, _key: &Key, (_, bytes): &Weighed) -> u64 {
        (*bytes).max(1)
    }
}

/// The cache.
#[derive(Debug)]
pub struct Cache {
    blocks: Arc<Blocks<Key, Weighed, ByBytes, FxBuildHasher>>,
    /// What was decoded ahead of one question.
    ahead: Option<Arc<Mutex<FxHashMap<Key, Cached>>>>,
    /// Whether what is put is decoded ahead.
    is_ahead: bool,
}

impl Cache {
    /// A cache of at most so many bytes.
    pub fn new(limit: usize) -> Self {
        // One shard: a block may be as large as the whole cache.
        let options = OptionsBuilder::new()
            .shards(1)
            .estimated_items_capacity((limit / USUAL_BLOCK_BYTES).max(16))
            .weight_capacity(limit as u64)
            .build()
            .unwrap_or_else(|error| unreachable!("both capacities are given: {error}"));
        let lifecycle = DefaultLifecycle::default();
        let blocks = Blocks::with_options(options, ByBytes, FxBuildHasher, lifecycle);
        Self { blocks: Arc::new(blocks), ahead: None, is_ahead: false }
    }

    /// The same cache for one question, and for those who decode ahead of it. What these put, the question
    /// finds until it lets go of it.
    pub fn with_ahead(&self) -> [Self; 2] {
        let ahead: Arc<Mutex<FxHashMap<Key, Cached>>> = Arc::default();
        [false, true].map(|is_ahead| Self {
            blocks: Arc::clone(&self.blocks),
            ahead: Some(Arc::clone(&ahead)),
            is_ahead,
        })
    }

    /// Lets go of what was decoded ahead of a segment.
    pub fn let_go(&self, segment: u64) {
        self.ahead().iter_mut().for_each(|ahead| ahead.retain(|key, _| key.0 != segment));
    }

    fn ahead(&self) -> Option<MutexGuard<'_, FxHashMap<Key, Cached>>> {
        let ahead = self.ahead.as_ref()?;
        // Each change of the map is one step, so a panic leaves it whole.
        Some(ahead.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether a block is held; asking is not using it.
    pub fn holds(&self, key: Key) -> bool {
        self.blocks.contains_key(&key)
    }

    /// A block, if it is held.
    pub fn get(&self, key: Key) -> Option<Cached> {
        let ahead = self.ahead().and_then(|ahead| ahead.get(&key).cloned());
        ahead.or_else(|| self.blocks.get(&key).map(|(block, _)| block))
    }

    /// Holds a block of about so many bytes, unless it is larger than all that may be held.
    pub fn put(&self, key: Key, block: Cached, bytes: usize) {
        if self.is_ahead {
            self.ahead().iter_mut().for_each(|ahead| drop(ahead.insert(key, block.clone())));
        }
        self.blocks.insert(key, (block, bytes as u64));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: usize = 1000;

    fn ask(cache: &Cache, key: usize) -> bool {
        let key = (0, key);
        let is_held = cache.get(key).is_some();
        if !is_held {
            cache.put(key, Cached::Sums(None), BLOCK);
        }
        is_held
    }

    #[test]
    fn no_more_is_held_than_was_allowed() {
        let cache = Cache::new(10 * BLOCK);
        cache.put((0, 0), Cached::Sums(None), 11 * BLOCK);
        assert!(cache.get((0, 0)).is_none(), "larger than all of it");
        for key in 0..100 {
            ask(&cache, key);
        }
        assert!((0..100).filter(|&key| cache.get((0, key)).is_some()).count() <= 10);
    }

    #[test]
    fn what_was_decoded_ahead_is_there_until_it_is_let_go() {
        let [cache, ahead] = Cache::new(BLOCK).with_ahead();
        ahead.put((1, 0), Cached::Sums(None), 2 * BLOCK);
        cache.put((1, 1), Cached::Sums(None), 2 * BLOCK);
        assert!(cache.get((1, 0)).is_some() && !cache.holds((1, 0)));
        assert!(cache.get((1, 1)).is_none(), "nobody decoded it ahead");
        cache.let_go(2);
        assert!(cache.get((1, 0)).is_some());
        cache.let_go(1);
        assert!(cache.get((1, 0)).is_none());
    }

    #[test]
    fn of_what_is_read_again_and_again_a_part_stays() {
        let cache = Cache::new(50 * BLOCK);
        let held = |cache: &Cache| (0..100).filter(|&key| ask(cache, key)).count();
        for _ in 0..5 {
            held(&cache);
        }
        assert!(held(&cache) >= 20, "of 100 blocks, where there is room for 50");
    }
}
