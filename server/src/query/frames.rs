//! Frames of many dictionaries, each carried into one table once. They are told apart by what they are and
//! not by their ids: an id is a cryptographic hash, and of a frame that is there already nobody needs it.

use std::hash::{Hash, Hasher};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use rustc_hash::{FxHashMap, FxHasher};
use stoker_dag::{BuildId, Frame, FrameId, FrameIx, FrameTable, KernelImage};

/// Where frames stand in a table that grows by them alone, by what they are. Nothing is looked up there by id.
#[derive(Debug, Default)]
pub(super) struct CarriedFrames {
    /// Of a build, which are nearly all: by the build's number, whether in the kernel, and the offset.
    of_builds: FxHashMap<(u32, bool, u64), FrameIx>,
    builds: FxHashMap<BuildId, u32>,
    /// Numbers of builds by where a dictionary has their bytes; those of one build are shared there.
    known: FxHashMap<usize, u32>,
    last: Option<(usize, u32)>,
    others: HashTable<FrameIx>,
}

impl CarriedFrames {
    /// Another dictionary begins.
    pub(super) fn enter(&mut self) {
        self.known.clear();
        self.last = None;
    }

    /// Where the frame of `part` at `ix` stands in `frames`, to which it is added when it is new.
    pub(super) fn carry(
        &mut self,
        frames: &mut FrameTable,
        part: &FrameTable,
        ix: FrameIx,
    ) -> FrameIx {
        let frame = part.frame(ix);
        let key = match frame {
            Frame::Native { build_id, offset } => (self.build(build_id), false, *offset),
            Frame::Kernel { image: KernelImage::Build(build_id), offset } => {
                (self.build(build_id), true, *offset)
            }
            _ => return self.other(frames, frame, || part.id(ix)),
        };
        let new = || frames.append_with_id(part.id(ix), frame.clone());
        *self.of_builds.entry(key).or_insert_with(new)
    }

    fn build(&mut self, build_id: &BuildId) -> u32 {
        let bytes = build_id.as_bytes().as_ptr().addr();
        match self.last {
            Some((last, number)) if last == bytes => return number,
            _ => {}
        }
        let next = u32::try_from(self.builds.len()).unwrap_or(u32::MAX);
        let builds = &mut self.builds;
        let number = *self
            .known
            .entry(bytes)
            .or_insert_with(|| *builds.entry(build_id.clone()).or_insert(next));
        self.last = Some((bytes, number));
        number
    }

    /// As [`Self::carry`], a frame of no build and of no dictionary.
    pub(super) fn other(
        &mut self,
        frames: &mut FrameTable,
        frame: &Frame,
        id: impl FnOnce() -> FrameId,
    ) -> FrameIx {
        let is_it = |known: &FrameIx| frames.frame(*known) == frame;
        let entry = self.others.entry(hash(frame), is_it, |known| hash(frames.frame(*known)));
        match entry {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(place) => {
                let new = frames.append_with_id(id(), frame.clone());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_all_kinds_are_carried_once() {
        let build = |byte| BuildId::new(stoker_dag::BuildIdKind::Gnu, &[byte; 20]).unwrap();
        let release = KernelImage::Release { release: "6.1".into(), module: "ext4".into() };
        let all = [
            Frame::Native { build_id: build(1), offset: 7 },
            Frame::Native { build_id: build(2), offset: 7 },
            Frame::Kernel { image: KernelImage::Build(build(1)), offset: 7 },
            Frame::Kernel { image: release, offset: 7 },
            Frame::Special(stoker_dag::SpecialFrame::Truncated),
            Frame::Native { build_id: build(1), offset: 8 },
        ];
        let (mut carried, mut to) = (CarriedFrames::default(), FrameTable::default());
        // The second dictionary has the builds at other addresses, and its frames in another order.
        for order in [[0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0]] {
            let mut part = FrameTable::default();
            for at in order {
                part.append_without_id(all[at].clone());
            }
            carried.enter();
            for (ix, at) in (0u32..).zip(order) {
                let found = carried.carry(&mut to, &part, FrameIx(ix));
                assert_eq!((to.frame(found), to.id(found)), (&all[at], all[at].id()));
            }
        }
        assert_eq!(to.len(), all.len());
    }
}
