//! `/api/v1/capacity/services` and `/api/v1/capacity/functions`, as JSON and CSV.

use std::io::Write;
use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use stoker_dag::ProfileType;

use super::Shared;
use super::error::ApiError;
use super::params::Params;
use super::run::{Answer, Bounded, bounded, cached, json};
use crate::query::{
    CapacityAnswer, CapacityOf, CapacityOptions, CapacityRow, CapacityStep, Query, capacity,
};

/// Rows of each step unless asked otherwise.
const ROWS: usize = 1000;
/// The range unless asked otherwise.
const SINCE: &str = "now-1h";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Json,
    Csv,
}

pub(super) async fn services(
    State(app): State<Shared>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let mut params = Params::read(raw.as_deref())?;
    let asked = Asked::read(&mut params, "service_name")?;
    params.finish()?;
    asked.answer(&app, ("capacity-services", raw.as_deref()), CapacityOf::Services).await
}

pub(super) async fn functions(
    State(app): State<Shared>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let mut params = Params::read(raw.as_deref())?;
    let asked = Asked::read(&mut params, "")?;
    let rows = [("function", CapacityOf::Functions), ("module", CapacityOf::Modules)];
    let of = params.choice("what", &rows)?;
    params.finish()?;
    asked.answer(&app, ("capacity-functions", raw.as_deref()), of).await
}

/// What both have.
struct Asked {
    query: Query,
    by: Vec<Arc<str>>,
    step: CapacityStep,
    limit: usize,
    format: Format,
}

impl Asked {
    fn read(params: &mut Params, by: &str) -> Result<Self, ApiError> {
        let mut query = params.query_since(SINCE)?;
        query.selector.profile_type.get_or_insert_with(ProfileType::cpu);
        let by = params.text("by")?.unwrap_or_else(|| by.to_owned());
        let steps =
            [CapacityStep::All, CapacityStep::Hour, CapacityStep::Day].map(|s| (s.as_str(), s));
        let labels = by.split(',').map(str::trim).filter(|label| !label.is_empty());
        Ok(Self {
            query,
            by: labels.map(Into::into).collect(),
            step: params.choice("step", &steps)?,
            limit: params.number("limit", ROWS)?,
            format: params.choice("format", &[("json", Format::Json), ("csv", Format::Csv)])?,
        })
    }

    async fn answer(
        self,
        app: &Shared,
        endpoint: (&'static str, Option<&str>),
        of: CapacityOf,
    ) -> Result<Response, ApiError> {
        let Self { query, by, step, limit, format } = self;
        let options = CapacityOptions { of, by, step, limit, prices: Arc::clone(&app.prices) };
        cached(app, endpoint, query, move |engine, query| {
            let answer = capacity(engine, query, &options)?;
            match format {
                Format::Json => json(engine, &answer),
                Format::Csv => {
                    let bytes = bounded(engine, |out| {
                        write_csv(&answer, of, out)
                            .map_err(|error| ApiError::internal(&error.to_string()))
                    })?;
                    Ok(Answer { bytes: bytes.into(), content_type: "text/csv; charset=utf-8" })
                }
            }
        })
        .await
    }
}

/// The rows, as RFC 4180 has them. What is not known is empty.
fn write_csv(
    answer: &CapacityAnswer,
    of: CapacityOf,
    out: &mut Bounded,
) -> Result<(), std::io::Error> {
    let mut headings: Vec<&str> = vec!["start", "end", "minutes"];
    headings.extend(answer.by.iter().map(String::as_str));
    headings.extend(match of {
        CapacityOf::Services => &[][..],
        CapacityOf::Functions => &["function", "module"],
        CapacityOf::Modules => &["module"],
    });
    headings.extend(["cpuCoreUsageAverage", "cpu_seconds"]);
    let has_self = of != CapacityOf::Services;
    headings.extend(has_self.then_some("self_cpu_seconds"));
    headings.extend(["samples", "relative_error", "replicate_groups", "cpu_cost"]);
    headings.extend(has_self.then_some("self_cpu_cost"));
    headings.push("coverage");
    line(out, headings.into_iter().map(str::to_owned))?;
    for row in &answer.rows {
        line(out, cells(answer, row, has_self).into_iter())?;
    }
    Ok(())
}

fn cells(answer: &CapacityAnswer, row: &CapacityRow, has_self: bool) -> Vec<String> {
    let known = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
    let mut cells = vec![row.window.start.clone(), row.window.end.clone(), row.minutes.to_string()];
    let value = |label: &String| row.properties.get(label).cloned().unwrap_or_default();
    cells.extend(answer.by.iter().map(value));
    cells.extend(row.function.clone());
    cells.extend(row.module.clone());
    cells.extend([row.cores.to_string(), row.cpu_seconds.to_string()]);
    cells.extend(has_self.then(|| known(row.self_cpu_seconds)));
    cells.extend([
        row.samples.to_string(),
        known(row.relative_error),
        row.replicate_groups.to_string(),
        known(row.cpu_cost),
    ]);
    cells.extend(has_self.then(|| known(row.self_cpu_cost)));
    let covered = answer.coverage.iter().find(|covered| covered.window == row.window);
    cells.push(known(covered.and_then(|covered| covered.coverage)));
    cells
}

fn line(out: &mut Bounded, cells: impl Iterator<Item = String>) -> Result<(), std::io::Error> {
    for (at, cell) in cells.enumerate() {
        let comma = if at == 0 { "" } else { "," };
        match cell.contains(['"', ',', '\n', '\r']) {
            true => write!(out, "{comma}\"{}\"", cell.replace('"', "\"\""))?,
            false => write!(out, "{comma}{cell}")?,
        }
    }
    out.write_all(b"\r\n")
}
