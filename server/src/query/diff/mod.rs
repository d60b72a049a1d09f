//! Two selections beside one another, with hosts (or files, or values of another label) as
//! replicates. The statistics are `stoker_analysis::compare`'s; here rows become its table, and its
//! result an answer that the API and the command give alike.

mod answer;
mod collect;
mod fill;
mod same_data;
mod words;

use stoker_analysis::compare::{
    Aligner, CompareBy, Options, Replicate, ReplicateIx, Side, Table, compare,
};
use stoker_analysis::gate::Gate;
use stoker_dag::{NodeIx, UnixNanos};

pub use answer::{
    ChangeAnswer, ClauseAnswer, DiffAnswer, DiffEntry, FindingAnswer, GateAnswer, KeyAnswer,
    MethodAnswer, MoveAnswer, PlaceAnswer, SideAnswer, WarningAnswer,
};

use self::collect::Collector;
use super::error::QueryError;
use super::fold::Folded;
use super::groups::{Groups, HOST};
use super::scan::ScanStats;
use super::top::required_type;
use super::{Engine, Parts, Query};
use crate::store::TimeRange;

/// A day before is compared for each of so many days where sides lie in different time.
pub const PLACEBO_DAYS: u32 = 14;
const DAY_NS: u64 = 86_400_000_000_000;

/// What rows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiffBy {
    /// Functions over all positions.
    Function,
    /// Modules.
    Module,
    /// Whole stacks of functions.
    Stack,
}

impl DiffBy {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Function => "function",
            Self::Module => "module",
            Self::Stack => "stack",
        }
    }
}

/// What a side's total is divided by, so that sides can be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Per {
    /// The time that each host was observed.
    HostSecond,
    /// Each replicate did the same work.
    Run,
    /// So many nanoseconds of each replicate, by name.
    Second(Vec<(String, u64)>),
    /// Nobody knows.
    Unknown,
}

/// How two selections are compared.
#[derive(Debug, Clone)]
pub struct DiffOptions {
    /// What rows are.
    pub by: DiffBy,
    /// The label whose values are replicates.
    pub replicates: String,
    /// What the total is divided by.
    pub per: Per,
    /// Requests per second of base and new: the total is of a request then.
    pub rates: Option<(f64, f64)>,
    /// The chance of any false alarm.
    pub alpha: f64,
    /// Functions of a smaller share never gate.
    pub min_share: f64,
    /// Replicates of the same order belong together; hosts of one name always do.
    pub is_paired: bool,
    /// Ranges are of one clock, so that different ones are different times.
    pub has_time: bool,
    /// What the answer is judged by.
    pub gate: Option<Gate>,
    /// Rows that are given; 0 gives all.
    pub limit: usize,
}

impl DiffOptions {
    /// The chance of any false alarm, unless a comparison is one of several.
    pub const ALPHA: f64 = 0.01;
    /// The least share of a function that gates, unless asked otherwise.
    pub const MIN_SHARE: f64 = 0.01;
    /// Rows that are given unless asked otherwise.
    pub const ROWS: usize = 100;

    /// Two rates, as `1200,1260`.
    #[must_use]
    pub fn rates(text: &str) -> Option<(f64, f64)> {
        let (base, new) = text.split_once(',')?;
        let rate =
            |text: &str| text.trim().parse().ok().filter(|rate| (1e-6..=1e12).contains(rate));
        Some((rate(base)?, rate(new)?))
    }
}

/// What is meant where nothing else is said, between hosts of a store.
impl Default for DiffOptions {
    fn default() -> Self {
        Self {
            by: DiffBy::Function,
            replicates: "host".to_owned(),
            per: Per::HostSecond,
            rates: None,
            alpha: Self::ALPHA,
            min_share: Self::MIN_SHARE,
            is_paired: false,
            has_time: true,
            gate: None,
            limit: Self::ROWS,
        }
    }
}

/// Compares `new` with `base`.
///
/// # Errors
/// When the sides are of different types, hold the same rows or none, when their values overflow, a
/// limit bites, the query is cancelled, or the store cannot be read.
pub fn diff(
    (base_engine, base): (Engine<'_>, &Query),
    (new_engine, new): (Engine<'_>, &Query),
    options: &DiffOptions,
) -> Result<DiffAnswer, QueryError> {
    let (profile_type, other) = (required_type(base)?, required_type(new)?);
    if profile_type != other {
        let (one, other) = (profile_type.short(), other.short());
        let message = format!("the two sides are of different types: {one} and {other}");
        return Err(QueryError::input(
            "different_profile_types",
            message,
            "compare like with like",
        ));
    }
    let base = &base.clone().widened(base_engine.parts);
    let new = &new.clone().widened(new_engine.parts);
    let sides = [(base_engine, base), (new_engine, new)];
    let has_rollups = sides.iter().any(|(engine, query)| {
        let rollups = engine.parts.rollups(query.range);
        rollups.is_some_and(|rollups| rollups.dropped.contains(HOST))
    });
    let groups = (has_rollups && options.replicates == HOST)
        .then(|| Groups::new(base_engine.parts.tenant()));
    let mut collector = Collector::new(&options.replicates, groups, base_engine.limits.max_nodes);
    collector.side(base_engine, base, Side::Base, 0)?;
    collector.side(new_engine, new, Side::New, 0)?;
    collector.check_sides(sides)?;
    let placebos = placebos((base, new), options.has_time);
    let is_time_disjoint = options.has_time && are_disjoint(base, new);
    for (day, base, new) in &placebos {
        collector.side(base_engine, base, Side::Base, *day)?;
        collector.side(new_engine, new, Side::New, *day)?;
    }
    let table = table(&mut collector, (base_engine, new_engine), options);
    base_engine.progress.check()?;
    let lag = base.range.from().0.abs_diff(new.range.from().0);
    let is_paired = options.is_paired || collector.has_same_names();
    let comparison = compare(
        &table,
        &Options {
            alpha: options.alpha,
            min_share: options.min_share,
            is_paired: is_paired && !is_time_disjoint,
            is_time_disjoint,
            is_by_stack: options.by == DiffBy::Stack,
            is_chained: lag.is_multiple_of(DAY_NS),
            ..Options::default()
        },
    );
    let comparison = comparison.ok_or_else(|| {
        let message = "the values of a side do not fit into 64 bits when they are summed";
        QueryError::input("overflow", message, "select less")
    })?;
    let mut answer = fill::answer(&comparison, (base, new), profile_type, options, &collector);
    for (engine, query) in [(base_engine, base), (new_engine, new)] {
        for message in engine.parts.missing(query.range) {
            answer.warnings.push(WarningAnswer { code: "missing_data".to_owned(), message });
        }
    }
    Ok(answer)
}

/// What was read, aligned, with the names that both stores know.
fn table(
    collector: &mut Collector,
    (base, new): (Engine<'_>, Engine<'_>),
    options: &DiffOptions,
) -> Table {
    let mut aligner = Aligner::new(match options.by {
        DiffBy::Module => CompareBy::Module,
        DiffBy::Function | DiffBy::Stack => CompareBy::Function,
    });
    let Collector { stacks, columns, cells, .. } = collector;
    let profile = std::mem::take(&mut stacks.profile);
    let mut folded = Folded::named(profile, ScanStats::default(), base);
    new.parts.names(&mut |names| folded.learn(names));
    let order = collect::by_name(columns);
    let mut replicate_of = vec![ReplicateIx(0); columns.len()];
    for at in order {
        let column = &columns[at];
        replicate_of[at] = aligner.table.replicate(Replicate {
            name: column.name.clone(),
            side: column.side,
            placebo: column.placebo,
            exposure: exposure(options, column),
        });
    }
    let places = aligner.places(&folded.profile, &folded.modules);
    for (column, cells) in std::mem::take(cells).into_iter().enumerate() {
        // In one order, so that an answer does not hang on how a map is laid out.
        let mut cells: Vec<(NodeIx, (u64, u64))> = cells.into_iter().collect();
        cells.sort_unstable_by_key(|(node, _)| *node);
        for (node, sample) in cells {
            aligner.add(&places, node, replicate_of[column], sample);
        }
    }
    aligner.table
}

/// What a replicate's total is divided by; 0 where nobody knows.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate has some digits only, and the conversion saturates"
)]
fn exposure(options: &DiffOptions, column: &collect::Column) -> u64 {
    let exposure = match &options.per {
        Per::HostSecond => column.observed_ns,
        Per::Run => 1,
        Per::Second(known) => {
            known.iter().find(|(name, _)| *name == column.name).map_or(0, |(_, ns)| *ns)
        }
        Per::Unknown => 0,
    };
    match (options.rates, column.side) {
        (None, _) => exposure,
        (Some((rate, _)), Side::Base) | (Some((_, rate)), Side::New) => {
            (exposure as f64 * rate * RATE_STEPS) as u64
        }
    }
}

/// Rates are counted in millionths, so that rates below one do not vanish.
const RATE_STEPS: f64 = 1e6;

/// Whether the ranges have no time in common.
fn are_disjoint(base: &Query, new: &Query) -> bool {
    let (a, b) = (base.range, new.range);
    a.until() <= b.from() || b.until() <= a.from()
}

/// What is compared beside the sides themselves where they lie in different time: both, some days before.
fn placebos((base, new): (&Query, &Query), has_time: bool) -> Vec<(u32, Query, Query)> {
    if !(has_time && are_disjoint(base, new)) {
        return Vec::new();
    }
    let both = |day| Some((day, earlier(base, day)?, earlier(new, day)?));
    (1..=PLACEBO_DAYS).map_while(both).collect()
}

/// All ranges that a comparison of `new` with `base` reads.
pub fn ranges_of_diff(
    parts: &dyn Parts,
    (base, new): (&Query, &Query),
    has_time: bool,
) -> Vec<TimeRange> {
    let [base, new] = [base, new].map(|query| query.clone().widened(parts));
    let placebos = placebos((&base, &new), has_time).into_iter();
    let earlier = placebos.flat_map(|(_, base, new)| [base, new]);
    let earlier: Vec<TimeRange> = earlier.map(|query| query.widened(parts).range).collect();
    [base.range, new.range].into_iter().chain(earlier).collect()
}

/// The same some days before.
fn earlier(query: &Query, days: u32) -> Option<Query> {
    let back = u64::from(days) * DAY_NS;
    let shift = |at: UnixNanos| at.0.checked_sub(back).map(UnixNanos);
    let (from, until) = (shift(query.range.from())?, shift(query.range.until())?);
    Query::new(query.selector.clone(), from, until).ok()
}
