//! Frames of many dictionaries, each carried into one table once. They are told apart by what they are and
//! not by their ids: an id is a cryptographic hash, and of a frame that is there already nobody needs it.

use std::hash::{Hash, Hasher};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use rustc_hash::FxHasher;
use stoker_dag::{Frame, FrameIx, FrameTable};

/// Where frames stand in a table that only grows, by what they are.
#[derive(Debug, Default)]
pub(super) struct CarriedFrames(HashTable<FrameIx>);

impl CarriedFrames {
    /// Where the frame of `part` at `ix` stands in `frames`, to which it is added when it is new.
    pub(super) fn carry(
        &mut self,
        frames: &mut FrameTable,
        part: &FrameTable,
        ix: FrameIx,
    ) -> FrameIx {
        let frame = part.frame(ix);
        let is_it = |known: &FrameIx| frames.frame(*known) == frame;
        let entry = self.0.entry(hash(frame), is_it, |known| hash(frames.frame(*known)));
        match entry {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(place) => {
                let new = frames.intern_with_id(part.id(ix), frame);
                place.insert(new);
                new
            }
        }
    }
}

fn hash(frame: &Frame) -> u64 {
    let mut hasher = FxHasher::default();
    frame.hash(&mut hasher);
    hasher.finish()
}
