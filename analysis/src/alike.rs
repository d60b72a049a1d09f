//! Trees from different tools made alike, so that they can be compared: a file that somebody else
//! wrote says less of a frame than an agent does.
//!
//! Functions then have their normalised names; native, kernel and interpreted frames are of one kind,
//! because text formats do not tell them apart; nothing is marked as inlined; and modules are kept
//! only where both sides have them.

use stoker_dag::{BoxIx, BoxKind, BoxLabel, CallTree, CallTreeBuilder, NameIx, normalise};

/// Whether any box of the tree names a module.
#[must_use]
pub fn has_modules(tree: &CallTree) -> bool {
    tree.label.iter().any(|label| label.module != NameIx::default())
}

/// The tree with all that two tools may say differently taken off.
#[must_use]
pub fn alike(tree: &CallTree, with_modules: bool) -> CallTree {
    let mut builder = CallTreeBuilder::default();
    let texts: Vec<(NameIx, NameIx)> = tree
        .names
        .iter()
        .map(|text| (builder.names().intern(text), builder.names().intern(&normalise(text))))
        .collect();
    let mut to = vec![BoxIx::ROOT; tree.len()];
    for at in 0..tree.len() {
        if at > 0 {
            let label = tree.label[at];
            let (text, normalised) = texts[label.name.0 as usize];
            let (name, kind) = match label.kind {
                BoxKind::Native | BoxKind::Kernel | BoxKind::Interpreted => {
                    (normalised, BoxKind::Native)
                }
                other => (text, other),
            };
            let module =
                if with_modules { texts[label.module.0 as usize].0 } else { NameIx::default() };
            let file = texts[label.file.0 as usize].0;
            let label = BoxLabel { name, module, file, kind, inlined: false, ..label };
            to[at] = builder.child(to[tree.parent[at].at()], label);
        }
        builder.add(to[at], tree.self_value[at]);
    }
    builder.finish()
}

#[cfg(test)]
mod tests {
    use stoker_dag::{Frame, ModuleMap, Profile};

    use super::*;
    use crate::merged;

    fn tree(frames: &[Frame]) -> CallTree {
        let mut profile = Profile::default();
        profile.add_stack(frames, 10, 1);
        crate::call_tree(&profile, &ModuleMap::default())
    }

    fn frame(runtime: &str, module: &str, function: &str) -> Frame {
        let (runtime, module) = (runtime.into(), module.into());
        Frame::Interpreted { runtime, module, function: function.into(), line: 0 }
    }

    #[test]
    fn one_stack_by_two_tools_is_one_stack() {
        let ours =
            tree(&[frame("python", "app.py", "main"), frame("python", "app.py", "work.cold")]);
        let theirs = tree(&[frame("import", "", "main"), frame("import", "", "work")]);
        assert!(has_modules(&ours) && !has_modules(&theirs));
        let both = merged(&alike(&theirs, false), &alike(&ours, false), 0);
        assert_eq!((both.base_total, both.new_total), (vec![10; 3], vec![10; 3]));
        let apart = merged(&alike(&theirs, true), &alike(&ours, true), 0);
        assert_eq!(apart.tree.len(), 5);
    }
}
