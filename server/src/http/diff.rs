//! `/api/v1/diff`: two selections beside one another.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use stoker_analysis::gate::Gate;

use super::Shared;
use super::error::ApiError;
use super::params::Params;
use super::run::{cached_over, json};
use crate::query::Parts;
use crate::query::diff::{DiffBy, DiffOptions, Per, diff, ranges_of_diff};

pub(super) async fn answer(
    State(app): State<Shared>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let mut params = Params::read(raw.as_deref())?;
    let (base, new) = params.two_queries()?;
    let options = DiffOptions {
        by: params.choice(
            "by",
            &[("function", DiffBy::Function), ("module", DiffBy::Module), ("stack", DiffBy::Stack)],
        )?,
        replicates: params.text("replicates")?.unwrap_or_else(|| "host".to_owned()),
        per: params.choice("per", &[("host_second", 0), ("run", 1), ("unknown", 2)]).map(
            |choice| match choice {
                0 => Per::HostSecond,
                1 => Per::Run,
                _ => Per::Unknown,
            },
        )?,
        rates: rates(params.text("rates")?)?,
        min_share: percent(params.text("min_share")?)?,
        gate: gate(params.text("gate")?)?,
        limit: params.number("limit", DiffOptions::ROWS)?,
        ..DiffOptions::default()
    };
    params.finish()?;
    let sides = (base.clone(), new.clone());
    let others = move |parts: &dyn Parts| ranges_of_diff(parts, (&sides.0, &sides.1), true);
    cached_over(&app, ("diff", raw.as_deref()), base, others, move |engine, base| {
        json(engine, &diff((engine, base), (engine, &new), &options)?)
    })
    .await
}

fn gate(text: Option<String>) -> Result<Option<Gate>, ApiError> {
    let parsed = text.map(|text| Gate::parse(&text)).transpose();
    let hint = "write it like total > 1% or function > 5%";
    parsed.map_err(|error| ApiError::parameter(format!("gate: {error}"), hint))
}

fn percent(text: Option<String>) -> Result<f64, ApiError> {
    let Some(text) = text else { return Ok(DiffOptions::MIN_SHARE) };
    let number = text.trim_end_matches('%').parse().ok();
    let percent = number.filter(|percent: &f64| (0.0..=100.0).contains(percent));
    percent.map(|percent| percent / 100.0).ok_or_else(|| {
        let message = format!("min_share={text:.40?} is no percentage");
        ApiError::parameter(message, "write it like 1%")
    })
}

fn rates(text: Option<String>) -> Result<Option<(f64, f64)>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    DiffOptions::rates(&text).map(Some).ok_or_else(|| {
        let message = format!("rates={text:.40?} are no two rates");
        ApiError::parameter(message, "requests per second of base and new, like 1200,1260")
    })
}
