//! Timelines: the value of each step of a range, in groups by one label.
//!
//! Steps count from the range's start and are whole windows (whole hours where rollups answer), so the sum of a timeline is the total
//! of the flame graph of the same query, to the unit. Groups beyond `max_groups` are summed, never
//! dropped. What was there at a moment (memory in use) is a mean: of each step, and as the total of
//! all of them.

use std::sync::Arc;
use std::time::Duration;

use rustc_hash::FxHashMap;
use serde::Serialize;
use stoker_dag::{LabelSet, SampleRow, WINDOW_NS};
use stoker_wire::Dictionary;

use super::error::QueryError;
use super::gauge::Gauge;
use super::scan::scan;
use super::selector::value_of;
use super::sink::Sink;
use super::top::required_type;
use super::{Engine, Query};
use crate::store::{HOUR_NS, TimeRange, WindowRows};

/// How many points a timeline has when no step is given.
const POINTS: u64 = 120;
/// What the sum of the smallest groups is called; its `label` is empty.
const OTHER: &str = "(other)";

/// How a timeline is cut.
#[derive(Debug, Clone, Default)]
pub struct TimelineOptions {
    /// Length of a step; widened to windows. Without one there are about 120 steps.
    pub step: Option<Duration>,
    /// A label, or nothing for one group.
    pub group_by: Option<Arc<str>>,
    /// Groups to keep apart; the smallest beyond them are summed. 0 keeps all.
    pub max_groups: usize,
}

/// Values of one group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TimelineGroup {
    /// The label, or empty.
    pub label: String,
    /// Its value.
    pub value: String,
    /// One value for each step.
    pub values: Vec<u64>,
    /// Their sum.
    pub total: u64,
}

/// A timeline, as `docs/api.md` describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Timeline {
    /// The selector, as it was understood.
    pub query: String,
    /// What values count.
    pub profile_type: String,
    /// Start of the first step.
    pub from_ms: u64,
    /// End of the range, which may lie within the last step.
    pub until_ms: u64,
    /// Length of a step.
    pub step_ms: u64,
    /// What values are in.
    pub unit: String,
    /// Which data answered.
    pub level: &'static str,
    /// The sum of all values.
    pub total: u64,
    /// In order of falling total; the sum of the smallest comes last.
    pub groups: Vec<TimelineGroup>,
}

/// The timeline of what `query` selects.
///
/// # Errors
/// When the selector names no profile type, there are too many points or groups, the query is
/// cancelled, or the store cannot be read.
pub fn timeline(
    engine: Engine<'_>,
    query: &Query,
    options: &TimelineOptions,
) -> Result<Timeline, QueryError> {
    let profile_type = required_type(query)?;
    let finest_ns = match engine.parts.rollups(query.range) {
        Some(_) => HOUR_NS,
        None => WINDOW_NS,
    };
    let (step_ns, points) = steps(query.range, options.step, finest_ns, engine.limits.max_points)?;
    let mut sink = TimelineSink {
        start_ns: query.range.from().0,
        step_ns,
        points,
        group_by: options.group_by.clone(),
        max_cells: engine.limits.max_cells,
        index: FxHashMap::default(),
        cells: Vec::new(),
        gauge: Gauge::new(Some(profile_type)),
    };
    let stats = scan(engine, query, &mut sink)?;
    let groups = sink.groups(options.max_groups);
    Ok(Timeline {
        query: query.selector.to_string(),
        profile_type: profile_type.to_string(),
        from_ms: query.from_ms(),
        until_ms: query.until_ms(),
        step_ms: step_ns / 1_000_000,
        unit: profile_type.unit().to_owned(),
        level: stats.levels.as_str(),
        total: sum(groups.iter().map(|group| group.total)),
        groups,
    })
}

/// The length of a step in nanoseconds, a multiple of `finest_ns`, and how many there are.
fn steps(
    range: TimeRange,
    step: Option<Duration>,
    finest_ns: u64,
    max_points: usize,
) -> Result<(u64, usize), QueryError> {
    let windows = (range.until().0 - range.from().0).div_ceil(finest_ns);
    let step_windows = match step {
        Some(step) => u64::try_from(step.as_nanos()).unwrap_or(u64::MAX).div_ceil(finest_ns),
        None => windows.div_ceil(POINTS),
    };
    let step_windows = step_windows.max(1);
    let points = usize::try_from(windows.div_ceil(step_windows)).unwrap_or(usize::MAX);
    if points > max_points {
        let seconds = (windows.div_ceil(max_points as u64)) * (finest_ns / 1_000_000_000);
        return Err(QueryError::input(
            "too_many_points",
            format!("the timeline would have {points} points, more than {max_points}"),
            format!("give a step of at least {seconds}s, or leave it out"),
        ));
    }
    Ok((step_windows.saturating_mul(finest_ns), points))
}

struct TimelineSink {
    start_ns: u64,
    step_ns: u64,
    points: usize,
    group_by: Option<Arc<str>>,
    max_cells: usize,
    index: FxHashMap<String, u32>,
    /// The points of each group, one group after the other.
    cells: Vec<u64>,
    gauge: Gauge,
}

impl TimelineSink {
    /// By what the sum of each step is to be divided.
    fn divisors(&self) -> Vec<u64> {
        let start = |point: usize| self.start_ns.saturating_add(point as u64 * self.step_ns);
        let of = |point| self.gauge.divisor(start(point), start(point + 1)).unwrap_or(1);
        (0..self.points).map(of).collect()
    }

    fn groups(self, max_groups: usize) -> Vec<TimelineGroup> {
        let label = self.group_by.as_deref().unwrap_or_default();
        let divisors = self.divisors();
        let all = self.gauge.divisor(0, u64::MAX).unwrap_or(1);
        let mut groups: Vec<TimelineGroup> = self
            .index
            .into_iter()
            .map(|(value, class)| {
                let start = class as usize * self.points;
                let mut values = self.cells[start..start + self.points].to_vec();
                let total = sum(values.iter().copied()) / all;
                values.iter_mut().zip(&divisors).for_each(|(value, by)| *value /= by);
                let label = label.to_owned();
                TimelineGroup { label, value, values, total }
            })
            .collect();
        if groups.is_empty() && label.is_empty() {
            groups.push(empty_group(self.points, ""));
        }
        groups.sort_by(|a, b| (b.total, &a.value).cmp(&(a.total, &b.value)));
        if max_groups > 0 && groups.len() > max_groups {
            let rest = groups.split_off(max_groups);
            groups.push(summed(&rest, self.points));
        }
        groups
    }
}

fn empty_group(points: usize, value: &str) -> TimelineGroup {
    TimelineGroup {
        label: String::new(),
        value: value.to_owned(),
        values: vec![0; points],
        total: 0,
    }
}

fn summed(groups: &[TimelineGroup], points: usize) -> TimelineGroup {
    let mut all = empty_group(points, OTHER);
    for group in groups {
        for (held, value) in all.values.iter_mut().zip(&group.values) {
            *held = held.saturating_add(*value);
        }
    }
    all.total = sum(groups.iter().map(|group| group.total));
    all
}

fn sum(values: impl Iterator<Item = u64>) -> u64 {
    values.fold(0, u64::saturating_add)
}

impl Sink for TimelineSink {
    fn labels(&self) -> Vec<&str> {
        self.group_by.as_deref().into_iter().collect()
    }

    fn class(&mut self, series: &LabelSet, attributes: &LabelSet) -> Result<u32, QueryError> {
        let group_by = self.group_by.as_deref();
        let value = group_by.map_or("", |label| value_of(label, series, attributes));
        if let Some(&class) = self.index.get(value) {
            return Ok(class);
        }
        let len = self.cells.len() + self.points;
        if len > self.max_cells {
            let what = "has too many groups of too many points";
            return Err(QueryError::too_large("max_cells", self.max_cells, what));
        }
        let class = u32::try_from(self.index.len()).expect("fewer groups than cells");
        self.cells.resize(len, 0);
        self.index.insert(value.to_owned(), class);
        Ok(class)
    }

    fn row(&mut self, _: &Dictionary, window: &WindowRows, row: &SampleRow, class: u32) {
        self.gauge.see(window.window);
        let step = (window.window.0 - self.start_ns) / self.step_ns;
        let step = usize::try_from(step).expect("the window lies in the range");
        let cell = &mut self.cells[class as usize * self.points + step];
        *cell = cell.saturating_add(row.value);
    }
}
