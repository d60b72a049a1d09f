//! Search over a whole profile, pruned nowhere: which functions match, and how much of the profile has
//! one of them on its stack.

use rustc_hash::FxHashSet;
use stoker_dag::{BoxKind, CallTree, normalise};

use crate::top::{TopBy, TopRow, top};

/// What a search found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Value of all samples with a match on their stack, each counted once.
    pub total: u64,
    /// Value that ends in a match.
    pub self_value: u64,
    /// Boxes whose own name matches.
    pub boxes: usize,
    /// The functions that match, in the order of the top table.
    pub functions: Vec<TopRow>,
}

/// Searches the names of functions. The root, the boxes of a label and sums of what was pruned are
/// none and never match. `tree` has parents before children.
#[must_use]
pub fn search(tree: &CallTree, matches: impl Fn(&str) -> bool) -> Found {
    let by_name: Vec<bool> = tree.names.iter().map(matches).collect();
    let mut covered = vec![false; tree.len()];
    let mut found = Found { total: 0, self_value: 0, boxes: 0, functions: Vec::new() };
    let mut functions = FxHashSet::default();
    for at in 1..tree.len() {
        let label = tree.label[at];
        let is_function = !matches!(label.kind, BoxKind::Root | BoxKind::Label | BoxKind::Other);
        let is_match = is_function && by_name[label.name.0 as usize];
        let above = covered[tree.parent[at].at()];
        covered[at] = above || is_match;
        if !is_match {
            continue;
        }
        found.boxes += 1;
        found.self_value = found.self_value.saturating_add(tree.self_value[at]);
        if !above {
            found.total = found.total.saturating_add(tree.total[at]);
        }
        functions.insert((label.name, label.module));
    }
    let text = |ix| tree.names.get(ix);
    let functions: FxHashSet<(String, &str)> = functions
        .into_iter()
        .map(|(name, module)| (normalise(text(name)).into_owned(), text(module)))
        .collect();
    let is_found = |row: &TopRow| functions.contains(&(row.name.clone(), row.module.as_str()));
    found.functions = top(tree, TopBy::Function).into_iter().filter(is_found).collect();
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use stoker_dag::{Frame, ModuleMap, Profile};

    fn tree() -> CallTree {
        let frame = |name: &str| Frame::Interpreted {
            runtime: "test".into(),
            module: "app".into(),
            function: name.into(),
            line: 0,
        };
        let mut profile = Profile::default();
        for (stack, value) in [
            (&["main", "parse", "parse_header", "memcpy"][..], 5),
            (&["main", "parse.cold"][..], 3),
            (&["main", "write"][..], 2),
        ] {
            let frames: Vec<Frame> = stack.iter().map(|name| frame(name)).collect();
            profile.add_stack(&frames, value, 1);
        }
        crate::call_tree(&profile, &ModuleMap::default())
    }

    #[test]
    fn each_sample_counts_once() {
        let found = search(&tree(), |name| name.contains("parse"));
        assert_eq!((found.total, found.self_value, found.boxes), (8, 3, 3));
        let names: Vec<(&str, u64)> =
            found.functions.iter().map(|row| (&*row.name, row.total)).collect();
        assert_eq!(names, [("parse", 8), ("parse_header", 5)]);
    }

    #[test]
    fn what_is_no_function_never_matches() {
        let found = search(&tree(), |name| name == "all" || name.is_empty());
        assert_eq!((found.total, found.boxes, found.functions.len()), (0, 0, 0));
        let all = search(&tree(), |_| true);
        assert_eq!((all.total, all.boxes), (10, 6));
    }
}
