//! Capacity as a table for people.

use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::{Error, Value};
use stoker_formats::text::harmless;

use crate::table::{Align, Style, Table};

const LEFT: Align = Align::Left;
const RIGHT: Align = Align::Right;

#[derive(Deserialize)]
struct Capacity {
    level: String,
    currency: String,
    cpu_seconds: f64,
    rows_total: usize,
    #[serde(default)]
    warnings: Vec<String>,
    coverage: Vec<Coverage>,
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Coverage {
    coverage: Option<f64>,
}

#[derive(Deserialize)]
struct Row {
    name: String,
    function: Option<String>,
    module: Option<String>,
    #[serde(rename = "cpuCoreUsageAverage")]
    cores: f64,
    cpu_seconds: f64,
    self_cpu_seconds: Option<f64>,
    relative_error: Option<f64>,
    cpu_cost: Option<f64>,
}

/// The table of an answer about the whole of its range.
pub fn table(answer: &Value, style: Style) -> Result<String, Error> {
    let capacity = Capacity::deserialize(answer)?;
    let has_self = capacity.rows.iter().any(|row| row.self_cpu_seconds.is_some());
    let has_modules = capacity.rows.iter().any(|row| row.module.is_some());
    let has_costs = capacity.rows.iter().any(|row| row.cpu_cost.is_some());
    let mut headings = vec![("CORES", RIGHT), ("±", RIGHT), ("CPU", RIGHT), ("CPU%", RIGHT)];
    headings.extend(has_self.then_some(("SELF", RIGHT)));
    headings.extend(has_costs.then_some(("COST", RIGHT)));
    headings.push((if has_self { "NAME" } else { "SERVICE" }, LEFT));
    headings.extend(has_modules.then_some(("MODULE", LEFT)));
    let mut table = Table::new(&headings, headings.len() - 1 - usize::from(has_modules));
    for row in &capacity.rows {
        let percent = 100.0 * row.cpu_seconds / capacity.cpu_seconds.max(f64::MIN_POSITIVE);
        let mut cells = vec![
            format!("{:.3}", row.cores),
            row.relative_error.map_or_else(String::new, |error| format!("{:.1}%", error * 100.0)),
            format!("{:.1} s", row.cpu_seconds),
            format!("{percent:.1}%"),
        ];
        cells.extend(row.self_cpu_seconds.map(|seconds| format!("{seconds:.1} s")));
        let cost = || row.cpu_cost.map_or_else(String::new, |cost| format!("{cost:.2}"));
        cells.extend(has_costs.then(cost));
        let name = row.function.as_ref().unwrap_or(&row.name);
        cells.push(if name.is_empty() { "(none)".to_owned() } else { name.clone() });
        cells.extend(has_modules.then(|| row.module.clone().unwrap_or_default()));
        table.push(cells);
    }
    let mut text = table.render(style);
    let _ = writeln!(text, "{}", style.dim(&summary(&capacity)));
    for warning in &capacity.warnings {
        let _ = writeln!(text, "{}", harmless(warning));
    }
    Ok(text)
}

fn summary(capacity: &Capacity) -> String {
    let mut text = format!("{:.1} CPU-seconds", capacity.cpu_seconds);
    let shown = capacity.rows.len();
    if capacity.rows_total > shown {
        let _ = write!(text, ", {shown} of {} rows (--limit 0 shows all)", capacity.rows_total);
    }
    match capacity.coverage.first().and_then(|covered| covered.coverage) {
        Some(covered) => {
            let _ = write!(text, "; {:.1} % of what the hosts used", covered * 100.0);
        }
        None => text.push_str("; the hosts do not say what they used"),
    }
    if !capacity.currency.is_empty() {
        let _ = write!(text, "; costs in {}", harmless(&capacity.currency));
    }
    if capacity.level != "raw" {
        let _ = write!(text, "; kept as {}", harmless(&capacity.level));
    }
    text.push_str("; ± is one standard error");
    text
}
