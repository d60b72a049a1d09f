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
    only(tree, &keep)
}

/// The boxes of `tree` with at least this total, and one `(other)` below each parent that lost some.
#[must_use]
pub(crate) fn prune_below(tree: &CallTree, min_total: u64) -> CallTree {
    let keep: Vec<bool> =
        (0..tree.len()).map(|at| at == 0 || tree.total[at] >= min_total).collect();
    only(tree, &keep)
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
    only(tree, &keep)
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

/// The tree with these boxes and the sums of all others. With a box its parent is kept.
fn only(tree: &CallTree, keep: &[bool]) -> CallTree {
    let mut pruned = CallTree { names: tree.names.clone(), ..CallTree::default() };
    let mut new_ix = vec![BoxIx::ROOT; tree.len()];
    let mut lost = Vec::new();
    for at in 0..tree.len() {
        let parent = tree.parent[at];
        if keep[at] {
            new_ix[at] = BoxIx(u32::try_from(pruned.len()).expect("no more boxes than before"));
            push(
                &mut pruned,
                new_ix[parent.at()],
                tree.label[at],
                tree.self_value[at],
                tree.total[at],
            );
            lost.push(0u64);
        } else if keep[parent.at()] {
            let sum = &mut lost[new_ix[parent.at()].at()];
            *sum = sum.saturating_add(tree.total[at]);
        }
    }
    add_others(&mut pruned, &lost);
    pruned.sorted()
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
