//! Answers as text for people.

use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::{Error, Value};
use stoker_formats::text::harmless;

use crate::failure::Failure;
use crate::table::{Align, Style, Table, amount, cut, share};

const LEFT: Align = Align::Left;
const RIGHT: Align = Align::Right;
const SPARKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// An answer that is not as this version knows it.
pub fn unknown(error: &Error) -> Failure {
    let message = format!("the server's answer is not as this version knows it: {error}");
    Failure::new(message, "add --json to see it")
}

#[derive(Deserialize)]
struct Top {
    unit: String,
    total: u64,
    samples: u64,
    lost_samples: u64,
    rows_total: usize,
    by: String,
    /// Absent in answers about files.
    #[serde(default)]
    level: String,
    rows: Vec<TopRow>,
}

#[derive(Deserialize)]
struct TopRow {
    name: String,
    module: String,
    #[serde(rename = "self")]
    self_value: u64,
    total: u64,
}

pub fn top(answer: &Value, style: Style) -> Result<String, Error> {
    let top = Top::deserialize(answer)?;
    let name = match &*top.by {
        "module" => "MODULE",
        "service" => "SERVICE",
        "file" => "FILE",
        _ => "FUNCTION",
    };
    let mut headings =
        vec![("SELF", RIGHT), ("SELF%", RIGHT), ("TOTAL", RIGHT), ("TOTAL%", RIGHT), (name, LEFT)];
    let has_modules = top.by == "function";
    if has_modules {
        headings.push(("MODULE", LEFT));
    }
    let mut table = Table::new(&headings, 4);
    for row in &top.rows {
        let mut cells = vec![
            amount(row.self_value, &top.unit),
            share(row.self_value, top.total),
            amount(row.total, &top.unit),
            share(row.total, top.total),
            row.name.clone(),
        ];
        if has_modules {
            cells.push(row.module.clone());
        }
        table.push(cells);
    }
    let mut text = table.render(style);
    let shown = top.rows.len();
    let more = match top.rows_total > shown {
        true => format!(", {shown} of {} rows (--limit 0 shows all)", top.rows_total),
        false => String::new(),
    };
    let all = amount(top.total, &top.unit);
    let samples = samples(top.samples, top.lost_samples);
    let level = match &*top.level {
        "" | "raw" => String::new(),
        level => format!("; kept as {}", harmless(level)),
    };
    let _ = writeln!(text, "{}", style.dim(&format!("{all} in {samples}{more}{level}")));
    Ok(text)
}

fn samples(taken: u64, lost: u64) -> String {
    match lost {
        0 => format!("{taken} samples"),
        lost => format!("{taken} samples ({lost} more were lost)"),
    }
}

#[derive(Deserialize)]
struct Flamegraph {
    unit: String,
    total: u64,
    samples: u64,
    lost_samples: u64,
    nodes_before_pruning: usize,
    names: Vec<String>,
    modules: Vec<String>,
    nodes: Nodes,
}

#[derive(Deserialize)]
struct Nodes {
    parent: Vec<usize>,
    name: Vec<usize>,
    module: Vec<usize>,
    inlined: Vec<u8>,
    #[serde(rename = "self")]
    self_value: Vec<u64>,
    total: Vec<u64>,
}

pub fn flamegraph(answer: &Value, style: Style) -> Result<String, Error> {
    let graph = Flamegraph::deserialize(answer)?;
    let nodes = &graph.nodes;
    let mut text = String::new();
    let mut depths = vec![0usize; nodes.parent.len()];
    let look_up = |texts: &[String], at: Option<&usize>| {
        at.and_then(|at| texts.get(*at)).cloned().unwrap_or_default()
    };
    for at in 0..nodes.parent.len() {
        if at > 0 {
            depths[at] = depths.get(nodes.parent[at]).copied().unwrap_or(0) + 1;
        }
        let name = look_up(&graph.names, nodes.name.get(at));
        let module = look_up(&graph.modules, nodes.module.get(at));
        let total = nodes.total.get(at).copied().unwrap_or(0);
        let own = nodes.self_value.get(at).copied().unwrap_or(0);
        let (own, whole) = (share(own, graph.total), share(total, graph.total));
        let inlined = if nodes.inlined.get(at) == Some(&1) { " (inlined)" } else { "" };
        let module =
            if module.is_empty() { String::new() } else { format!(" · {}", harmless(&module)) };
        let indent = "  ".repeat(depths[at]);
        let line = format!("{whole:>8} {own:>8}  {indent}{}{inlined}{module}", harmless(&name));
        let line = style.width.map_or_else(|| line.clone(), |width| cut(&line, width));
        let _ = writeln!(text, "{line}");
    }
    let all = amount(graph.total, &graph.unit);
    let samples = samples(graph.samples, graph.lost_samples);
    let boxes = graph.nodes_before_pruning;
    let summary =
        format!("total, self; {all} in {samples}, {boxes} boxes (--max-nodes 0 shows all)");
    let _ = writeln!(text, "{}", style.dim(&summary));
    Ok(text)
}

#[derive(Deserialize)]
struct Timeline {
    step_ms: u64,
    unit: String,
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    value: String,
    values: Vec<u64>,
    total: u64,
}

pub fn timeline(answer: &Value, style: Style) -> Result<String, Error> {
    let timeline = Timeline::deserialize(answer)?;
    let total: u64 = timeline.groups.iter().map(|group| group.total).sum();
    let mut table =
        Table::new(&[("GROUP", LEFT), ("TOTAL", RIGHT), ("SHARE", RIGHT), ("OVER TIME", LEFT)], 0);
    let groups = timeline.groups.iter();
    let highest = groups.flat_map(|group| &group.values).copied().max().unwrap_or(0);
    let room = style.width.map_or(120, |width| width.saturating_sub(44).max(10));
    for group in &timeline.groups {
        let name = if group.value.is_empty() { "(all)" } else { &group.value };
        table.push([
            name.to_owned(),
            amount(group.total, &timeline.unit),
            share(group.total, total),
            sparks(&group.values, highest, room),
        ]);
    }
    let mut text = table.render(style);
    let step = amount(timeline.step_ms.saturating_mul(1_000_000), "nanoseconds");
    let peak = amount(highest, &timeline.unit);
    let summary = format!("steps of {step}; the highest bar is {peak}");
    let _ = writeln!(text, "{}", style.dim(&summary));
    Ok(text)
}

/// One character per step, or per several where there are more steps than `room`: their highest.
fn sparks(values: &[u64], highest: u64, room: usize) -> String {
    let each = values.len().div_ceil(room.max(1)).max(1);
    let bar = |steps: &[u64]| {
        let value = u128::from(steps.iter().copied().max().unwrap_or(0));
        if value == 0 {
            return ' ';
        }
        let level = value * 7 / u128::from(highest.max(1));
        SPARKS[usize::try_from(level).unwrap_or(7).min(7)]
    };
    values.chunks(each).map(bar).collect()
}

pub fn list(answer: &Value, field: &str) -> Result<String, Error> {
    let lines = Vec::<String>::deserialize(&answer[field])?;
    Ok(lines.iter().fold(String::new(), |text, line| text + &harmless(line) + "\n"))
}

#[derive(Deserialize)]
struct Series {
    profile_type: String,
    labels: std::collections::BTreeMap<String, String>,
}

pub fn series(answer: &Value, style: Style) -> Result<String, Error> {
    let mut table = Table::new(&[("PROFILE TYPE", LEFT), ("LABELS", LEFT)], 1);
    for series in Vec::<Series>::deserialize(&answer["series"])? {
        let labels = series.labels.iter().map(|(name, value)| format!("{name}={value:?}"));
        table.push([series.profile_type, labels.collect::<Vec<_>>().join(" ")]);
    }
    Ok(table.render(style))
}

#[derive(Deserialize)]
struct ProfileType {
    id: String,
    short: String,
    unit: String,
}

pub fn profile_types(answer: &Value, style: Style) -> Result<String, Error> {
    let mut table = Table::new(&[("SHORT", LEFT), ("UNIT", LEFT), ("PROFILE TYPE", LEFT)], 2);
    for entry in Vec::<ProfileType>::deserialize(&answer["profile_types"])? {
        table.push([entry.short, entry.unit, entry.id]);
    }
    Ok(table.render(style))
}

#[derive(Deserialize)]
struct Agent {
    host: String,
    version: String,
    last_seen_ms: i64,
    cpus: u32,
    sample_source: String,
    frequency_hz: u32,
    samples_taken: u64,
    samples_lost: u64,
    unwind: Unwind,
    /// A server of the minor version before does not tell.
    #[serde(default)]
    names: Names,
}

#[derive(Deserialize, Default)]
struct Names {
    named: u64,
    nameless: u64,
}

#[derive(Deserialize)]
struct Unwind {
    complete: u64,
    truncated: u64,
    failed: u64,
}

pub fn agents(answer: &Value, style: Style) -> Result<String, Error> {
    let headings = [
        ("HOST", LEFT),
        ("LAST SEEN", LEFT),
        ("CPUS", RIGHT),
        ("SOURCE", LEFT),
        ("SAMPLES", RIGHT),
        ("LOST", RIGHT),
        ("UNWOUND", RIGHT),
        ("NAMED", RIGHT),
        ("VERSION", LEFT),
    ];
    let mut table = Table::new(&headings, 0);
    for agent in Vec::<Agent>::deserialize(&answer["agents"])? {
        let seen =
            jiff::Timestamp::from_millisecond(agent.last_seen_ms - agent.last_seen_ms % 1000);
        let Unwind { complete, truncated, failed } = agent.unwind;
        table.push([
            agent.host,
            seen.map_or_else(|_| "-".to_owned(), |seen| seen.to_string()),
            agent.cpus.to_string(),
            format!("{} {} Hz", agent.sample_source, agent.frequency_hz),
            agent.samples_taken.to_string(),
            agent.samples_lost.to_string(),
            share(complete, complete + truncated + failed),
            share(agent.names.named, agent.names.named + agent.names.nameless),
            agent.version,
        ]);
    }
    Ok(table.render(style))
}
