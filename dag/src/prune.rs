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
    let keep = largest(tree, max_boxes);
    let mut pruned = CallTree { names: tree.names.clone(), ..CallTree::default() };
    let mut new_ix = vec![BoxIx::ROOT; tree.len()];
    let mut lost = Vec::with_capacity(max_boxes);
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

fn largest(tree: &CallTree, max_boxes: usize) -> Vec<bool> {
    let mut order: Vec<usize> = (0..tree.len()).collect();
    // A parent's total is at least its child's and it stands before it, so the kept set is closed.
    order.select_nth_unstable_by(max_boxes - 1, |&a, &b| {
        tree.total[b].cmp(&tree.total[a]).then(a.cmp(&b))
    });
    let mut keep = vec![false; tree.len()];
    order[..max_boxes].iter().for_each(|&at| keep[at] = true);
    keep
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
