//! What a profile's stacks are like, in numbers that can be compared between made-up and real ones.

use rustc_hash::{FxHashMap, FxHashSet};
use stoker_dag::{FrameIx, NodeIx, NodeTable};

/// Samples of one busy CPU in one window at 19 Hz.
pub const WINDOW_SAMPLES: u64 = 190;

/// How stacks share frames, and how often they come again.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stacks {
    /// Samples.
    pub samples: u64,
    /// Distinct stacks.
    pub stacks: u64,
    /// Distinct nodes: stacks and their callers.
    pub nodes: u64,
    /// Distinct pairs of a caller's frame and a callee's.
    pub edges: u64,
    /// Distinct frames.
    pub frames: u64,
    /// Frames of a sample's stack, on average.
    pub mean_depth: f64,
    /// Frames of the deepest.
    pub max_depth: u64,
    /// Distinct stacks among [`WINDOW_SAMPLES`] samples drawn of these, expected.
    pub in_window: f64,
    /// Part of the samples whose stack came once: the chance that the next sample's stack is new (Good).
    pub met_once: f64,
}

impl Stacks {
    /// Of stacks with the number of their samples; a stack may come several times.
    #[must_use]
    pub fn of(nodes: &NodeTable, rows: impl Iterator<Item = (NodeIx, u64)>) -> Self {
        let mut counts: FxHashMap<NodeIx, u64> = FxHashMap::default();
        rows.filter(|(_, count)| *count > 0)
            .for_each(|(node, n)| *counts.entry(node).or_default() += n);
        let samples: u64 = counts.values().sum();
        let depths = depths(nodes);
        let (mut used, mut edges) = (vec![false; nodes.len()], FxHashSet::default());
        let mut frames: FxHashSet<FrameIx> = FxHashSet::default();
        for &leaf in counts.keys() {
            let mut at = leaf;
            while let Some(frame) = nodes.frame(at).filter(|_| !used[at.at()]) {
                used[at.at()] = true;
                frames.insert(frame);
                at = nodes.parent(at);
                edges.insert((nodes.frame(at), frame));
            }
        }
        let of_all = |sum: f64| sum / samples.max(1) as f64;
        let depth = |node: &NodeIx| u64::from(depths[node.at()]);
        let once = counts.values().filter(|count| **count == 1).count();
        Self {
            samples,
            stacks: counts.len() as u64,
            nodes: used.iter().filter(|used| **used).count() as u64,
            edges: edges.len() as u64,
            frames: frames.len() as u64,
            mean_depth: of_all(counts.iter().map(|(node, n)| (depth(node) * n) as f64).sum()),
            max_depth: counts.keys().map(depth).max().unwrap_or(0),
            in_window: counts.values().map(|count| seen(*count, samples)).sum(),
            met_once: of_all(once as f64),
        }
    }
}

fn depths(nodes: &NodeTable) -> Vec<u32> {
    let mut depths = vec![0; nodes.len()];
    for (node, parent, _) in nodes.iter() {
        depths[node.at()] = depths[parent.at()] + 1;
    }
    depths
}

/// The chance that one of `count` samples is among [`WINDOW_SAMPLES`] drawn of `samples` without putting
/// any back.
fn seen(count: u64, samples: u64) -> f64 {
    if samples <= WINDOW_SAMPLES {
        return 1.0;
    }
    let mut missed = 1.0;
    for at in 0..count.min(samples - WINDOW_SAMPLES + 1) {
        missed *= (samples - WINDOW_SAMPLES - at) as f64 / (samples - at) as f64;
        if missed < 1e-9 {
            break;
        }
    }
    1.0 - missed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stacks_are_counted_as_by_hand() {
        let mut nodes = NodeTable::default();
        let a = nodes.child(NodeIx::ROOT, FrameIx(0));
        let b = nodes.child(a, FrameIx(1));
        let c = nodes.child(b, FrameIx(0));
        let again = nodes.child(c, FrameIx(1));
        nodes.child(a, FrameIx(7));
        let found = Stacks::of(&nodes, [(again, 1), (b, 2), (b, 1)].into_iter());
        // Root to 0, 0 to 1, 1 to 0; the last node repeats the second pair. Frame 7 has no sample.
        let numbers = (found.samples, found.stacks, found.nodes, found.edges, found.frames);
        assert_eq!((numbers, found.max_depth), ((4, 2, 4, 3, 2), 4));
        assert!((found.mean_depth - 2.5).abs() < 1e-9 && (found.met_once - 0.25).abs() < 1e-9);
        assert!((found.in_window - 2.0).abs() < 1e-9);
        let of_many = seen(1, 1_900);
        assert!((of_many - 0.1).abs() < 1e-9, "{of_many}");
    }
}
