//! `/api/v1/export`: rows, nodes and function tables as Parquet.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use stoker_analysis::Naming;
use stoker_dag::{Frame, ProfileType, UnixNanos};
use stoker_formats::parquet::{Column, Table, Texts, write};

use super::Shared;
use super::error::ApiError;
use super::params::Params;
use super::run::{Answer, bounded, run};
use crate::query::{
    CapacityAnswer, CapacityOf, CapacityOptions, CapacityStep, Engine, Query, Rows, capacity,
    column_name, rows,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    Rows,
    Nodes,
    Functions,
}

pub(super) async fn export(
    State(app): State<Shared>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let mut params = Params::read(raw.as_deref())?;
    let query = params.required_query()?;
    let tables = [("rows", Which::Rows), ("nodes", Which::Nodes), ("functions", Which::Functions)];
    let which = params.choice("table", &tables)?;
    params.choice("format", &[("parquet", ())])?;
    let by = params.text("by")?.unwrap_or_default();
    params.finish()?;
    let by = by.split(',').map(str::trim).filter(|label| !label.is_empty());
    let options = CapacityOptions {
        of: CapacityOf::Functions,
        by: by.map(Into::into).collect(),
        step: CapacityStep::Hour,
        limit: 0,
        prices: Arc::clone(&app.prices),
    };
    let name = tables.iter().find(|(_, held)| *held == which).map_or("", |(name, _)| name);
    let from = query.from_ms() / 1000;
    let mut response = run(&app, "export", query, move |engine, query| {
        let table = match which {
            Which::Rows => of_rows(&rows(engine, query)?),
            Which::Nodes => of_nodes(&rows(engine, query)?),
            Which::Functions => of_functions(engine, query, &options)?,
        };
        let bytes = bounded(engine, |out| Ok(write(&table, out)?))?;
        Ok(Answer { bytes: bytes.into(), content_type: "application/vnd.apache.parquet" })
    })
    .await?;
    let name = format!("attachment; filename=\"{name}-{from}.parquet\"");
    if let Ok(name) = HeaderValue::try_from(name) {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, name);
    }
    Ok(response)
}

fn of_rows(all: &Rows) -> Table {
    let mut table = Table::default();
    let rows = || all.rows.iter();
    let seconds = |gauge: bool, row: &crate::query::TableRow| match gauge {
        true => stoker_dag::WINDOW_SECONDS,
        false => row.level.window_ns() / 1_000_000_000,
    };
    let is_gauge = all.profile_type.is_gauge();
    table.push("window_start", Column::Time(rows().map(|row| row.window.0).collect()));
    table.push("window_seconds", Column::Whole(rows().map(|row| seconds(is_gauge, row)).collect()));
    table.push("level", Column::Text(rows().map(|row| row.level.as_str()).collect()));
    table.push("profile_type", same(&all.profile_type, all.rows.len()));
    for name in &all.names {
        let values = rows().map(|row| all.labels[row.labels].get(name));
        table.push(column_name(name), Column::Text(values.collect()));
    }
    let mut nodes = Texts::default();
    rows().for_each(|row| nodes.push(&row.node.to_string()));
    table.push("node", Column::Text(nodes));
    table.push("value", Column::Whole(rows().map(|row| row.value).collect()));
    table.push("samples", Column::Whole(rows().map(|row| row.samples).collect()));
    table
}

fn same(profile_type: &ProfileType, rows: usize) -> Column {
    Column::Text(std::iter::repeat_n(profile_type.as_str(), rows).collect())
}

/// The nodes that rows refer to and those above them, in order of id.
fn of_nodes(all: &Rows) -> Table {
    let profile = &all.folded.profile;
    let naming = Naming { definitions: &profile.definitions, modules: &all.folded.modules };
    let mut order: Vec<_> = profile.nodes.iter().collect();
    order.sort_unstable_by_key(|(node, ..)| *all.ids[node.at()].as_bytes());
    let [mut id, mut parent, mut function, mut inlined, mut module, mut file, mut build] =
        [const { None::<Texts> }; 7].map(Option::unwrap_or_default);
    let (mut line, mut offset) = (Vec::new(), Vec::new());
    for (node, above, ix) in order {
        let frame = profile.frames.frame(ix);
        id.push(&all.ids[node.at()].to_string());
        let is_root = profile.nodes.frame(above).is_none();
        parent.push(&if is_root { String::new() } else { all.ids[above.at()].to_string() });
        module.push(&naming.module(frame));
        build.push(&frame.build_id().map(ToString::to_string).unwrap_or_default());
        offset.push(match frame {
            Frame::Native { offset, .. } | Frame::Kernel { offset, .. } => *offset,
            Frame::Interpreted { .. } | Frame::Special(_) => 0,
        });
        let bare = Naming::fallback(frame);
        let locations = naming.definition(frame).map_or(&[][..], |held| &held.locations);
        let named = |name: &str| if name.is_empty() { bare.to_string() } else { name.to_owned() };
        function.push(&named(locations.first().map_or("", |location| &location.function)));
        let within: Vec<String> =
            locations.iter().skip(1).map(|location| named(&location.function)).collect();
        inlined.push(&within.join(";"));
        file.push(locations.first().map_or("", |location| &location.file));
        line.push(match (locations.first(), frame) {
            (Some(location), _) => u64::from(location.line),
            (None, Frame::Interpreted { line, .. }) => u64::from(*line),
            (None, _) => 0,
        });
    }
    let mut table = Table::default();
    for (name, texts) in [
        ("node", id),
        ("parent", parent),
        ("function", function),
        ("inlined", inlined),
        ("module", module),
        ("file", file),
    ] {
        table.push(name, Column::Text(texts));
    }
    table.push("line", Column::Whole(line));
    table.push("build_id", Column::Text(build));
    table.push("offset", Column::Whole(offset));
    table
}

fn of_functions(
    engine: Engine<'_>,
    query: &Query,
    options: &CapacityOptions,
) -> Result<Table, ApiError> {
    let CapacityAnswer { rows, .. } = capacity(engine, query, options)?;
    let mut table = Table::default();
    let moment =
        |text: &str| crate::query::time::moment(text, UnixNanos(0)).map_or(0, |moment| moment.0);
    let column = |of: fn(&crate::query::CapacityRow) -> &str| rows.iter().map(of);
    table.push("window_start", Column::Time(column(|row| &row.window.start).map(moment).collect()));
    table.push("window_end", Column::Time(column(|row| &row.window.end).map(moment).collect()));
    for label in &options.by {
        let value = rows.iter().map(|row| row.properties.get(&**label).map_or("", String::as_str));
        table.push(column_name(label), Column::Text(value.collect()));
    }
    let text = |of: Option<&String>| of.cloned().unwrap_or_default();
    for (name, values) in [
        ("function", rows.iter().map(|row| text(row.function.as_ref())).collect::<Vec<_>>()),
        ("module", rows.iter().map(|row| text(row.module.as_ref())).collect()),
    ] {
        table.push(name, Column::Text(values.iter().map(String::as_str).collect()));
    }
    for (name, values) in [
        ("self_cpu_seconds", rows.iter().map(|row| row.self_cpu_seconds).collect::<Vec<_>>()),
        ("cpu_seconds", rows.iter().map(|row| Some(row.cpu_seconds)).collect()),
        ("relative_error", rows.iter().map(|row| row.relative_error).collect()),
        ("self_cpu_cost", rows.iter().map(|row| row.self_cpu_cost).collect()),
        ("cpu_cost", rows.iter().map(|row| row.cpu_cost).collect()),
    ] {
        table.push(name, Column::Number(values));
    }
    table.push("samples", Column::Whole(rows.iter().map(|row| row.samples).collect()));
    Ok(table)
}
