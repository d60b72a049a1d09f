//! Flame graphs as columns. Names, modules and files are numbered in order of the boxes that first
//! use them, so that equal data give equal bytes whatever the order of arrival.

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::{FxHashMap, FxHashSet};
use serde::Serialize;
use stoker_analysis::{Naming, call_tree_pruned};
use stoker_dag::{BoxIx, BuildId, CallTree, Frame, KernelImage, NameIx, prune, prune_around};

use super::Query;
use super::error::QueryError;
use super::fold::Folded;
use super::sampling::Sampling;

/// Builds of one module that an answer lists; with more it says how many there are.
const MAX_BUILDS: usize = 4;

/// A flame graph, as `docs/api.md` describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FlameGraph {
    /// The selector, as it was understood.
    pub query: String,
    /// What values count.
    pub profile_type: String,
    /// What values are in.
    pub unit: String,
    /// Start of the range.
    pub from_ms: u64,
    /// End of the range.
    pub until_ms: u64,
    /// Which data answered.
    pub level: &'static str,
    /// The sum of all values.
    pub total: u64,
    /// How many samples.
    pub samples: u64,
    /// Samples that the selected hosts lost.
    pub lost_samples: u64,
    /// What is missing from the answer, a sentence for each; absent where nothing is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Boxes before the smallest were summed up.
    pub nodes_before_pruning: usize,
    /// Names of functions.
    pub names: Vec<String>,
    /// Names of modules; the first is empty.
    pub modules: Vec<String>,
    /// Source files; the first is empty.
    pub files: Vec<String>,
    /// The builds of each module.
    pub builds: Vec<Builds>,
    /// How the samples were taken.
    pub sampling: Vec<Sampling>,
    /// The boxes.
    pub nodes: FlameColumns,
}

/// The builds of one module that a selection has frames of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Builds {
    /// How many there are.
    pub count: usize,
    /// The first of them, in order.
    pub ids: Vec<String>,
}

/// Boxes as parallel columns, parents before children.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct FlameColumns {
    /// The parent; the root's is the root.
    pub parent: Vec<u32>,
    /// Index of the name.
    pub name: Vec<u32>,
    /// Index of the module.
    pub module: Vec<u32>,
    /// Index of the file.
    pub file: Vec<u32>,
    /// Line, or 0.
    pub line: Vec<u32>,
    /// What the box stands for.
    pub kind: Vec<u8>,
    /// 1 where the function was inlined into its parent.
    pub inlined: Vec<u8>,
    /// Value that ends in the box.
    #[serde(rename = "self")]
    pub self_value: Vec<u64>,
    /// Value of the box and all below it.
    pub total: Vec<u64>,
}

/// The tables and boxes of a flame graph.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Columns {
    /// Names of functions.
    pub names: Vec<String>,
    /// Names of modules; the first is empty.
    pub modules: Vec<String>,
    /// Source files; the first is empty.
    pub files: Vec<String>,
    /// The boxes.
    pub nodes: FlameColumns,
}

impl Columns {
    /// All of `tree`.
    #[must_use]
    pub fn of(tree: &CallTree) -> Self {
        let mut names = Texts::default();
        let mut modules = Texts::starting_empty(tree);
        let mut files = Texts::starting_empty(tree);
        let mut nodes = FlameColumns {
            self_value: tree.self_value.clone(),
            total: tree.total.clone(),
            parent: tree.parent.iter().map(|parent| parent.0).collect(),
            ..FlameColumns::default()
        };
        for label in &tree.label {
            nodes.name.push(names.number(tree, label.name));
            nodes.module.push(modules.number(tree, label.module));
            nodes.file.push(files.number(tree, label.file));
            nodes.line.push(label.line);
            nodes.kind.push(label.kind.code());
            nodes.inlined.push(u8::from(label.inlined));
        }
        Self { names: names.texts, modules: modules.texts, files: files.texts, nodes }
    }
}

/// The flame graph of what was folded, with at most `max_nodes` boxes beside the `(other)` ones; 0
/// keeps all.
///
/// # Errors
/// When the selector names no profile type.
pub fn flamegraph(
    query: &Query,
    folded: &Folded,
    max_nodes: usize,
) -> Result<FlameGraph, QueryError> {
    flamegraph_around(query, folded, max_nodes, &[])
}

/// As [`flamegraph`], with as many boxes again below the box that `focus` leads to (a path as
/// `stoker_analysis::path` has them), or below the last of its boxes that there is.
///
/// # Errors
/// When the selector names no profile type.
pub fn flamegraph_around(
    query: &Query,
    folded: &Folded,
    max_nodes: usize,
    focus: &[u32],
) -> Result<FlameGraph, QueryError> {
    let profile_type = super::top::required_type(query)?;
    let (pruned, nodes_before_pruning) = pruned(folded, max_nodes, focus);
    folded.check_shown(pruned.len())?;
    let Columns { names, modules, files, nodes } = Columns::of(&pruned);
    let builds = builds(folded, &modules);
    Ok(FlameGraph {
        query: query.selector.to_string(),
        profile_type: profile_type.to_string(),
        unit: profile_type.unit().to_owned(),
        from_ms: query.from_ms(),
        until_ms: query.until_ms(),
        level: folded.stats.levels.as_str(),
        total: folded.profile.total(),
        samples: folded.profile.samples(),
        lost_samples: folded.stats.lost_samples,
        warnings: folded.warnings.clone(),
        nodes_before_pruning,
        names,
        modules,
        files,
        builds,
        sampling: folded.sampling.clone(),
        nodes,
    })
}

/// The boxes that are shown, and how many there were.
fn pruned(folded: &Folded, max_nodes: usize, focus: &[u32]) -> (CallTree, usize) {
    if focus.is_empty() {
        return call_tree_pruned(&folded.profile, &folded.modules, max_nodes);
    }
    let tree = stoker_analysis::call_tree(&folded.profile, &folded.modules);
    let (focus, _) = stoker_analysis::path::find(&tree, focus);
    let pruned = match focus {
        BoxIx::ROOT => prune(&tree, max_nodes),
        focus => prune_around(&tree, max_nodes, focus),
    };
    (pruned, tree.len())
}

/// For each module the builds that it has in the profile.
fn builds(folded: &Folded, modules: &[String]) -> Vec<Builds> {
    let naming = Naming { definitions: &folded.profile.definitions, modules: &folded.modules };
    let mut seen: FxHashSet<&BuildId> = FxHashSet::default();
    let mut known: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (_, frame) in folded.profile.frames.iter() {
        let (Frame::Native { build_id, .. }
        | Frame::Kernel { image: KernelImage::Build(build_id), .. }) = frame
        else {
            continue;
        };
        if seen.insert(build_id) {
            let module = naming.module(frame).into_owned();
            known.entry(module).or_default().insert(build_id.to_string());
        }
    }
    let of_module = |module: &String| {
        known.get(module).map_or_else(Builds::default, |ids| Builds {
            count: ids.len(),
            ids: ids.iter().take(MAX_BUILDS).cloned().collect(),
        })
    };
    modules.iter().map(of_module).collect()
}

/// Texts in order of first use.
#[derive(Default)]
struct Texts {
    texts: Vec<String>,
    index: FxHashMap<NameIx, u32>,
}

impl Texts {
    fn starting_empty(tree: &CallTree) -> Self {
        let mut texts = Self::default();
        texts.number(tree, NameIx::default());
        texts
    }

    fn number(&mut self, tree: &CallTree, name: NameIx) -> u32 {
        *self.index.entry(name).or_insert_with(|| {
            self.texts.push(tree.names.get(name).to_owned());
            u32::try_from(self.texts.len() - 1).expect("no more texts than the tree has")
        })
    }
}
