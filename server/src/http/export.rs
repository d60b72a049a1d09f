//! `/api/v1/flamegraph` in all its formats.

use axum::extract::{RawQuery, State};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use stoker_analysis::{Naming, call_tree, visible_tree};
use stoker_dag::{Frame, ProfileType};
use stoker_formats::{collapsed, html, pprof, speedscope, svg};

use super::Shared;
use super::error::ApiError;
use super::heatmap::json_of;
use super::params::Params;
use super::run::{Answer, bounded, cached, json};
use crate::query::{
    self, Engine, Folded, Query, QueryError, flamegraph_around as columns, fold, time,
};

/// Boxes of a flame graph unless asked otherwise.
const MAX_NODES: usize = 8192;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Json,
    Collapsed,
    Svg,
    Pprof,
    Speedscope,
    Html,
}

pub(super) async fn flamegraph(
    State(app): State<Shared>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let mut params = Params::read(raw.as_deref())?;
    let (query, spanned) = params.spanned_query()?;
    let format = params.choice(
        "format",
        &[
            ("json", Format::Json),
            ("collapsed", Format::Collapsed),
            ("svg", Format::Svg),
            ("pprof", Format::Pprof),
            ("speedscope", Format::Speedscope),
            ("html", Format::Html),
        ],
    )?;
    let max_nodes = params.number("max_nodes", MAX_NODES)?;
    let group_by = params.text("group_by")?;
    let focus = params.path("root")?;
    params.finish()?;
    let name = file_name(&query, format);
    let asked = ("flamegraph", raw.as_deref());
    let mut response = cached(&app, asked, query, move |engine, query| {
        query::spanned(engine, query, spanned, |engine| {
            let folded = fold(engine, query, group_by.as_deref())?;
            match format {
                Format::Json => {
                    json_of(engine, spanned, &columns(query, &folded, max_nodes, &focus)?)
                }
                _ => answer(engine, query, &folded, format),
            }
        })
    })
    .await?;
    if let Some(name) = name.and_then(|name| HeaderValue::try_from(name).ok()) {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, name);
    }
    if format == Format::Svg {
        super::gate::isolate(&mut response);
    }
    Ok(response)
}

fn answer(
    engine: Engine<'_>,
    query: &Query,
    folded: &Folded,
    format: Format,
) -> Result<Answer, ApiError> {
    let Some(profile_type) = &query.selector.profile_type else {
        return Err(QueryError::missing_profile_type(&query.selector).into());
    };
    match format {
        Format::Json => json(engine, &columns(query, folded, 0, &[])?),
        Format::Collapsed => as_collapsed(engine, folded),
        Format::Svg => as_svg(engine, query, profile_type, folded),
        Format::Pprof => as_pprof(engine, query, profile_type, folded),
        Format::Speedscope => as_speedscope(engine, query, profile_type, folded),
        Format::Html => as_html(engine, query, profile_type, folded),
    }
}

fn as_collapsed(engine: Engine<'_>, folded: &Folded) -> Result<Answer, ApiError> {
    let tree = call_tree(&folded.profile, &folded.modules);
    let bytes = bounded(engine, |out| {
        collapsed::write(&tree, out).map_err(|error| stoker_formats::WriteError::from(error).into())
    })?;
    Ok(Answer { bytes: bytes.into(), content_type: "text/plain; charset=utf-8" })
}

fn as_svg(
    engine: Engine<'_>,
    query: &Query,
    profile_type: &ProfileType,
    folded: &Folded,
) -> Result<Answer, ApiError> {
    let tree = visible_tree(&folded.profile, &folded.modules, svg::LEAST_VISIBLE_PPM);
    let title = query.selector.to_string();
    let subtitle = format!("{}, {}", amount(profile_type, folded), span(query));
    let bytes =
        bounded(engine, |out| Ok(svg::write(&tree, profile_type, (&title, &subtitle), out)?))?;
    Ok(Answer { bytes: bytes.into(), content_type: "image/svg+xml" })
}

/// One page that opens without a server.
fn as_html(
    engine: Engine<'_>,
    query: &Query,
    profile_type: &ProfileType,
    folded: &Folded,
) -> Result<Answer, ApiError> {
    let tree = call_tree(&folded.profile, &folded.modules);
    let title = query.selector.to_string();
    let subtitle = format!("{}, {}", amount(profile_type, folded), span(query));
    let bytes =
        bounded(engine, |out| Ok(html::write(&tree, profile_type, (&title, &subtitle), out)?))?;
    Ok(Answer { bytes: bytes.into(), content_type: "text/html; charset=utf-8" })
}

fn as_speedscope(
    engine: Engine<'_>,
    query: &Query,
    profile_type: &ProfileType,
    folded: &Folded,
) -> Result<Answer, ApiError> {
    let tree = call_tree(&folded.profile, &folded.modules);
    let title = query.selector.to_string();
    let sources = [speedscope::SpeedscopeSource { tree: &tree, profile_type }];
    let bytes = bounded(engine, |out| Ok(speedscope::write(&sources, &title, out)?))?;
    Ok(Answer { bytes: bytes.into(), content_type: "application/json" })
}

fn as_pprof(
    engine: Engine<'_>,
    query: &Query,
    profile_type: &ProfileType,
    folded: &Folded,
) -> Result<Answer, ApiError> {
    let naming = Naming { definitions: &folded.profile.definitions, modules: &folded.modules };
    let module = |frame: &Frame| naming.module(frame).into_owned();
    let source = pprof::PprofSource {
        profile: &folded.profile,
        module: &module,
        modules: &folded.modules,
        profile_type,
        start: query.range.from(),
        duration_ns: query.range.until().0 - query.range.from().0,
        comment: &format!("stoker {}", query.selector),
    };
    let bytes = bounded(engine, |out| Ok(pprof::write(&source, out)?))?;
    Ok(Answer { bytes: bytes.into(), content_type: "application/octet-stream" })
}

/// The total for people.
fn amount(profile_type: &ProfileType, folded: &Folded) -> String {
    let total = folded.profile.total();
    match profile_type.unit() {
        "nanoseconds" => {
            let ms = total / 1_000_000;
            format!("{}.{:03} s", ms / 1000, ms % 1000)
        }
        unit => format!("{total} {unit}"),
    }
}

fn span(query: &Query) -> String {
    let (from, until) = (query.range.from(), query.range.until());
    format!("{} to {}", time::rfc(from), time::rfc(until))
}

/// What a browser calls the file when it saves it.
fn file_name(query: &Query, format: Format) -> Option<String> {
    let (how, extension) = match format {
        Format::Json => return None,
        Format::Collapsed => ("inline", "collapsed"),
        Format::Svg => ("inline", "svg"),
        Format::Pprof => ("attachment", "pb.gz"),
        Format::Speedscope => ("attachment", "speedscope.json"),
        // Never shown from here: it would run as a page of this server.
        Format::Html => ("attachment", "html"),
    };
    let profile_type = query.selector.profile_type.as_ref()?.short().replace(':', "-");
    let from = query.from_ms() / 1000;
    Some(format!("{how}; filename=\"{profile_type}-{from}.{extension}\""))
}
