//! Top tables over a range: by function, module, source file, or service.

use rustc_hash::FxHashMap;
use serde::Serialize;
use stoker_analysis::{Naming, TopRow};
use stoker_dag::{LabelSet, ProfileType, SampleRow, normalise};
use stoker_wire::Dictionary;

use super::error::QueryError;
use super::gauge::Gauge;
use super::scan::scan;
use super::selector::value_of;
use super::sink::{Sink, SummedStacks};
use super::{Engine, Folded, Levels, Query, fold};
use crate::store::{Level, WindowRows};

/// The label that names services.
const SERVICE: &str = "service_name";

/// What the rows of a table are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopBy {
    /// Functions, each counted once per sample.
    Function,
    /// Modules, each counted once per sample.
    Module,
    /// Source files, each counted once per sample.
    File,
    /// Values of the label `service_name`.
    Service,
}

impl TopBy {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Function => "function",
            Self::Module => "module",
            Self::File => "file",
            Self::Service => "service",
        }
    }

    /// The table of this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let all = [Self::Function, Self::Module, Self::File, Self::Service];
        all.into_iter().find(|by| by.as_str() == text)
    }
}

/// One row of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TopEntry {
    /// Function, module, file or service.
    pub name: String,
    /// The function's module, else empty.
    pub module: String,
    /// Value that ends in it.
    #[serde(rename = "self")]
    pub self_value: u64,
    /// Value of all samples that it has a part in.
    pub total: u64,
}

/// A top table, as `docs/api.md` describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Top {
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
    /// What the rows are.
    pub by: &'static str,
    /// The sum of all values.
    pub total: u64,
    /// How many samples.
    pub samples: u64,
    /// Samples that the selected hosts lost.
    pub lost_samples: u64,
    /// Which data answered.
    pub level: &'static str,
    /// What is missing from the answer, a sentence for each; absent where nothing is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Rows before `limit`.
    pub rows_total: usize,
    /// In order of falling self, then total, then name.
    pub rows: Vec<TopEntry>,
}

/// The `limit` first rows of the table; 0 gives all.
///
/// # Errors
/// When the selector names no profile type, a limit bites, the query is cancelled, or the store
/// cannot be read.
pub fn top(engine: Engine<'_>, query: &Query, by: TopBy, limit: usize) -> Result<Top, QueryError> {
    let profile_type = required_type(query)?;
    let table = match by {
        TopBy::Function => by_stack(engine, query, stoker_analysis::TopBy::Function)?,
        TopBy::Module => by_stack(engine, query, stoker_analysis::TopBy::Module)?,
        TopBy::File => by_stack(engine, query, stoker_analysis::TopBy::File)?,
        TopBy::Service => by_service(engine, query)?,
    };
    let mut warnings = engine.parts.missing(query.range);
    if table.levels.has(Level::Functions) && matches!(by, TopBy::Module | TopBy::File) {
        let what = by.as_str();
        warnings.push(format!(
            "a part of the range is kept by function only (level functions): there the total of a \
             {what} is what ended in it"
        ));
    }
    let rows_total = table.rows.len();
    let kept = if limit == 0 { rows_total } else { limit };
    Ok(Top {
        query: query.selector.to_string(),
        profile_type: profile_type.to_string(),
        unit: profile_type.unit().to_owned(),
        from_ms: query.from_ms(),
        until_ms: query.until_ms(),
        by: by.as_str(),
        total: table.total,
        samples: table.samples,
        lost_samples: table.lost_samples,
        level: table.levels.as_str(),
        warnings,
        rows_total,
        rows: table.rows.into_iter().take(kept).collect(),
    })
}

/// The profile type that sums and shares need: values of different types do not add.
pub(super) fn required_type(query: &Query) -> Result<&ProfileType, QueryError> {
    let profile_type = query.selector.profile_type.as_ref();
    profile_type.ok_or_else(|| QueryError::missing_profile_type(&query.selector))
}

struct Table {
    rows: Vec<TopEntry>,
    total: u64,
    samples: u64,
    lost_samples: u64,
    levels: Levels,
}

fn by_stack(
    engine: Engine<'_>,
    query: &Query,
    by: stoker_analysis::TopBy,
) -> Result<Table, QueryError> {
    let folded = fold(engine, query, None)?;
    let tree = stoker_analysis::call_tree(&folded.profile, &folded.modules);
    let mut rows = stoker_analysis::top(&tree, by);
    if by == stoker_analysis::TopBy::Function {
        add_functions(&mut rows, &folded);
    }
    Ok(Table {
        rows: rows
            .into_iter()
            .map(|row| TopEntry {
                name: row.name,
                module: row.module,
                self_value: row.self_value,
                total: row.total,
            })
            .collect(),
        total: folded.profile.total(),
        samples: folded.profile.samples(),
        lost_samples: folded.stats.lost_samples,
        levels: folded.stats.levels,
    })
}

/// Adds the totals of functions whose stacks are no longer kept. Their self values are in the rows
/// already, where they count as totals too.
fn add_functions(rows: &mut Vec<TopRow>, folded: &Folded) {
    if folded.functions.is_empty() {
        return;
    }
    let key = |row: &TopRow| (row.name.clone(), row.module.clone());
    let mut index: FxHashMap<(String, String), usize> = rows.iter().map(key).zip(0..).collect();
    let Folded { profile, modules, .. } = folded;
    let naming = Naming { definitions: &profile.definitions, modules };
    for (node, (own, total)) in &folded.functions {
        let Some(frame) = profile.nodes.frame(*node) else { continue };
        let frame = profile.frames.frame(frame);
        let name = normalise(&Naming::fallback(frame)).into_owned();
        let module = naming.module(frame).into_owned();
        let at = *index.entry((name.clone(), module.clone())).or_insert_with(|| {
            rows.push(TopRow { name, module, self_value: 0, total: 0 });
            rows.len() - 1
        });
        let callees = u64::try_from(total.saturating_sub(*own)).unwrap_or(u64::MAX);
        rows[at].total = rows[at].total.saturating_add(callees);
    }
    rows.sort_by(|a, b| {
        let values = (b.self_value, b.total).cmp(&(a.self_value, a.total));
        values.then_with(|| (&a.name, &a.module).cmp(&(&b.name, &b.module)))
    });
}

fn by_service(engine: Engine<'_>, query: &Query) -> Result<Table, QueryError> {
    let gauge = Gauge::new(query.selector.profile_type.as_ref());
    let mut sink = ServiceSink { gauge, ..ServiceSink::default() };
    let stats = scan(engine, query, &mut sink)?;
    let ServiceSink { index, mut values, mut samples, gauge } = sink;
    gauge.divide_columns(&mut values, &mut samples);
    let mut rows: Vec<TopEntry> = index
        .into_iter()
        .map(|(name, class)| TopEntry {
            name,
            module: String::new(),
            self_value: values[class as usize],
            total: values[class as usize],
        })
        .collect();
    rows.sort_by(|a, b| (b.total, &a.name).cmp(&(a.total, &b.name)));
    Ok(Table {
        total: values.iter().fold(0, |sum, value| sum.saturating_add(*value)),
        rows,
        samples,
        lost_samples: stats.lost_samples,
        levels: stats.levels,
    })
}

#[derive(Default)]
struct ServiceSink {
    index: FxHashMap<String, u32>,
    values: Vec<u64>,
    samples: u64,
    gauge: Gauge,
}

impl Sink for ServiceSink {
    fn class(&mut self, series: &LabelSet, attributes: &LabelSet) -> Result<u32, QueryError> {
        let service = value_of(SERVICE, series, attributes);
        if let Some(&class) = self.index.get(service) {
            return Ok(class);
        }
        let class = u32::try_from(self.values.len()).expect("fewer services than series");
        self.index.insert(service.to_owned(), class);
        self.values.push(0);
        Ok(class)
    }

    fn takes_sums(&self) -> bool {
        !self.gauge.is_gauge()
    }

    fn summed(&mut self, _: &Dictionary, stacks: SummedStacks<'_>, class: u32) {
        let sum = |held: u64, all: &[u64]| all.iter().fold(held, |sum, n| sum.saturating_add(*n));
        let value = &mut self.values[class as usize];
        *value = sum(*value, stacks.values);
        self.samples = sum(self.samples, stacks.counts);
    }

    fn row(&mut self, _: &Dictionary, window: &WindowRows, row: &SampleRow, class: u32) {
        self.gauge.see(window.window);
        let value = &mut self.values[class as usize];
        *value = value.saturating_add(row.value);
        self.samples = self.samples.saturating_add(row.count);
    }
}
