//! Pruning: fewer boxes, the same totals. Nothing is clipped silently: what goes is summed, to the
//! unit, in an `(other)` box below the parent it hung on.

use crate::call_tree::{BoxIx, BoxKind, BoxLabel, CallTree, NameIx};

/// The name of the box that stands for pruned siblings.
pub const OTHER: &str = "(other)";

/// The tree's `max_boxes` largest boxes (by total, parents before children) and one `(other)` below
/// each parent that lost some. `max_boxes` counts the root and not the `(other)` boxes; 0 keeps all.
#[must_use]
pub fn prune(tree: &CallTree, max_boxes: usize) -> CallTree {
    if max_boxes == 0 || tree.len() <= max_boxes {
        return tree.clone();
    }
    let all: Vec<usize> = (0..tree.len()).collect();
    let mut keep = vec![false; tree.len()];
    keep_largest(tree, all, max_boxes, &mut keep);
    only(tree.clone(), &keep, &vec![0; keep.len()])
}

/// The boxes of `tree` with at least this total, and one `(other)` below each parent that lost some.
#[must_use]
pub(crate) fn prune_below(tree: &CallTree, min_total: u64) -> CallTree {
    let keep: Vec<bool> =
        (0..tree.len()).map(|at| at == 0 || tree.total[at] >= min_total).collect();
    only(tree.clone(), &keep, &vec![0; keep.len()])
}

/// As [`prune`] of the sorted tree. Which of two boxes of one total stays is a matter of their order, and
/// of no larger or smaller one: so what is smaller than the smallest that stays goes first, and only the
/// rest is sorted.
#[must_use]
pub(crate) fn prune_unsorted(tree: CallTree, max_boxes: usize) -> CallTree {
    if max_boxes == 0 || tree.len() <= max_boxes {
        return tree.sorted();
    }
    let mut totals = tree.total.clone();
    let (_, &mut least, _) = totals.select_nth_unstable_by(max_boxes - 1, |a, b| b.cmp(a));
    drop(totals);
    // A parent's total is at least its child's.
    let keep: Vec<bool> = (0..tree.len()).map(|at| at == 0 || tree.total[at] >= least).collect();
    let (kept, lost) = without_others(tree, &keep);
    let order = kept.depth_first_order();
    let lost: Vec<u64> = order.iter().map(|at| lost[at.at()]).collect();
    let kept = kept.in_order(&order);
    let mut keep = vec![false; kept.len()];
    keep_largest(&kept, (0..kept.len()).collect(), max_boxes, &mut keep);
    only(kept, &keep, &lost)
}

/// As [`prune`], and the `max_boxes` largest boxes of the subtree of `focus` beside those: what one
/// looks at closely, in its place within the whole. `tree` has parents before children.
#[must_use]
pub fn prune_around(tree: &CallTree, max_boxes: usize, focus: BoxIx) -> CallTree {
    if max_boxes == 0 || tree.len() <= max_boxes {
        return tree.clone();
    }
    let mut keep = vec![false; tree.len()];
    keep_largest(tree, (0..tree.len()).collect(), max_boxes, &mut keep);
    keep_largest(tree, subtree(tree, focus), max_boxes, &mut keep);
    let mut up = tree.parent[focus.at()];
    while !keep[up.at()] {
        keep[up.at()] = true;
        up = tree.parent[up.at()];
    }
    only(tree.clone(), &keep, &vec![0; keep.len()])
}

fn subtree(tree: &CallTree, root: BoxIx) -> Vec<usize> {
    let mut is_within = vec![false; tree.len()];
    is_within[root.at()] = true;
    let mut boxes = vec![root.at()];
    for at in root.at() + 1..tree.len() {
        if is_within[tree.parent[at].at()] {
            is_within[at] = true;
            boxes.push(at);
        }
    }
    boxes
}

/// The tree with these boxes and the sums of all others, to which those in `lost` of each box belong
/// already. With a box its parent is kept.
fn only(tree: CallTree, keep: &[bool], before: &[u64]) -> CallTree {
    let lost_before = (0..tree.len()).filter(|at| keep[*at]).map(|at| before[at]);
    let lost_before: Vec<u64> = lost_before.collect();
    let (mut pruned, mut lost) = without_others(tree, keep);
    for (sum, before) in lost.iter_mut().zip(lost_before) {
        *sum = sum.saturating_add(before);
    }
    add_others(&mut pruned, &lost);
    pruned.sorted()
}

/// The tree with these boxes in their order, and for each the sum of what hung on it and is gone.
fn without_others(tree: CallTree, keep: &[bool]) -> (CallTree, Vec<u64>) {
    let CallTree { parent: parents, label, self_value, total, names } = tree;
    let mut pruned = CallTree { names, ..CallTree::default() };
    let mut new_ix = vec![BoxIx::ROOT; parents.len()];
    let mut lost = Vec::new();
    for (at, &parent) in parents.iter().enumerate() {
        if keep[at] {
            new_ix[at] = BoxIx(u32::try_from(pruned.len()).expect("no more boxes than before"));
            push(&mut pruned, new_ix[parent.at()], label[at], self_value[at], total[at]);
            lost.push(0u64);
        } else if keep[parent.at()] {
            let sum = &mut lost[new_ix[parent.at()].at()];
            *sum = sum.saturating_add(total[at]);
        }
    }
    (pruned, lost)
}

/// Marks the `count` largest of `boxes`, a subtree.
fn keep_largest(tree: &CallTree, mut boxes: Vec<usize>, count: usize, keep: &mut [bool]) {
    if boxes.len() > count {
        // A parent's total is at least its child's and it stands before it, so the kept set is closed.
        boxes.select_nth_unstable_by(count - 1, |&a, &b| {
            tree.total[b].cmp(&tree.total[a]).then(a.cmp(&b))
        });
        boxes.truncate(count);
    }
    boxes.iter().for_each(|&at| keep[at] = true);
}

fn add_others(pruned: &mut CallTree, lost: &[u64]) {
    let (name, none) = (pruned.names.intern(OTHER), NameIx::default());
    let label =
        BoxLabel { name, module: none, file: none, line: 0, kind: BoxKind::Other, inlined: false };
    for (parent, &value) in (0u32..).zip(lost).filter(|(_, value)| **value > 0) {
        push(pruned, BoxIx(parent), label, value, value);
    }
}

fn push(tree: &mut CallTree, parent: BoxIx, label: BoxLabel, self_value: u64, total: u64) {
    tree.parent.push(parent);
    tree.label.push(label);
    tree.self_value.push(self_value);
    tree.total.push(total);
}
