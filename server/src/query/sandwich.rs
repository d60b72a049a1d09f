//! What calls a function and what it calls, over all its positions.

use serde::Serialize;
use stoker_analysis::{BuildRow, LineRow, source_lines};
use stoker_dag::{DefinitionSource, prune};

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
    /// Its source lines before the limit.
    pub lines_total: usize,
    /// Its source lines, by falling self, then total.
    pub lines: Vec<Line>,
    /// The builds that have it, by falling total.
    pub builds: Vec<Build>,
}

/// What one source line of a function costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Source file; empty where it is not known.
    pub file: String,
    /// Line; 0 where it is not known.
    pub line: u32,
    /// Value that ends in the line.
    #[serde(rename = "self")]
    pub self_value: u64,
    /// Value of all samples that have it on their stack.
    pub total: u64,
}

/// What one build has of a function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Build {
    /// Its build id; empty for what lies in no file with one.
    pub build_id: String,
    /// What its name is from; empty where nothing names it.
    pub named_by: &'static str,
    /// Distinct addresses that were seen in it.
    pub addresses: u64,
    /// Value of all samples that have it on their stack.
    pub total: u64,
}

/// Source lines that an answer lists.
const MAX_LINES: usize = 1000;
/// Builds that an answer lists.
const MAX_BUILDS: usize = 100;

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
    let source = source_lines(&folded.profile, &folded.modules, name, module);
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
        lines_total: source.lines.len(),
        lines: source.lines.into_iter().take(MAX_LINES).map(line).collect(),
        builds: source.builds.into_iter().take(MAX_BUILDS).map(build).collect(),
    })
}

fn line(row: LineRow) -> Line {
    let LineRow { file, line, self_value, total } = row;
    Line { file, line, self_value, total }
}

fn build(row: BuildRow) -> Build {
    let named_by = match row.source {
        None => "",
        Some(DefinitionSource::PerfMap) => "perf_map",
        Some(DefinitionSource::SymbolTable) => "symbol_table",
        Some(DefinitionSource::ServerSymbolTable) => "pushed_symbol_table",
        Some(DefinitionSource::AgentDwarf) => "debug_info",
        Some(DefinitionSource::ServerDebugInfo) => "pushed_debug_info",
    };
    let build_id = row.build_id.map_or_else(String::new, |id| id.to_string());
    Build { build_id, named_by, addresses: row.addresses, total: row.total }
}
