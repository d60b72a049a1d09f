//! Sums as an answer. Names are OpenCost's where they mean the same: `window`, `minutes`,
//! `properties`, `cpuCoreUsageAverage`. What OpenCost counts otherwise (it bills what was requested)
//! has a name of its own.

use std::collections::BTreeMap;

use serde::Serialize;
use stoker_analysis::capacity::relative_error;
use stoker_dag::UnixNanos;

use super::collect::{Place, Sum, Sums};
use super::coverage::{Coverage, Covered};
use super::{CapacityOf, CapacityOptions};
use crate::query::scan::ScanStats;
use crate::query::{Query, time};

/// Start and end, RFC 3339.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Window {
    /// The first moment.
    pub start: String,
    /// The moment after the last.
    pub end: String,
}

/// CPU time of one step and one set of labels, or of one function in it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CapacityRow {
    /// Values of the labels, with `/` between them.
    pub name: String,
    /// The labels.
    pub properties: BTreeMap<String, String>,
    /// The function, or the module.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
    /// The function's module.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// Which time.
    pub window: Window,
    /// How long that is.
    pub minutes: f64,
    /// Cores in use, averaged over the window.
    #[serde(rename = "cpuCoreUsageAverage")]
    pub cores: f64,
    /// CPU time; of a function, of all samples that it has a part in.
    pub cpu_seconds: f64,
    /// CPU time that ended in the function.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub self_cpu_seconds: Option<f64>,
    /// How many samples that is.
    pub samples: u64,
    /// Standard error of `cpu_seconds` relative to it; null where fewer than two replicate groups were
    /// observed.
    pub relative_error: Option<f64>,
    /// Replicate groups that used any of it.
    pub replicate_groups: usize,
    /// What `cpu_seconds` cost; null where no price fits any of it.
    pub cpu_cost: Option<f64>,
    /// What `self_cpu_seconds` cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub self_cpu_cost: Option<f64>,
}

/// How much of what hosts did is in profiles.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CoverageRow {
    /// Which time.
    pub window: Window,
    /// CPU time in profiles of all that ran on the hosts.
    pub profiled_cpu_seconds: f64,
    /// CPU time that the hosts report.
    pub host_cpu_seconds: f64,
    /// How long hosts were observed, summed.
    pub host_seconds: f64,
    /// The first through the second; null where no host reports any.
    pub coverage: Option<f64>,
}

/// Capacity, as `docs/api.md` describes it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CapacityAnswer {
    /// The selector, as it was understood.
    pub query: String,
    /// What was counted.
    pub profile_type: String,
    /// Start of the range.
    pub from_ms: u64,
    /// End of the range.
    pub until_ms: u64,
    /// Which data answered.
    pub level: &'static str,
    /// How time is cut.
    pub step: &'static str,
    /// The labels.
    pub by: Vec<String>,
    /// What costs are in; empty without prices.
    pub currency: String,
    /// CPU time of all rows before `limit`; of functions, what ended in them.
    pub cpu_seconds: f64,
    /// What is missing or not as it seems, a sentence for each; absent where nothing is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// One for each step.
    pub coverage: Vec<CoverageRow>,
    /// Rows before `limit`.
    pub rows_total: usize,
    /// In order of time, then falling CPU time, then name.
    pub rows: Vec<CapacityRow>,
}

pub(super) fn answer(
    query: &Query,
    options: &CapacityOptions,
    (sums, coverage): (&Sums, &Coverage),
    stats: ScanStats,
    mut warnings: Vec<String>,
) -> CapacityAnswer {
    let total_ns: u128 = sums.values().map(|sum| sum.own_ns).sum();
    let unpriced = |sum: &Sum| sum.prices.get(&None).map_or(0, |(own, _)| *own);
    let unpriced_ns: u128 = sums.values().map(unpriced).sum();
    if !options.prices.is_empty() && unpriced_ns > 0 {
        warnings.push(format!(
            "no price fits {:.3} of {:.3} CPU-seconds: costs leave them out",
            seconds(unpriced_ns),
            seconds(total_ns)
        ));
    }
    let none = Covered::default();
    let covered = |step: u64| coverage.steps.get(&step).unwrap_or(&none);
    let rows = largest(sums, options.limit).into_iter();
    let profile_type = query.selector.profile_type.as_ref();
    CapacityAnswer {
        query: query.selector.to_string(),
        profile_type: profile_type.map(ToString::to_string).unwrap_or_default(),
        from_ms: query.from_ms(),
        until_ms: query.until_ms(),
        level: stats.levels.as_str(),
        step: options.step.as_str(),
        by: options.by.iter().map(ToString::to_string).collect(),
        currency: options.prices.currency.clone(),
        cpu_seconds: seconds(total_ns),
        warnings,
        coverage: coverage.steps.iter().map(|(at, of)| cover(query, options, *at, of)).collect(),
        rows_total: sums.len(),
        rows: rows.map(|(place, sum)| row(query, options, place, sum, covered(place.0))).collect(),
    }
}

/// The largest of each step, in order.
fn largest(sums: &Sums, limit: usize) -> Vec<(&Place, &Sum)> {
    let mut all: Vec<(&Place, &Sum)> = sums.iter().collect();
    let size = |sum: &Sum| std::cmp::Reverse((sum.total_ns, sum.own_ns));
    all.sort_by(|a, b| (a.0.0, size(a.1), a.0).cmp(&(b.0.0, size(b.1), b.0)));
    let kept = if limit == 0 { usize::MAX } else { limit };
    let of_steps = all.chunk_by(|a, b| a.0.0 == b.0.0);
    of_steps.flat_map(|step| step.iter().take(kept).copied()).collect()
}

fn row(
    query: &Query,
    options: &CapacityOptions,
    (step, key, function): &Place,
    sum: &Sum,
    covered: &Covered,
) -> CapacityRow {
    let (window, minutes) = window(query, options, *step);
    let labels = options.by.iter().map(ToString::to_string);
    let named = options.of != CapacityOf::Services;
    let cost = |of: fn(&(u128, u128)) -> u128| {
        let priced = sum.prices.iter().filter_map(|(price, value)| Some((*price.as_ref()?, value)));
        let costs: Vec<f64> =
            priced.map(|(price, value)| options.prices.cost(price, of(value))).collect();
        (!costs.is_empty()).then(|| tidy(costs.iter().sum()))
    };
    CapacityRow {
        name: key.join("/"),
        properties: labels.zip(key.iter().cloned()).collect(),
        function: function.as_ref().map(|function| function.name.to_string()),
        module: match options.of {
            CapacityOf::Functions => function.as_ref().map(|held| held.module.to_string()),
            CapacityOf::Services | CapacityOf::Modules => None,
        },
        window,
        minutes,
        cores: tidy(seconds(sum.total_ns) / (minutes * 60.0)),
        cpu_seconds: seconds(sum.total_ns),
        self_cpu_seconds: named.then(|| seconds(sum.own_ns)),
        samples: sum.samples,
        relative_error: error(sum, covered),
        replicate_groups: sum.groups.values().filter(|value| **value > 0).count(),
        cpu_cost: cost(|(_, total)| *total),
        self_cpu_cost: if named { cost(|(own, _)| *own) } else { None },
    }
}

/// Over all groups that were observed, those included that used nothing.
fn error(sum: &Sum, covered: &Covered) -> Option<f64> {
    let used = |group| sum.groups.get(group).copied().unwrap_or(0);
    let x: Vec<f64> = covered.observed_ns.keys().map(|group| seconds(used(group))).collect();
    let n: Vec<f64> = covered.observed_ns.values().map(|ns| seconds(*ns)).collect();
    relative_error(&x, &n).map(tidy)
}

fn cover(query: &Query, options: &CapacityOptions, step: u64, of: &Covered) -> CoverageRow {
    let (profiled, busy) = (seconds(of.profiled_ns), seconds(of.busy_ns));
    CoverageRow {
        window: window(query, options, step).0,
        profiled_cpu_seconds: profiled,
        host_cpu_seconds: busy,
        host_seconds: seconds(of.observed_ns.values().sum()),
        coverage: (of.busy_ns > 0).then(|| tidy(profiled / busy)),
    }
}

/// A step, as far as it lies in the range.
fn window(query: &Query, options: &CapacityOptions, step: u64) -> (Window, f64) {
    let (from, until) = (query.range.from(), query.range.until());
    let end = options.step.ns().map_or(u64::MAX, |length| step.saturating_add(length));
    let (start, end) = (from.max(UnixNanos(step)), until.min(UnixNanos(end)));
    let minutes = seconds(u128::from(end.0.saturating_sub(start.0))) / 60.0;
    (Window { start: time::rfc(start), end: time::rfc(end) }, minutes)
}

/// Without the noise of the last digits.
fn tidy(value: f64) -> f64 {
    (value * 1e9).round() / 1e9
}

#[expect(clippy::cast_precision_loss, reason = "seconds are told to no more than 52 bits")]
fn seconds(ns: u128) -> f64 {
    ns as f64 / 1e9
}
