//! One function at its source: what each line of it costs, over all its positions, and which builds
//! say so.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use stoker_dag::{
    BoxKind, BoxLabel, BuildId, DefinitionSource, Frame, KernelImage, ModuleMap, NameIx, NameTable,
    NodeIx, Profile, normalise,
};

use crate::expand::FrameLabels;
use crate::naming::Naming;

/// One line of a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineRow {
    /// Source file; empty where it is not known.
    pub file: String,
    /// Line; 0 where it is not known.
    pub line: u32,
    /// Value that ends in the line.
    pub self_value: u64,
    /// Value of all samples that have it on their stack.
    pub total: u64,
}

/// One build that has the function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildRow {
    /// Its build id; `None` for what lies in no file.
    pub build_id: Option<BuildId>,
    /// Who gave the function its name; `None` where nobody did.
    pub source: Option<DefinitionSource>,
    /// Distinct addresses that were seen.
    pub addresses: u64,
    /// Value of all samples that have the function of this build on their stack.
    pub total: u64,
}

/// A function at its source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceLines {
    /// By falling self, then total, then place. Their self values sum to that of the function.
    pub lines: Vec<LineRow>,
    /// By falling total.
    pub builds: Vec<BuildRow>,
}

type Place = (NameIx, u32);
type Build = (Option<BuildId>, Option<DefinitionSource>);

/// What a frame has of the function.
#[derive(Debug, Default)]
struct Found {
    /// Distinct lines, as indexes.
    lines: Vec<usize>,
    /// The line that a sample ends in whose stack ends here, if that is one of the function's.
    ends_in: Option<usize>,
    build: usize,
}

/// The lines and builds of the function `name` (normalised, as in top tables) in `module`. A sample
/// counts once for each line and build, however often it stands on its stack.
#[must_use]
pub fn source_lines(
    profile: &Profile,
    modules: &ModuleMap,
    name: &str,
    module: &str,
) -> SourceLines {
    let naming = Naming { definitions: &profile.definitions, modules };
    let mut names = NameTable::default();
    let labels = FrameLabels::new(profile, naming, &mut names);
    let wanted = Wanted::new(&names, name, module);
    let mut all = Gathered::default();
    let found: Vec<Option<Found>> = profile
        .frames
        .iter()
        .enumerate()
        .map(|(at, (id, frame))| {
            let source = naming.definitions.get(&id).map(|definition| definition.source);
            all.frame(labels.of(at), &wanted, (build_of(frame), source))
        })
        .collect();
    let mut totals = vec![0; profile.nodes.len()];
    for (node, value, _) in profile.rows() {
        totals[node.at()] = value;
    }
    profile.nodes.accumulate(&mut totals);
    // The nearest node at or above each that has the function; the root where there is none.
    let mut nearest = vec![NodeIx::ROOT; profile.nodes.len()];
    let mut frame_of = vec![0; profile.nodes.len()];
    for (node, parent, frame) in profile.nodes.iter() {
        frame_of[node.at()] = frame.at();
        let Some(here) = &found[frame.at()] else {
            nearest[node.at()] = nearest[parent.at()];
            continue;
        };
        nearest[node.at()] = node;
        if let Some(line) = here.ends_in {
            all.lines[line].add_self(profile.value(node));
        }
        let (mut lines, mut build) = (here.lines.clone(), Some(here.build));
        let mut up = nearest[parent.at()];
        while up != NodeIx::ROOT && (build.is_some() || !lines.is_empty()) {
            if let Some(above) = &found[frame_of[up.at()]] {
                lines.retain(|line| !above.lines.contains(line));
                build = build.filter(|build| *build != above.build);
            }
            up = nearest[profile.nodes.parent(up).at()];
        }
        lines.iter().for_each(|line| all.lines[*line].add_total(totals[node.at()]));
        if let Some(build) = build {
            let row = &mut all.builds[build];
            row.total = row.total.saturating_add(totals[node.at()]);
        }
    }
    all.finish(&names)
}

/// Which labels are the function.
struct Wanted {
    names: Vec<bool>,
    module: Option<NameIx>,
}

impl Wanted {
    fn new(names: &NameTable, name: &str, module: &str) -> Self {
        let module = (0u32..).map(NameIx).zip(names.iter()).find(|(_, text)| *text == module);
        Self {
            names: names.iter().map(|text| normalise(text) == name).collect(),
            module: module.map(|(ix, _)| ix),
        }
    }

    fn is(&self, label: &BoxLabel) -> bool {
        let is_function = !matches!(label.kind, BoxKind::Root | BoxKind::Label | BoxKind::Other);
        is_function && self.names[label.name.0 as usize] && Some(label.module) == self.module
    }
}

fn build_of(frame: &Frame) -> Option<BuildId> {
    match frame {
        Frame::Native { build_id, .. }
        | Frame::Kernel { image: KernelImage::Build(build_id), .. } => Some(build_id.clone()),
        _ => None,
    }
}

#[derive(Debug, Default)]
struct Sums {
    place: Place,
    self_value: u64,
    total: u64,
}

impl Sums {
    fn add_self(&mut self, value: u64) {
        self.self_value = self.self_value.saturating_add(value);
    }

    fn add_total(&mut self, value: u64) {
        self.total = self.total.saturating_add(value);
    }
}

#[derive(Debug, Default)]
struct Gathered {
    lines: Vec<Sums>,
    places: FxHashMap<Place, usize>,
    builds: Vec<BuildRow>,
    known: BTreeMap<Build, usize>,
}

impl Gathered {
    fn frame(&mut self, labels: &[BoxLabel], wanted: &Wanted, build: Build) -> Option<Found> {
        let mut found = Found::default();
        let mut has_any = false;
        for (depth, label) in labels.iter().enumerate() {
            if !wanted.is(label) {
                continue;
            }
            has_any = true;
            let line = self.line((label.file, label.line));
            if !found.lines.contains(&line) {
                found.lines.push(line);
            }
            if depth + 1 == labels.len() {
                found.ends_in = Some(line);
            }
        }
        if !has_any {
            return None;
        }
        found.build = self.build(build);
        self.builds[found.build].addresses += 1;
        Some(found)
    }

    fn line(&mut self, place: Place) -> usize {
        *self.places.entry(place).or_insert_with(|| {
            self.lines.push(Sums { place, ..Sums::default() });
            self.lines.len() - 1
        })
    }

    fn build(&mut self, build: Build) -> usize {
        *self.known.entry(build.clone()).or_insert_with(|| {
            let (build_id, source) = build;
            self.builds.push(BuildRow { build_id, source, addresses: 0, total: 0 });
            self.builds.len() - 1
        })
    }

    fn finish(self, names: &NameTable) -> SourceLines {
        let row = |sums: Sums| LineRow {
            file: names.get(sums.place.0).to_owned(),
            line: sums.place.1,
            self_value: sums.self_value,
            total: sums.total,
        };
        let mut lines: Vec<LineRow> = self.lines.into_iter().map(row).collect();
        lines.retain(|line| line.total > 0);
        lines.sort_by(|a, b| {
            let weight = (b.self_value, b.total).cmp(&(a.self_value, a.total));
            weight.then_with(|| (&a.file, a.line).cmp(&(&b.file, b.line)))
        });
        let mut builds = self.builds;
        builds.retain(|build| build.total > 0);
        builds.sort_by(|a, b| {
            let weight = b.total.cmp(&a.total);
            weight.then_with(|| (&a.build_id, a.source).cmp(&(&b.build_id, b.source)))
        });
        SourceLines { lines, builds }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fixtures::{define, location, native};
    use crate::{call_tree, sandwich};

    fn shown(rows: &[LineRow]) -> Vec<(u32, u64, u64)> {
        rows.iter().map(|row| (row.line, row.self_value, row.total)).collect()
    }

    #[test]
    fn lines_have_what_ends_in_them_and_what_passes_through() {
        let mut profile = Profile::default();
        let (call, hot, leaf) = (native("aa", 1), native("aa", 2), native("bb", 3));
        define(&mut profile, &call, vec![location("work", 10)]);
        define(&mut profile, &hot, vec![location("work", 12), location("push", 99)]);
        profile.add_stack(&[call.clone(), leaf], 5, 1);
        profile.add_stack(std::slice::from_ref(&call), 7, 1);
        profile.add_stack(&[hot], 3, 1);
        let module = "build aa";
        let found = source_lines(&profile, &ModuleMap::default(), "work", module);
        assert_eq!(shown(&found.lines), [(10, 7, 12), (12, 0, 3)]);
        assert_eq!(found.builds.len(), 1);
        assert_eq!((found.builds[0].addresses, found.builds[0].total), (2, 15));
        let pushed = source_lines(&profile, &ModuleMap::default(), "push", module);
        assert_eq!(shown(&pushed.lines), [(99, 3, 3)]);
        assert_eq!(source_lines(&profile, &ModuleMap::default(), "work", "x").lines, []);
    }

    #[test]
    fn a_line_that_calls_itself_counts_once_for_each_sample() {
        let mut profile = Profile::default();
        let (a, b) = (native("aa", 1), native("aa", 2));
        define(&mut profile, &a, vec![location("fib", 4)]);
        define(&mut profile, &b, vec![location("fib", 5)]);
        profile.add_stack(&[a.clone(), b.clone(), a.clone(), a], 9, 1);
        let found = source_lines(&profile, &ModuleMap::default(), "fib", "build aa");
        assert_eq!(shown(&found.lines), [(4, 9, 9), (5, 0, 9)]);
        assert_eq!(found.builds[0].total, 9);
    }

    proptest! {
        #[test]
        fn lines_sum_to_what_the_sandwich_says(
            stacks in prop::collection::vec((prop::collection::vec(0u64..8, 1..7), 1u64..100), 1..20)
        ) {
            let mut profile = Profile::default();
            for (offset, line) in (0..8u64).zip([1, 1, 2, 2, 3, 3, 4, 4]) {
                // Two functions of two lines each, one of them inlined into the other at two places.
                let function = if offset % 2 == 0 { "f" } else { "g" };
                let mut locations = vec![location(function, line)];
                if offset >= 6 {
                    locations.push(location("f", 50));
                }
                define(&mut profile, &native("aa", offset), locations);
            }
            for (stack, value) in &stacks {
                let frames: Vec<Frame> = stack.iter().map(|offset| native("aa", *offset)).collect();
                profile.add_stack(&frames, *value, 1);
            }
            let modules = ModuleMap::default();
            let tree = call_tree(&profile, &modules);
            for name in ["f", "g"] {
                let whole = sandwich(&tree, name, "build aa");
                let found = source_lines(&profile, &modules, name, "build aa");
                let sum: u64 = found.lines.iter().map(|row| row.self_value).sum();
                prop_assert_eq!(sum, whole.self_value);
                prop_assert!(found.lines.iter().all(|row| row.self_value <= row.total && row.total <= whole.total));
                let most: u64 = found.lines.iter().map(|row| row.total).sum();
                prop_assert!(most >= whole.total);
                let builds: Vec<u64> = found.builds.iter().map(|build| build.total).collect();
                prop_assert_eq!(builds, if whole.total > 0 { vec![whole.total] } else { vec![] });
            }
        }
    }
}
