//! A sandwich: everything that calls a function, and everything that it calls, over all its positions
//! in the profile.
//!
//! Each sample counts once, at the outermost place where the function stands on its stack, so that
//! recursion does not count twice: callers and callees both sum to the function's total.

use stoker_dag::{BoxIx, BoxKind, CallTree, CallTreeBuilder, normalise};

/// What surrounds a function.
#[derive(Debug, Clone)]
pub struct Sandwich {
    /// Value that ends in the function, wherever it stands.
    pub self_value: u64,
    /// Value of all samples that have it on their stack.
    pub total: u64,
    /// The function at the root, below it what called it, outwards.
    pub callers: CallTree,
    /// The function at the root, below it what it called.
    pub callees: CallTree,
}

/// Where a box stands in relation to the function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Outside,
    /// The outermost place of the function on this stack.
    Top,
    /// Below it.
    Below,
}

/// The sandwich of the function `name` (normalised, as in top tables) in `module`. `tree` has parents
/// before children.
#[must_use]
pub fn sandwich(tree: &CallTree, name: &str, module: &str) -> Sandwich {
    let is_wanted = wanted(tree, name, module);
    let mut callers = builder(tree);
    let mut callees = builder(tree);
    let mut place = vec![Place::Outside; tree.len()];
    let mut below = vec![BoxIx::ROOT; tree.len()];
    let mut self_value = 0_u64;
    for at in 1..tree.len() {
        let parent = tree.parent[at].at();
        place[at] = match (place[parent], is_wanted[at]) {
            (Place::Outside, false) => Place::Outside,
            (Place::Outside, true) => Place::Top,
            _ => Place::Below,
        };
        if is_wanted[at] {
            self_value = self_value.saturating_add(tree.self_value[at]);
        }
        match place[at] {
            Place::Outside => continue,
            Place::Top => add_callers(tree, at, &mut callers),
            Place::Below => below[at] = callees.child(below[parent], tree.label[at]),
        }
        callees.add(below[at], tree.self_value[at]);
    }
    let named = |builder: CallTreeBuilder| {
        let mut half = builder.finish();
        let (name, module) = (half.names.intern(name), half.names.intern(module));
        let first = (0..tree.len()).find(|at| is_wanted[*at]);
        if let Some(at) = first {
            half.label[0] = tree.label[at];
        }
        half.label[0].name = name;
        half.label[0].module = module;
        half.label[0].inlined = false;
        half
    };
    let (callers, callees) = (named(callers), named(callees));
    Sandwich { self_value, total: callees.total[0], callers, callees }
}

/// Which boxes are the function.
fn wanted(tree: &CallTree, name: &str, module: &str) -> Vec<bool> {
    let same_name: Vec<bool> = tree.names.iter().map(|text| normalise(text) == name).collect();
    let same_module: Vec<bool> = tree.names.iter().map(|text| text == module).collect();
    let is = |at: usize| {
        let label = tree.label[at];
        let is_function = !matches!(label.kind, BoxKind::Root | BoxKind::Label | BoxKind::Other);
        is_function && same_name[label.name.0 as usize] && same_module[label.module.0 as usize]
    };
    (0..tree.len()).map(is).collect()
}

/// Walks outwards from `at`; the whole value ends where the stack began.
fn add_callers(tree: &CallTree, at: usize, callers: &mut CallTreeBuilder) {
    let mut to = BoxIx::ROOT;
    let mut up = tree.parent[at];
    while up != BoxIx::ROOT {
        to = callers.child(to, tree.label[up.at()]);
        up = tree.parent[up.at()];
    }
    callers.add(to, tree.total[at]);
}

/// An empty tree with the texts of `tree`, so that its labels can be used as they are.
fn builder(tree: &CallTree) -> CallTreeBuilder {
    let mut builder = CallTreeBuilder::default();
    *builder.names() = tree.names.clone();
    builder
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use stoker_dag::{Frame, ModuleMap, Profile};

    fn tree(stacks: &[(Vec<&str>, u64)]) -> CallTree {
        let mut profile = Profile::default();
        for (stack, value) in stacks {
            let frame = |name: &&str| Frame::Interpreted {
                runtime: "test".into(),
                module: "app".into(),
                function: (*name).into(),
                line: 0,
            };
            let frames: Vec<Frame> = stack.iter().map(frame).collect();
            profile.add_stack(&frames, *value, 1);
        }
        crate::call_tree(&profile, &ModuleMap::default())
    }

    fn lines(tree: &CallTree) -> Vec<String> {
        (0..tree.len())
            .map(|at| {
                let mut depth = 0;
                let mut up = at;
                while up != 0 {
                    depth += 1;
                    up = tree.parent[up].at();
                }
                let name = tree.names.get(tree.label[at].name);
                format!("{}{name} {}", " ".repeat(depth), tree.total[at])
            })
            .collect()
    }

    #[test]
    fn callers_stand_outwards_and_callees_inwards() {
        let tree = tree(&[
            (vec!["main", "serve", "parse", "memcpy"], 5),
            (vec!["main", "load", "parse"], 3),
            (vec!["main", "load", "memcpy"], 2),
        ]);
        let found = sandwich(&tree, "parse", "app");
        assert_eq!((found.self_value, found.total), (3, 8));
        assert_eq!(
            lines(&found.callers),
            ["parse 8", " load 3", "  main 3", " serve 5", "  main 5"]
        );
        assert_eq!(lines(&found.callees), ["parse 8", " memcpy 5"]);
    }

    #[test]
    fn recursion_counts_once() {
        let tree = tree(&[(vec!["main", "fib", "fib", "add", "fib"], 10), (vec!["fib.cold"], 1)]);
        let found = sandwich(&tree, "fib", "app");
        assert_eq!((found.self_value, found.total), (11, 11));
        assert_eq!(lines(&found.callers), ["fib 11", " main 10"]);
        assert_eq!(lines(&found.callees), ["fib 11", " fib 10", "  add 10", "   fib 10"]);
    }

    #[test]
    fn a_function_that_is_not_there_has_nothing_around_it() {
        let tree = tree(&[(vec!["main"], 10)]);
        for (name, module) in [("other", "app"), ("main", "lib"), ("all", "")] {
            let found = sandwich(&tree, name, module);
            assert_eq!((found.self_value, found.total, found.callers.len()), (0, 0, 1), "{name}");
        }
    }

    proptest! {
        #[test]
        fn both_halves_sum_to_what_the_top_table_says(
            stacks in prop::collection::vec(
                (prop::collection::vec(prop::sample::select(vec!["a", "b", "c", "d"]), 1..8), 1u64..1000),
                1..30,
            )
        ) {
            let tree = tree(&stacks);
            for row in crate::top(&tree, crate::TopBy::Function) {
                let found = sandwich(&tree, &row.name, &row.module);
                prop_assert_eq!((found.self_value, found.total), (row.self_value, row.total));
                prop_assert_eq!(found.callers.total[0], row.total);
                prop_assert_eq!(found.callees.total[0], row.total);
            }
        }
    }
}
