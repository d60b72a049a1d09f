//! Flame graphs as columns. Names, modules and files are numbered in order of the boxes that first
//! use them, so that equal data give equal bytes whatever the order of arrival.

use rustc_hash::FxHashMap;
use serde::Serialize;
use stoker_dag::{CallTree, NameIx, prune};

use super::Query;
use super::error::QueryError;
use super::fold::Folded;

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
    /// Boxes before the smallest were summed up.
    pub nodes_before_pruning: usize,
    /// Names of functions.
    pub names: Vec<String>,
    /// Names of modules; the first is empty.
    pub modules: Vec<String>,
    /// Source files; the first is empty.
    pub files: Vec<String>,
    /// The boxes.
    pub nodes: FlameColumns,
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

/// The flame graph of what was folded, with at most `max_nodes` boxes beside the `(other)` ones;
/// 0 keeps all.
///
/// # Errors
/// When the selector names no profile type.
pub fn flamegraph(
    query: &Query,
    folded: &Folded,
    max_nodes: usize,
) -> Result<FlameGraph, QueryError> {
    let profile_type = super::top::required_type(query)?;
    let tree = stoker_analysis::call_tree(&folded.profile, &folded.modules);
    let pruned = prune(&tree, max_nodes);
    let mut names = Texts::default();
    let mut modules = Texts::starting_empty(&tree);
    let mut files = Texts::starting_empty(&tree);
    let mut nodes = FlameColumns {
        self_value: pruned.self_value.clone(),
        total: pruned.total.clone(),
        parent: pruned.parent.iter().map(|parent| parent.0).collect(),
        ..FlameColumns::default()
    };
    for label in &pruned.label {
        nodes.name.push(names.number(&pruned, label.name));
        nodes.module.push(modules.number(&pruned, label.module));
        nodes.file.push(files.number(&pruned, label.file));
        nodes.line.push(label.line);
        nodes.kind.push(label.kind.code());
        nodes.inlined.push(u8::from(label.inlined));
    }
    Ok(FlameGraph {
        query: query.selector.to_string(),
        profile_type: profile_type.to_string(),
        unit: profile_type.unit().to_owned(),
        from_ms: query.from_ms(),
        until_ms: query.until_ms(),
        level: "raw",
        total: folded.profile.total(),
        samples: folded.profile.samples(),
        lost_samples: folded.stats.lost_samples,
        nodes_before_pruning: tree.len(),
        names: names.texts,
        modules: modules.texts,
        files: files.texts,
        nodes,
    })
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
