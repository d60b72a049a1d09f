//! Two selections side by side, aligned before anything is summed up as too small. No error bars: what
//! is shown here are values, and whether they differ by more than chance is another question.

use std::collections::BTreeMap;

use serde::Serialize;
use stoker_analysis::{TopBy, alike, call_tree, has_modules, merged, top};
use stoker_dag::{CallTree, ProfileType};

use super::error::QueryError;
use super::flamegraph::{Columns, FlameColumns};
use super::{Engine, Folded, Query, fold};

/// What is compared with what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Side {
    /// The selector, as it was understood.
    pub query: String,
    /// Start of the range.
    pub from_ms: u64,
    /// End of the range.
    pub until_ms: u64,
    /// What its values are in.
    pub unit: String,
    /// The sum of all values.
    pub total: u64,
    /// How many samples.
    pub samples: u64,
}

impl Side {
    fn of(query: &Query, folded: &Folded, unit: &str) -> Self {
        Self {
            query: query.selector.to_string(),
            from_ms: query.from_ms(),
            until_ms: query.until_ms(),
            unit: unit.to_owned(),
            total: folded.profile.total(),
            samples: folded.profile.samples(),
        }
    }
}

/// A comparison, as `docs/api.md` describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// What values count, on both sides.
    pub profile_type: String,
    /// What values are in.
    pub unit: String,
    /// The side that is compared with.
    pub base: Side,
    /// The side that is looked at.
    pub new: Side,
    /// Boxes before the smallest were summed up.
    pub nodes_before_pruning: usize,
    /// Names of functions.
    pub names: Vec<String>,
    /// Names of modules; the first is empty.
    pub modules: Vec<String>,
    /// Source files; the first is empty.
    pub files: Vec<String>,
    /// The boxes of either side.
    pub nodes: SidedColumns,
    /// Functions before `limit`.
    pub functions_total: usize,
    /// Functions of either side, by falling change of their self share.
    pub functions: Vec<SidedFunction>,
}

/// Boxes with a value on both sides.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SidedColumns {
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
    pub base_self: Vec<u64>,
    /// Value of the box and all below it.
    pub base_total: Vec<u64>,
    /// Value that ends in the box.
    pub new_self: Vec<u64>,
    /// Value of the box and all below it.
    pub new_total: Vec<u64>,
}

/// One function of either side.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SidedFunction {
    /// Its normalised name.
    pub name: String,
    /// Its module.
    pub module: String,
    /// Value that ends in it.
    pub base_self: u64,
    /// Value of all samples that it has a part in.
    pub base_total: u64,
    /// Value that ends in it.
    pub new_self: u64,
    /// Value of all samples that it has a part in.
    pub new_total: u64,
}

/// Compares `base` and `new`: at most `max_nodes` boxes and `limit` functions, 0 for all.
///
/// # Errors
/// When a selector names no profile type or both name different ones, a limit bites, the query is
/// cancelled, or the store cannot be read.
pub fn compare(
    engine: Engine<'_>,
    (base, new): (&Query, &Query),
    max_nodes: usize,
    limit: usize,
) -> Result<Comparison, QueryError> {
    let profile_type = super::top::required_type(new)?;
    if super::top::required_type(base)? != profile_type {
        let message = format!("{} and {} are of different types", base.selector, new.selector);
        let hint = "compare profiles of one type";
        return Err(QueryError::input("different_profile_types", message, hint));
    }
    let [base, new] = &[base, new].map(|query| query.clone().widened(engine.parts));
    let (old, fresh) = (fold(engine, base, None)?, fold(engine, new, None)?);
    let [base_tree, new_tree] =
        [&old, &fresh].map(|folded| call_tree(&folded.profile, &folded.modules));
    engine.progress.check()?;
    let unit = profile_type.unit();
    let base = (Side::of(base, &old, unit), base_tree);
    let new = (Side::of(new, &fresh, unit), new_tree);
    Ok(compared(profile_type, base, new, (max_nodes, limit)))
}

/// What somebody has as a file, beside what is selected.
#[derive(Debug)]
pub struct FileSide {
    /// What it is called, when it was taken and what it sums to.
    pub side: Side,
    /// Its stacks.
    pub tree: CallTree,
    /// Whether it is what the selection is compared with; otherwise the selection is the base.
    pub is_base: bool,
}

/// As [`compare`], with a file as one side. What tools say differently of one function is taken off
/// both sides, modules included where the file has none; units may differ.
///
/// # Errors
/// As [`compare`].
pub fn compare_with_file(
    engine: Engine<'_>,
    query: &Query,
    file: FileSide,
    max_nodes: usize,
    limit: usize,
) -> Result<Comparison, QueryError> {
    let profile_type = super::top::required_type(query)?;
    let folded = fold(engine, query, None)?;
    let selected = call_tree(&folded.profile, &folded.modules);
    engine.progress.check()?;
    let with_modules = has_modules(&file.tree);
    let live = (Side::of(query, &folded, profile_type.unit()), alike(&selected, with_modules));
    let other = (file.side, alike(&file.tree, with_modules));
    engine.progress.check()?;
    let (base, new) = if file.is_base { (other, live) } else { (live, other) };
    Ok(compared(profile_type, base, new, (max_nodes, limit)))
}

fn compared(
    profile_type: &ProfileType,
    (base, base_tree): (Side, CallTree),
    (new, new_tree): (Side, CallTree),
    (max_nodes, limit): (usize, usize),
) -> Comparison {
    let both = merged(&base_tree, &new_tree, max_nodes);
    let Columns { names, modules, files, nodes } = Columns::of(&both.tree);
    let FlameColumns { parent, name, module, file, line, kind, inlined, .. } = nodes;
    let (base_self, base_total) = (both.base_self, both.base_total);
    let (new_self, new_total) = (both.new_self, both.new_total);
    let mut functions = functions(&base_tree, &new_tree);
    let functions_total = functions.len();
    functions.truncate(if limit == 0 { functions_total } else { limit });
    Comparison {
        profile_type: profile_type.to_string(),
        unit: profile_type.unit().to_owned(),
        base,
        new,
        nodes_before_pruning: both.boxes_before_pruning,
        names,
        modules,
        files,
        nodes: SidedColumns {
            parent,
            name,
            module,
            file,
            line,
            kind,
            inlined,
            base_self,
            base_total,
            new_self,
            new_total,
        },
        functions_total,
        functions,
    }
}

fn functions(base: &CallTree, new: &CallTree) -> Vec<SidedFunction> {
    let mut all: BTreeMap<(String, String), SidedFunction> = BTreeMap::new();
    for (tree, is_new) in [(base, false), (new, true)] {
        for row in top(tree, TopBy::Function) {
            let entry = all.entry((row.name.clone(), row.module.clone())).or_default();
            (entry.name, entry.module) = (row.name, row.module);
            let values = match is_new {
                true => (&mut entry.new_self, &mut entry.new_total),
                false => (&mut entry.base_self, &mut entry.base_total),
            };
            (*values.0, *values.1) = (row.self_value, row.total);
        }
    }
    let (base, new) = (i128::from(base.total[0].max(1)), i128::from(new.total[0].max(1)));
    // Shares over one denominator, without rounding.
    let change = |row: &SidedFunction| {
        (i128::from(row.new_self) * base - i128::from(row.base_self) * new).unsigned_abs()
    };
    let mut rows: Vec<SidedFunction> = all.into_values().collect();
    rows.sort_by_cached_key(|row| std::cmp::Reverse(change(row)));
    rows
}
