//! What calls a function and what it calls, over all its positions.

use serde::Serialize;
use stoker_dag::prune;

use super::error::QueryError;
use super::flamegraph::Columns;
use super::{Engine, Query, fold};

/// A sandwich, as `docs/api.md` describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SandwichAnswer {
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
    /// The function.
    pub name: String,
    /// Its module.
    pub module: String,
    /// The sum of all values that the selector selects, with and without the function.
    pub whole: u64,
    /// Value that ends in the function.
    #[serde(rename = "self")]
    pub self_value: u64,
    /// Value of all samples that have it on their stack.
    pub total: u64,
    /// The function at the root, below it its callers, outwards.
    pub callers: Half,
    /// The function at the root, below it its callees.
    pub callees: Half,
}

/// One half.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Half {
    /// Boxes before the smallest were summed up.
    pub nodes_before_pruning: usize,
    /// Tables and boxes.
    #[serde(flatten)]
    pub columns: Columns,
}

/// The sandwich of one function, each half with at most `max_nodes` boxes; 0 keeps all. A function
/// that is not there has no samples.
///
/// # Errors
/// When the selector names no profile type, a limit bites, the query is cancelled, or the store
/// cannot be read.
pub fn sandwich(
    engine: Engine<'_>,
    query: &Query,
    (name, module): (&str, &str),
    max_nodes: usize,
) -> Result<SandwichAnswer, QueryError> {
    let profile_type = super::top::required_type(query)?;
    let folded = fold(engine, query, None)?;
    let tree = stoker_analysis::call_tree(&folded.profile, &folded.modules);
    let found = stoker_analysis::sandwich(&tree, name, module);
    engine.progress.check()?;
    let half = |tree: &stoker_dag::CallTree| Half {
        nodes_before_pruning: tree.len(),
        columns: Columns::of(&prune(tree, max_nodes)),
    };
    Ok(SandwichAnswer {
        query: query.selector.to_string(),
        profile_type: profile_type.to_string(),
        unit: profile_type.unit().to_owned(),
        from_ms: query.from_ms(),
        until_ms: query.until_ms(),
        name: name.to_owned(),
        module: module.to_owned(),
        whole: folded.profile.total(),
        self_value: found.self_value,
        total: found.total,
        callers: half(&found.callers),
        callees: half(&found.callees),
    })
}
