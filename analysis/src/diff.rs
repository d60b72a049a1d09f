//! Plain differences of two profiles: by function, by module, or by stack.
//!
//! Both sides are aligned before anything is left out. A function counts once per sample, as in
//! [`top`]. There are no error bars here: what chance alone would do is not known from two profiles,
//! and whoever shows a difference must say so.
//!
//! Held by tests: a profile differs from itself by nothing; the changes of self values sum to the
//! change of the total; exchanging the sides turns every sign.

use std::cmp::Ordering;

use rustc_hash::FxHashMap;
use stoker_dag::{BoxIx, CallTree, normalise};

use crate::top::{TopBy, top};

/// What is aligned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiffBy {
    /// A normalised function name in a module, over all positions.
    Function,
    /// A module.
    Module,
    /// A whole stack of functions.
    Stack,
}

/// Values of one row on one side, in the profile type's unit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Values {
    /// What ends there.
    pub self_value: u64,
    /// What it has a part in.
    pub total: u64,
}

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiffRow {
    /// Function, module, or the stack's functions from the outermost on, with `;` between them.
    pub name: String,
    /// The function's module; empty in other tables.
    pub module: String,
    /// On the side that is compared with.
    pub base: Values,
    /// On the side that is looked at.
    pub new: Values,
}

/// Two profiles, aligned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diff {
    /// The sum of all values of the base.
    pub base_total: u64,
    /// The sum of all values of the other side.
    pub new_total: u64,
    /// In order of falling |change of self share|, then |change of total share|, then name.
    pub rows: Vec<DiffRow>,
}

impl DiffRow {
    /// By how much the self value grew.
    #[must_use]
    pub fn self_change(&self) -> i128 {
        i128::from(self.new.self_value) - i128::from(self.base.self_value)
    }

    /// By how much the total grew.
    #[must_use]
    pub fn total_change(&self) -> i128 {
        i128::from(self.new.total) - i128::from(self.base.total)
    }
}

impl Diff {
    /// By how much the row's share of self value grew: from -1 to 1.
    #[must_use]
    pub fn self_share_change(&self, row: &DiffRow) -> f64 {
        share(row.new.self_value, self.new_total) - share(row.base.self_value, self.base_total)
    }

    /// By how much the row's share of total value grew: from -1 to 1.
    #[must_use]
    pub fn total_share_change(&self, row: &DiffRow) -> f64 {
        share(row.new.total, self.new_total) - share(row.base.total, self.base_total)
    }

    fn sort(&mut self) {
        let (base, new) = (self.base_total, self.new_total);
        self.rows.sort_by(|a, b| {
            let by_self =
                distance(b, base, new, |v| v.self_value)
                    .cmp(&distance(a, base, new, |v| v.self_value));
            by_self
                .then_with(|| {
                    distance(b, base, new, |v| v.total).cmp(&distance(a, base, new, |v| v.total))
                })
                .then_with(|| by_name(a, b))
        });
    }
}

fn by_name(a: &DiffRow, b: &DiffRow) -> Ordering {
    (&a.name, &a.module).cmp(&(&b.name, &b.module))
}

/// A part of a whole; nothing of nothing is nothing.
#[expect(clippy::cast_precision_loss, reason = "shares are shown with four digits")]
fn share(value: u64, total: u64) -> f64 {
    if total == 0 { 0.0 } else { value as f64 / total as f64 }
}

/// |change of share| times both totals: exact, so that order does not hang on rounding.
fn distance(row: &DiffRow, base: u64, new: u64, value: fn(&Values) -> u64) -> u128 {
    let scaled = |value: u64, other: u64| u128::from(value) * u128::from(other.max(1));
    scaled(value(&row.new), base).abs_diff(scaled(value(&row.base), new))
}

/// The difference of two trees in depth-first order, as `CallTreeBuilder::finish` gives them. Rows
/// that are nothing on both sides are left out.
#[must_use]
pub fn diff(base: &CallTree, new: &CallTree, by: DiffBy) -> Diff {
    let mut aligned = Aligned::default();
    for (side, tree) in [(Side::Base, base), (Side::New, new)] {
        match by {
            DiffBy::Function => aligned.add_table(tree, TopBy::Function, side),
            DiffBy::Module => aligned.add_table(tree, TopBy::Module, side),
            DiffBy::Stack => aligned.add_stacks(tree, side),
        }
    }
    let total = |tree: &CallTree| tree.total.first().copied().unwrap_or(0);
    let mut rows = aligned.rows;
    let is_something = |v: &Values| v.self_value != 0 || (v.total != 0 && by != DiffBy::Stack);
    rows.retain(|row| is_something(&row.base) || is_something(&row.new));
    let mut diff = Diff { base_total: total(base), new_total: total(new), rows };
    diff.sort();
    diff
}

#[derive(Clone, Copy)]
enum Side {
    Base,
    New,
}

/// Rows of both sides, found by what they are called.
#[derive(Default)]
struct Aligned {
    rows: Vec<DiffRow>,
    index: FxHashMap<(String, String), usize>,
}

impl Aligned {
    fn values(&mut self, name: String, module: String, side: Side) -> &mut Values {
        let next = self.rows.len();
        let at = *self.index.entry((name.clone(), module.clone())).or_insert(next);
        if at == next {
            let (base, new) = (Values::default(), Values::default());
            self.rows.push(DiffRow { name, module, base, new });
        }
        let row = &mut self.rows[at];
        match side {
            Side::Base => &mut row.base,
            Side::New => &mut row.new,
        }
    }

    fn add_table(&mut self, tree: &CallTree, by: TopBy, side: Side) {
        for row in top(tree, by) {
            let values = self.values(row.name, row.module, side);
            values.self_value = values.self_value.saturating_add(row.self_value);
            values.total = values.total.saturating_add(row.total);
        }
        // Samples without any frame end in the root, which is no row of a table.
        let own = tree.self_value.first().copied().unwrap_or(0);
        if own != 0 {
            *self.values(NO_STACK.to_owned(), String::new(), side) =
                Values { self_value: own, total: own };
        }
    }

    /// A path's text is written once per box that has a value of its own; its prefixes share it.
    fn add_stacks(&mut self, tree: &CallTree, side: Side) {
        let mut path = String::new();
        let mut ends: Vec<(BoxIx, usize)> = Vec::new();
        for (at, &parent) in (0u32..).zip(&tree.parent) {
            let at = BoxIx(at);
            if at != BoxIx::ROOT {
                while ends.last().is_some_and(|(above, _)| *above != parent) {
                    ends.pop();
                }
                path.truncate(ends.last().map_or(0, |(_, end)| *end));
                if !path.is_empty() {
                    path.push(';');
                }
                path.push_str(&normalise(tree.name(at)));
                ends.push((at, path.len()));
            }
            let own = tree.self_value[at.at()];
            if own != 0 {
                let name = if at == BoxIx::ROOT { NO_STACK.to_owned() } else { path.clone() };
                let values = self.values(name, String::new(), side);
                values.self_value = values.self_value.saturating_add(own);
                values.total = values.total.saturating_add(tree.total[at.at()]);
            }
        }
    }
}

/// What samples without any frame are called.
const NO_STACK: &str = "[no stack]";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use stoker_dag::{Frame, ModuleMap, Profile};

    use super::*;

    type Stacks = Vec<(Vec<&'static str>, u64)>;

    const ALL: [DiffBy; 3] = [DiffBy::Function, DiffBy::Module, DiffBy::Stack];

    fn tree(stacks: &Stacks) -> CallTree {
        let mut profile = Profile::default();
        for (stack, value) in stacks {
            let frame = |name: &&str| Frame::Interpreted {
                runtime: "test".into(),
                module: if name.starts_with("lib") { "lib" } else { "app" }.into(),
                function: (*name).into(),
                line: 0,
            };
            let frames: Vec<Frame> = stack.iter().map(frame).collect();
            profile.add_stack(&frames, *value, 1);
        }
        crate::call_tree(&profile, &ModuleMap::default())
    }

    fn stacks() -> impl Strategy<Value = Stacks> {
        let names = prop::sample::select(vec!["a", "b", "lib_c", "d.cold", "d"]);
        prop::collection::vec((prop::collection::vec(names, 0..6), 0u64..1000), 0..20)
    }

    #[test]
    fn shares_and_absolute_changes() {
        let base = tree(&vec![(vec!["main", "hot"], 70), (vec!["main", "idle"], 30)]);
        let new = tree(&vec![(vec!["main", "hot"], 70), (vec!["main", "fresh", "hot"], 70)]);
        let diff = diff(&base, &new, DiffBy::Function);
        let rows: Vec<_> = diff
            .rows
            .iter()
            .map(|row| {
                let points = |share: f64| (share * 100.0).round();
                let shares =
                    (points(diff.self_share_change(row)), points(diff.total_share_change(row)));
                (row.name.as_str(), row.self_change(), row.total_change(), shares)
            })
            .collect();
        assert_eq!(
            rows,
            [
                ("hot", 70, 70, (30.0, 30.0)),
                ("idle", -30, -30, (-30.0, -30.0)),
                ("fresh", 0, 70, (0.0, 50.0)),
                ("main", 0, 40, (0.0, 0.0)),
            ]
        );
    }

    #[test]
    fn nothing_against_something_is_no_division_by_nothing() {
        let (none, some) = (tree(&Vec::new()), tree(&vec![(vec!["a"], 5)]));
        for by in ALL {
            let diff = diff(&none, &some, by);
            assert_eq!(diff.rows.len(), 1);
            assert!((diff.self_share_change(&diff.rows[0]) - 1.0).abs() < 1e-9);
        }
        assert_eq!(diff(&none, &none, DiffBy::Function), Diff::default());
    }

    proptest! {
        #[test]
        fn a_profile_differs_from_itself_by_nothing(stacks in stacks()) {
            let tree = tree(&stacks);
            for by in ALL {
                for row in diff(&tree, &tree, by).rows {
                    prop_assert_eq!((row.self_change(), row.total_change()), (0, 0));
                }
            }
        }

        #[test]
        fn self_changes_sum_to_the_change_of_the_total(a in stacks(), b in stacks()) {
            let (a, b) = (tree(&a), tree(&b));
            for by in ALL {
                let diff = diff(&a, &b, by);
                let sum: i128 = diff.rows.iter().map(DiffRow::self_change).sum();
                prop_assert_eq!(sum, i128::from(diff.new_total) - i128::from(diff.base_total));
            }
        }

        #[test]
        fn exchanging_the_sides_turns_every_sign(a in stacks(), b in stacks()) {
            let (a, b) = (tree(&a), tree(&b));
            for by in ALL {
                let (there, back) = (diff(&a, &b, by), diff(&b, &a, by));
                let mirrored = |row: &DiffRow| DiffRow { base: row.new, new: row.base, ..row.clone() };
                prop_assert_eq!(there.rows, back.rows.iter().map(mirrored).collect::<Vec<_>>());
            }
        }
    }
}
