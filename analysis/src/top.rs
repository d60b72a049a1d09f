//! Top tables: self and total value by function, by module or by source file.
//!
//! A function's total counts each sample once, however often the function stands on the stack, so
//! that recursion does not count twice and no total exceeds that of the profile.

use rustc_hash::FxHashMap;
use stoker_dag::{BoxIx, BoxLabel, CallTree, NameIx, normalise};

/// What the rows of a table are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopBy {
    /// A normalised function name in a module.
    Function,
    /// A module; what lies in none is called by its own name.
    Module,
    /// A source file; what is known to lie in none is called by its module, or by its own name.
    File,
}

/// One row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TopRow {
    /// Function, module or file.
    pub name: String,
    /// The function's module; empty in other tables.
    pub module: String,
    /// Value that ends in it.
    pub self_value: u64,
    /// Value of all samples that it has a part in.
    pub total: u64,
}

/// The whole table, in order of falling self, then total, then name. `tree` is in depth-first order,
/// as `CallTreeBuilder::finish` gives it; the root is no row.
#[must_use]
pub fn top(tree: &CallTree, by: TopBy) -> Vec<TopRow> {
    let mut table = Table::new(tree, by);
    let mut path: Vec<(BoxIx, usize)> = Vec::new();
    for (at, &parent) in (0u32..).zip(&tree.parent).skip(1) {
        while let Some(&(above, row)) = path.last()
            && above != parent
        {
            table.on_stack[row] -= 1;
            path.pop();
        }
        let at = BoxIx(at);
        path.push((at, table.enter(at)));
    }
    let mut rows = table.rows;
    rows.sort_by(|a, b| {
        let values = (b.self_value, b.total).cmp(&(a.self_value, a.total));
        values.then_with(|| (&a.name, &a.module).cmp(&(&b.name, &b.module)))
    });
    rows
}

struct Table<'a> {
    tree: &'a CallTree,
    by: TopBy,
    rows: Vec<TopRow>,
    /// How often each row stands on the path that is being walked.
    on_stack: Vec<u32>,
    by_label: FxHashMap<(NameIx, NameIx, NameIx), usize>,
    by_text: FxHashMap<(String, String), usize>,
}

impl<'a> Table<'a> {
    fn new(tree: &'a CallTree, by: TopBy) -> Self {
        Self {
            tree,
            by,
            rows: Vec::new(),
            on_stack: Vec::new(),
            by_label: FxHashMap::default(),
            by_text: FxHashMap::default(),
        }
    }

    fn enter(&mut self, at: BoxIx) -> usize {
        let label = self.tree.label[at.at()];
        let row = match self.by_label.get(&(label.name, label.module, label.file)) {
            Some(&row) => row,
            None => self.row_of(label),
        };
        let held = &mut self.rows[row];
        held.self_value = held.self_value.saturating_add(self.tree.self_value[at.at()]);
        if self.on_stack[row] == 0 {
            held.total = held.total.saturating_add(self.tree.total[at.at()]);
        }
        self.on_stack[row] += 1;
        row
    }

    fn row_of(&mut self, label: BoxLabel) -> usize {
        let text = |ix| self.tree.names.get(ix);
        let (name, module, file) = (text(label.name), text(label.module), text(label.file));
        let key = match self.by {
            TopBy::Function => (normalise(name).into_owned(), module.to_owned()),
            TopBy::File if !file.is_empty() => (file.to_owned(), String::new()),
            TopBy::File | TopBy::Module if module.is_empty() => (name.to_owned(), String::new()),
            TopBy::File | TopBy::Module => (module.to_owned(), String::new()),
        };
        let next = self.rows.len();
        let row = *self.by_text.entry(key.clone()).or_insert(next);
        if row == next {
            let (name, module) = key;
            self.on_stack.push(0);
            self.rows.push(TopRow { name, module, self_value: 0, total: 0 });
        }
        self.by_label.insert((label.name, label.module, label.file), row);
        row
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use stoker_dag::{Frame, ModuleMap, Profile};

    fn profile(stacks: &[(Vec<&str>, u64)]) -> Profile {
        let mut profile = Profile::default();
        for (stack, value) in stacks {
            let frames: Vec<Frame> = stack
                .iter()
                .map(|name| Frame::Interpreted {
                    runtime: "test".into(),
                    module: if name.starts_with("lib") { "lib" } else { "app" }.into(),
                    function: (*name).into(),
                    line: 0,
                })
                .collect();
            profile.add_stack(&frames, *value, 1);
        }
        profile
    }

    fn table(stacks: &[(Vec<&str>, u64)], by: TopBy) -> Vec<(String, String, u64, u64)> {
        let tree = crate::call_tree(&profile(stacks), &ModuleMap::default());
        let rows = top(&tree, by).into_iter();
        rows.map(|row| (row.name, row.module, row.self_value, row.total)).collect()
    }

    fn row(name: &str, module: &str, own: u64, total: u64) -> (String, String, u64, u64) {
        (name.into(), module.into(), own, total)
    }

    #[test]
    fn recursion_counts_once() {
        let stacks =
            [(vec!["main", "fib", "fib", "lib_add", "fib"], 10), (vec!["main", "lib_add"], 4)];
        assert_eq!(
            table(&stacks, TopBy::Function),
            [row("fib", "app", 10, 10), row("lib_add", "lib", 4, 14), row("main", "app", 0, 14),]
        );
        assert_eq!(table(&stacks, TopBy::Module), [row("app", "", 10, 14), row("lib", "", 4, 14)]);
    }

    #[test]
    fn clones_of_a_function_are_one_row() {
        let stacks = [(vec!["main", "work.isra.0"], 3), (vec!["main", "work", "work.cold"], 2)];
        assert_eq!(
            table(&stacks, TopBy::Function),
            [row("work", "app", 5, 5), row("main", "app", 0, 5)]
        );
    }

    proptest! {
        #[test]
        fn self_values_sum_to_the_total_and_no_row_exceeds_it(
            stacks in prop::collection::vec(
                (prop::collection::vec(prop::sample::select(vec!["a", "b", "lib_c", "d"]), 1..8), 0u64..1000),
                0..40,
            )
        ) {
            let total: u64 = stacks.iter().map(|(_, value)| value).sum();
            for by in [TopBy::Function, TopBy::Module, TopBy::File] {
                let rows = table(&stacks, by);
                prop_assert_eq!(rows.iter().map(|row| row.2).sum::<u64>(), total);
                for row in &rows {
                    prop_assert!(row.2 <= row.3 && row.3 <= total);
                }
            }
        }

        #[test]
        fn a_function_s_total_is_the_value_of_the_stacks_it_is_on(
            stacks in prop::collection::vec(
                (prop::collection::vec(prop::sample::select(vec!["a", "b", "c"]), 1..8), 1u64..1000),
                1..20,
            )
        ) {
            for row in table(&stacks, TopBy::Function) {
                let on = stacks.iter().filter(|(stack, _)| stack.contains(&row.0.as_str()));
                prop_assert_eq!(row.3, on.map(|(_, value)| value).sum::<u64>());
            }
        }
    }
}
