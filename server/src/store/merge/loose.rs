//! Frames that segments name and of which they have no stack: what a log taught of stacks that stand in
//! another. They must not get lost when segments are merged.

use stoker_dag::FrameTable;
use stoker_wire::Dictionary;

use crate::store::blobs::Blobs;
use crate::store::error::StoreError;
use crate::store::segment::{Segment, SliceIx};

/// Such frames.
#[derive(Debug, Default)]
pub struct Loose(FrameTable);

impl Loose {
    /// Learns those of a slice with stacks.
    ///
    /// # Errors
    /// When its definitions cannot be read.
    pub fn learn(
        &mut self,
        blobs: &dyn Blobs,
        (segment, slice): (&Segment, SliceIx),
        dictionary: &Dictionary,
    ) -> Result<(), StoreError> {
        let mut has_stack = vec![false; dictionary.frames.len()];
        dictionary.nodes.iter().for_each(|(_, _, frame)| has_stack[frame.at()] = true);
        if has_stack.iter().all(|has| *has) {
            return Ok(());
        }
        for (frame, _) in segment.definitions_of(blobs, slice, &dictionary.frames)? {
            if !has_stack[frame.at()] {
                let frames = &dictionary.frames;
                self.0.intern_with_id(frames.id(frame), frames.frame(frame));
            }
        }
        Ok(())
    }

    /// Learns those of slices without rows.
    ///
    /// # Errors
    /// When their names cannot be read.
    pub fn learn_bare(&mut self, blobs: &dyn Blobs, segment: &Segment) -> Result<(), StoreError> {
        for slice in segment.slices().filter(|slice| !segment.has_rows(*slice)) {
            let (dictionary, _) = segment.definitions(blobs, slice)?;
            self.learn(blobs, (segment, slice), &dictionary)?;
        }
        Ok(())
    }

    /// Takes them.
    pub fn into_frames(self) -> FrameTable {
        self.0
    }
}
