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
use stoker_dag::LabelTable;

use super::api::{WindowFacts, WindowRows};
use super::details::WindowDetails;
use super::segment::{SegmentDictionary, SliceIx, Sums};

/// What is held of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    /// The segment's id.
    pub segment: u64,
    /// What of it.
    pub place: Place,
}

/// A thing that a segment holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// A block, by its place in the footer.
    Block(usize),
    /// The sums of a block.
    Sums(usize),
    /// The label sets of a slice.
    Labels(SliceIx),
    /// The dictionary of a slice.
    Dictionary(SliceIx),
}

/// About how large a decoded block is, for the size of the cache's tables.
const USUAL_BLOCK_BYTES: usize = 1 << 20;

/// A decoded block.
#[derive(Debug, Clone)]
pub enum Cached {
    /// Label sets of a slice.
    Labels(Arc<LabelTable>),
    /// Names and stacks of a slice.
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

    /// Lets go of some of what was decoded ahead.
    pub fn let_go(&self, of: impl Fn(&Key) -> bool) {
        self.ahead().iter_mut().for_each(|ahead| ahead.retain(|key, _| !of(key)));
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

    fn key(at: usize) -> Key {
        Key { segment: 0, place: Place::Block(at) }
    }

    fn ask(cache: &Cache, at: usize) -> bool {
        let key = key(at);
        let is_held = cache.get(key).is_some();
        if !is_held {
            cache.put(key, Cached::Sums(None), BLOCK);
        }
        is_held
    }

    #[test]
    fn no_more_is_held_than_was_allowed() {
        let cache = Cache::new(10 * BLOCK);
        cache.put(key(0), Cached::Sums(None), 11 * BLOCK);
        assert!(cache.get(key(0)).is_none(), "larger than all of it");
        for at in 0..100 {
            ask(&cache, at);
        }
        assert!((0..100).filter(|&at| cache.get(key(at)).is_some()).count() <= 10);
    }

    #[test]
    fn what_was_decoded_ahead_is_there_until_it_is_let_go() {
        let [cache, ahead] = Cache::new(BLOCK).with_ahead();
        ahead.put(key(0), Cached::Sums(None), 2 * BLOCK);
        cache.put(key(1), Cached::Sums(None), 2 * BLOCK);
        assert!(cache.get(key(0)).is_some() && !cache.holds(key(0)));
        assert!(cache.get(key(1)).is_none(), "nobody decoded it ahead");
        cache.let_go(|held| held.segment == 2);
        assert!(cache.get(key(0)).is_some());
        cache.let_go(|held| *held == key(0));
        assert!(cache.get(key(0)).is_none());
    }

    #[test]
    fn of_what_is_read_again_and_again_a_part_stays() {
        let cache = Cache::new(50 * BLOCK);
        let held = |cache: &Cache| (0..100).filter(|&at| ask(cache, at)).count();
        for _ in 0..5 {
            held(&cache);
        }
        assert!(held(&cache) >= 20, "of 100 blocks, where there is room for 50");
    }
}
