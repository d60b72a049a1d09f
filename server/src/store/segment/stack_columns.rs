//! Stacks as columns, which takes little time: depth first, so that a node mostly stands below the one before
//! it, and each frame by its rank among the frames that were seen above the same caller. A program
//! calls few functions from one place, so both are small numbers. Sealed logs are written so, and all segments
//! up to version 4 were.

use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use stoker_dag::{FrameIx, NodeIx, NodeTable};
use stoker_wire::limits;

use super::columns::{Reader, put};
use super::stack_order::{FrameOrder, NONE, Tree, index};

/// So many frames above one caller are compared one by one, which is faster than looking them up.
const FEW: usize = 6;

/// The frames that were seen above each caller.
#[derive(Default)]
struct Callees {
    /// The first ones, and how many there are, by caller.
    few: Vec<(SmallVec<[u32; FEW]>, u32)>,
    /// Ranks of the others.
    many: FxHashMap<(u32, u32), u32>,
}

impl Callees {
    /// The rank of a frame above a caller, from 1 on; 0 for one that is new there, which it is no more then.
    fn rank(&mut self, caller: u32, frame: u32) -> u32 {
        let (few, count) = &mut self.few[caller as usize];
        if let Some(at) = few.iter().position(|held| *held == frame) {
            return index(at + 1);
        }
        if few.len() < FEW {
            few.push(frame);
        } else if let Some(rank) = self.many.get(&(caller, frame)) {
            return *rank;
        } else {
            self.many.insert((caller, frame), *count + 1);
        }
        *count += 1;
        0
    }
}

/// Writes the nodes of a tree as columns: levels up from the node before; rank of the frame above its caller,
/// where 0 is a new one; which frame a new one is, where 0 is one that no node had before. `numbers` gets the
/// new number of each node. Gives how many they are, the root left out.
pub fn write_columns(
    tree: &Tree<'_>,
    frames: &mut FrameOrder,
    numbers: &mut [u32],
) -> ([Vec<u8>; 3], u32) {
    let [mut ups, mut ranks, mut news] = [const { Vec::new() }; 3];
    let (mut callees, mut met, mut written) = (Callees::default(), 0, 0);
    callees.few.push(Default::default());
    // A node, its caller's number from 1 on, and how deep it is.
    let mut pending: Vec<(NodeIx, u32, u32)> = Vec::new();
    pending.extend(tree.child(NodeIx::ROOT).map(|node| (node, 0, 1)));
    let mut before = 0;
    while let Some((node, caller, depth)) = pending.pop() {
        written += 1;
        numbers[node.at()] = written;
        put(&mut ups, u64::from(before + 1 - depth));
        before = depth;
        let frame = tree.frame(node).map_or(NONE, |frame| frames.add(frame));
        let rank = callees.rank(caller, frame);
        put(&mut ranks, u64::from(rank));
        if rank == 0 && frame == met {
            put(&mut news, 0);
            met += 1;
            callees.few.push(Default::default());
        } else if rank == 0 {
            put(&mut news, u64::from(frame) + 1);
        }
        pending.extend(tree.sibling(node).map(|sibling| (sibling, caller, depth)));
        pending.extend(tree.child(node).map(|child| (child, frame + 1, depth + 1)));
    }
    ([ups, ranks, news], written)
}

/// The nodes that the columns tell of, over so many frames; nothing where they contradict
/// themselves or a limit.
pub fn read_columns([ups, ranks, news]: &[Vec<u8>; 3], frames: usize) -> Option<NodeTable> {
    if ups.len() > limits::MAX_STREAM_NODES * 2 {
        return None;
    }
    let (mut ups, mut ranks, mut news) = (Reader::new(ups), Reader::new(ranks), Reader::new(news));
    let mut table = NodeTable::default();
    table.reserve(ups.remaining());
    let mut callees: Vec<SmallVec<[u32; 3]>> = vec![SmallVec::new(); frames + 1];
    let mut frames_met = 0u32;
    let mut path: Vec<(NodeIx, u32)> = vec![(NodeIx::ROOT, 0)];
    while !ups.is_at_end() {
        let up = ups.get32()? as usize;
        path.truncate(path.len().checked_sub(up).filter(|left| *left > 0)?);
        let &(parent, caller) = path.last()?;
        let callees = &mut callees[caller as usize];
        let frame = match ranks.get32()? {
            0 => {
                let frame = match news.get32()? {
                    0 => {
                        frames_met += 1;
                        frames_met - 1
                    }
                    other => other - 1,
                };
                callees.push(frame);
                frame
            }
            rank => *callees.get(rank as usize - 1)?,
        };
        if frame as usize >= frames || path.len() > usize::from(limits::MAX_STACK_DEPTH) {
            return None;
        }
        let expected = table.len();
        let node = table.child(parent, FrameIx(frame));
        if node.at() != expected || expected > limits::MAX_STREAM_NODES {
            return None;
        }
        path.push((node, frame + 1));
    }
    (ranks.is_at_end() && news.is_at_end()).then_some(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_that_contradict_themselves_are_refused() {
        let refused = |ups: &[u8], ranks: &[u8], news: &[u8], frames| {
            read_columns(&[ups.to_vec(), ranks.to_vec(), news.to_vec()], frames).is_none()
        };
        assert!(!refused(&[0, 0], &[0, 0], &[0, 0], 2));
        assert!(refused(&[0, 0], &[0, 0], &[0, 0], 1), "a frame that is not there");
        assert!(refused(&[1], &[0], &[0], 1), "above the root");
        assert!(refused(&[0, 1], &[0, 1], &[0], 1), "one node twice");
        assert!(refused(&[0], &[1], &[], 1), "a rank that nobody has");
        assert!(refused(&[0], &[0, 0], &[0], 1), "columns of different length");
    }
}
