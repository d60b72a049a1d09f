//! Two profiles as one tree: every box of either, with its value on both sides.
//!
//! Both sides are aligned before anything is summed up as too small, so that a box which is large on one
//! side only is kept and shows what it was on the other. Widths are shares, because the sides may hold
//! different amounts of time: a box is as large as its shares of both sides together.

use stoker_dag::{BoxIx, BoxKind, BoxLabel, CallTree, CallTreeBuilder, NameIx, NameTable, OTHER};

/// Two call trees, aligned. All columns are parallel, parents before children.
#[derive(Debug, Clone)]
pub struct Merged {
    /// Parents and what the boxes show; its values are both sides' together.
    pub tree: CallTree,
    /// Boxes before the smallest were summed up.
    pub boxes_before_pruning: usize,
    /// Value that ends in each box.
    pub base_self: Vec<u64>,
    /// Value of each box and all below it.
    pub base_total: Vec<u64>,
    /// The same of the other side.
    pub new_self: Vec<u64>,
    /// The same of the other side.
    pub new_total: Vec<u64>,
}

/// Aligns `base` and `new` and keeps the `max_boxes` boxes with the largest shares, with the exact sums
/// of all others; 0 keeps all.
#[must_use]
pub fn merged(base: &CallTree, new: &CallTree, max_boxes: usize) -> Merged {
    // Three trees grow by the same steps, so that their boxes have the same numbers.
    let [both, left, right] = [(true, true), (true, false), (false, true)].map(|values| {
        let mut builder = CallTreeBuilder::default();
        add(&mut builder, base, values.0);
        add(&mut builder, new, values.1);
        builder.finish()
    });
    let whole = Merged {
        boxes_before_pruning: both.len(),
        tree: both,
        base_self: left.self_value,
        base_total: left.total,
        new_self: right.self_value,
        new_total: right.total,
    };
    if max_boxes == 0 || whole.tree.len() <= max_boxes {
        return whole;
    }
    let keep = largest(&whole, max_boxes);
    whole.only(&keep)
}

/// Adds the boxes of `tree`, and its values where they count.
fn add(builder: &mut CallTreeBuilder, tree: &CallTree, with_values: bool) {
    let names: Vec<NameIx> = tree.names.iter().map(|text| builder.names().intern(text)).collect();
    let named = |ix: NameIx| names[ix.0 as usize];
    let mut to = vec![BoxIx::ROOT; tree.len()];
    for at in 0..tree.len() {
        if at > 0 {
            let label = tree.label[at];
            let label = BoxLabel {
                name: named(label.name),
                module: named(label.module),
                file: named(label.file),
                ..label
            };
            to[at] = builder.child(to[tree.parent[at].at()], label);
        }
        if with_values {
            builder.add(to[at], tree.self_value[at]);
        }
    }
}

/// The boxes with the largest shares. A parent's is at least its child's, and it stands before it.
fn largest(whole: &Merged, count: usize) -> Vec<bool> {
    let (base, new) = (u128::from(whole.base_total[0]), u128::from(whole.new_total[0]));
    // Shares of both sides over one denominator, without rounding.
    let share = |at: usize| {
        let base_part = u128::from(whole.base_total[at]) * new.max(1);
        base_part.saturating_add(u128::from(whole.new_total[at]) * base.max(1))
    };
    let mut order: Vec<usize> = (0..whole.tree.len()).collect();
    order.select_nth_unstable_by(count - 1, |&a, &b| share(b).cmp(&share(a)).then(a.cmp(&b)));
    let mut keep = vec![false; whole.tree.len()];
    order[..count].iter().for_each(|&at| keep[at] = true);
    keep
}

impl Merged {
    fn only(&self, keep: &[bool]) -> Self {
        let mut kept = Self {
            tree: CallTree { names: self.tree.names.clone(), ..CallTree::default() },
            boxes_before_pruning: self.boxes_before_pruning,
            base_self: Vec::new(),
            base_total: Vec::new(),
            new_self: Vec::new(),
            new_total: Vec::new(),
        };
        let mut new_ix = vec![BoxIx::ROOT; keep.len()];
        let mut lost: Vec<(u64, u64)> = Vec::new();
        for at in 0..keep.len() {
            let parent = self.tree.parent[at].at();
            if keep[at] {
                let own = (self.base_self[at], self.new_self[at]);
                let total = (self.base_total[at], self.new_total[at]);
                new_ix[at] = kept.push(new_ix[parent], self.tree.label[at], own, total);
                lost.push((0, 0));
            } else if keep[parent] {
                let sum = &mut lost[new_ix[parent].at()];
                sum.0 = sum.0.saturating_add(self.base_total[at]);
                sum.1 = sum.1.saturating_add(self.new_total[at]);
            }
        }
        let label = other(&mut kept.tree.names);
        for (parent, sum) in (0u32..).zip(lost).filter(|(_, sum)| *sum != (0, 0)) {
            kept.push(BoxIx(parent), label, sum, sum);
        }
        kept
    }

    fn push(
        &mut self,
        parent: BoxIx,
        label: BoxLabel,
        own: (u64, u64),
        total: (u64, u64),
    ) -> BoxIx {
        let at = BoxIx(u32::try_from(self.tree.len()).expect("no more boxes than before"));
        self.tree.parent.push(parent);
        self.tree.label.push(label);
        self.tree.self_value.push(own.0.saturating_add(own.1));
        self.tree.total.push(total.0.saturating_add(total.1));
        self.base_self.push(own.0);
        self.new_self.push(own.1);
        self.base_total.push(total.0);
        self.new_total.push(total.1);
        at
    }
}

fn other(names: &mut NameTable) -> BoxLabel {
    let none = NameIx::default();
    let name = names.intern(OTHER);
    BoxLabel { name, module: none, file: none, line: 0, kind: BoxKind::Other, inlined: false }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use stoker_dag::{Frame, ModuleMap, Profile};

    fn tree(stacks: &[(Vec<&str>, u64)]) -> CallTree {
        let frame = |name: &&str| Frame::Interpreted {
            runtime: "test".into(),
            module: "app".into(),
            function: (*name).into(),
            line: 0,
        };
        let mut profile = Profile::default();
        for (stack, value) in stacks {
            let frames: Vec<Frame> = stack.iter().map(frame).collect();
            profile.add_stack(&frames, *value, 1);
        }
        crate::call_tree(&profile, &ModuleMap::default())
    }

    fn shown(merged: &Merged) -> Vec<(String, u64, u64)> {
        let tree = &merged.tree;
        let name = |at: usize| tree.names.get(tree.label[at].name).to_owned();
        (0..tree.len()).map(|at| (name(at), merged.base_total[at], merged.new_total[at])).collect()
    }

    #[test]
    fn every_box_of_either_side_has_both_values() {
        let base = tree(&[(vec!["main", "parse"], 5), (vec!["main", "old"], 5)]);
        let new = tree(&[(vec!["main", "parse"], 2), (vec!["main", "fresh"], 8)]);
        let merged = merged(&base, &new, 0);
        let row = |name: &str, base, new| (name.to_owned(), base, new);
        assert_eq!(
            shown(&merged),
            [
                row("all", 10, 10),
                row("main", 10, 10),
                row("fresh", 0, 8),
                row("old", 5, 0),
                row("parse", 5, 2)
            ]
        );
    }

    #[test]
    fn what_is_large_on_the_smaller_side_is_kept() {
        let base = tree(&[(vec!["big"], 1_000_000), (vec!["small"], 100)]);
        let new = tree(&[(vec!["only_new"], 10)]);
        let kept = merged(&base, &new, 3);
        let row = |name: &str, base, new| (name.to_owned(), base, new);
        assert_eq!(
            shown(&kept),
            [
                row("all", 1_000_100, 10),
                row("big", 1_000_000, 0),
                row("only_new", 0, 10),
                row("(other)", 100, 0)
            ]
        );
        assert_eq!(kept.boxes_before_pruning, 4);
    }

    fn stacks() -> impl Strategy<Value = Vec<(Vec<&'static str>, u64)>> {
        let stack = prop::collection::vec(prop::sample::select(vec!["a", "b", "c", "d"]), 1..7);
        prop::collection::vec((stack, 1u64..1000), 0..25)
    }

    proptest! {
        #[test]
        fn both_sides_keep_their_totals(base in stacks(), new in stacks(), keep in 0usize..20) {
            let (base, new) = (tree(&base), tree(&new));
            let merged = merged(&base, &new, keep);
            prop_assert_eq!(merged.base_self.iter().sum::<u64>(), base.total[0]);
            prop_assert_eq!(merged.new_self.iter().sum::<u64>(), new.total[0]);
            prop_assert_eq!((merged.base_total[0], merged.new_total[0]), (base.total[0], new.total[0]));
            for at in 1..merged.tree.len() {
                let parent = merged.tree.parent[at].at();
                prop_assert!(parent < at && merged.base_total[parent] >= merged.base_total[at]);
            }
        }

        #[test]
        fn swapping_the_sides_swaps_the_values(base in stacks(), new in stacks()) {
            let (base, new) = (tree(&base), tree(&new));
            let (one, two) = (merged(&base, &new, 0), merged(&new, &base, 0));
            let swapped: Vec<_> = shown(&two).into_iter().map(|(name, a, b)| (name, b, a)).collect();
            prop_assert_eq!(shown(&one), swapped);
        }
    }
}
