//! Stacks of segments up to version 4: depth first, each frame by its rank among the frames that were
//! seen above the same caller, as columns.

use smallvec::SmallVec;
use stoker_dag::{FrameIx, NodeIx, NodeTable};
use stoker_wire::limits;

use super::columns::Reader;

/// The nodes that the columns tell of, over so many frames; nothing where they contradict
/// themselves or a limit.
pub fn read_stack_columns([ups, ranks, news]: &[Vec<u8>; 3], frames: usize) -> Option<NodeTable> {
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
            read_stack_columns(&[ups.to_vec(), ranks.to_vec(), news.to_vec()], frames).is_none()
        };
        assert!(!refused(&[0, 0], &[0, 0], &[0, 0], 2));
        assert!(refused(&[0, 0], &[0, 0], &[0, 0], 1), "a frame that is not there");
        assert!(refused(&[1], &[0], &[0], 1), "above the root");
        assert!(refused(&[0, 1], &[0, 1], &[0], 1), "one node twice");
        assert!(refused(&[0], &[1], &[], 1), "a rank that nobody has");
        assert!(refused(&[0], &[0, 0], &[0], 1), "columns of different length");
    }
}
