//! How a comparison is written for people: as a table, and for comments on a change.

use std::fmt::Write as _;

use stoker_formats::text::harmless;
use stoker_server::query::diff::{
    ChangeAnswer, DiffAnswer, DiffEntry, FindingAnswer, KeyAnswer, MoveAnswer, SideAnswer,
};

use crate::table::{Align, Style, Table, amount};

/// Callers of a finding that are named.
const MAX_CALLERS: usize = 3;

/// As a table.
pub fn table(answer: &DiffAnswer, limit: usize, style: Style) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{}", total(answer));
    for found in &answer.findings {
        let line = finding(found);
        let _ = writeln!(text, "{}", style.signed(&line, found.change.change > 0.0));
    }
    for moved in &answer.moves {
        let _ = writeln!(text, "{}", harmless(&moving(moved)));
    }
    if answer.findings.is_empty() && answer.has_error_bars && is_decided(answer) {
        let _ = writeln!(text, "No {} changed beyond chance.", answer.by);
    }
    let headings = headings(answer);
    let aligned: Vec<(&'static str, Align)> = headings
        .iter()
        .map(|name| (*name, if is_text(name) { Align::Left } else { Align::Right }))
        .collect();
    let flexible = headings.iter().position(|name| is_text(name)).unwrap_or(0);
    let mut rows = Table::new(&aligned, flexible);
    for row in shown(answer, limit) {
        rows.push(cells(row, answer));
    }
    let _ = write!(text, "\n{}", rows.render(style));
    let _ = writeln!(text, "{}", style.dim(&sides(answer, limit)));
    for warning in &answer.warnings {
        let _ = writeln!(text, "note: {}", warning.message);
    }
    text
}

/// For a comment on a change.
pub fn markdown(answer: &DiffAnswer, limit: usize) -> String {
    let mut text = format!("**{}**\n\n", harmless(&total(answer)));
    for found in &answer.findings {
        let kind = if found.change.change > 0.0 { "🔺" } else { "🔻" };
        let _ = writeln!(text, "- {kind} {}", escaped(&finding(found)));
    }
    for moved in &answer.moves {
        let _ = writeln!(text, "- {}", escaped(&moving(moved)));
    }
    if answer.findings.is_empty() && answer.has_error_bars && is_decided(answer) {
        let _ = writeln!(text, "No {} changed beyond chance.", answer.by);
    }
    if let Some(gate) = &answer.gate {
        let _ = writeln!(text, "\nGate {}: **{}**", code(&gate.expression), gate.verdict);
    }
    let headings = headings(answer);
    let _ = writeln!(text, "\n<details><summary>Table</summary>\n\n| {} |", headings.join(" | "));
    let rule = headings.iter().map(|name| if is_text(name) { "--- " } else { "---: " });
    let _ = writeln!(text, "| {} |", rule.map(str::trim).collect::<Vec<_>>().join(" | "));
    for row in shown(answer, limit) {
        let cells = cells(row, answer).into_iter().zip(&headings);
        let cells = cells.map(|(cell, name)| if is_text(name) { code(&cell) } else { cell });
        let _ = writeln!(text, "| {} |", cells.collect::<Vec<_>>().join(" | "));
    }
    let _ = writeln!(text, "\n</details>\n\n{}", harmless(&sides(answer, limit)));
    for warning in &answer.warnings {
        let _ = writeln!(text, "\n_{}_", escaped(&warning.message));
    }
    text
}

/// Whether there were replicates enough to conclude anything.
fn is_decided(answer: &DiffAnswer) -> bool {
    !matches!(answer.method.kind.as_str(), "none" | "few")
}

/// One line on the total.
pub(super) fn total(answer: &DiffAnswer) -> String {
    let per = match answer.per.as_str() {
        "host_second" => "per second of a host",
        "second" => "per second",
        "request" => "per request",
        _ => "per run",
    };
    match &answer.total_change {
        None => "Total: not compared, because nobody knows what the totals stand for (--per run, \
                 --per second)."
            .to_owned(),
        Some(change) => {
            let minimum = change.minimum_detectable.map_or(String::new(), |minimum| {
                format!("; from {:.2}% on it would be found", 100.0 * minimum)
            });
            let margin = change.margin.map_or(String::new(), |m| format!(" ± {:.2}%", 100.0 * m));
            format!("Total {per}: {:+.2}%{margin}{minimum}", 100.0 * change.change)
        }
    }
}

/// One line on what changed of itself.
pub(super) fn finding(found: &FindingAnswer) -> String {
    let sign = if found.change.change > 0.0 { "more" } else { "less" };
    let size = found.change.change.abs();
    let margin = found.change.margin.unwrap_or(f64::NAN);
    let what = if found.what == "self" { "itself" } else { "with what it calls" };
    let callers: Vec<&str> = found
        .places
        .iter()
        .filter_map(|place| place.caller.as_ref())
        .map(|caller| caller.name.as_str())
        .take(MAX_CALLERS)
        .collect();
    let places = match (found.places_total, callers.is_empty()) {
        (_, true) => String::new(),
        (1, _) => format!(", called from {}", callers.join(", ")),
        (count, _) => format!(", called from {count} places ({}, …)", callers.join(", ")),
    };
    let small = if found.is_gated { "" } else { " (too small for a gate)" };
    let text = format!(
        "{} {what}: {:.2} ± {:.2} % of the total {sign} ({:.2} % before){places}{small}",
        name(&found.key),
        100.0 * size,
        100.0 * margin,
        100.0 * found.change.base,
    );
    harmless(&text).into_owned()
}

fn name(key: &KeyAnswer) -> String {
    if key.module.is_empty() { key.name.clone() } else { format!("{} [{}]", key.name, key.module) }
}

/// One line on what moved.
pub(super) fn moving(moved: &MoveAnswer) -> String {
    let to: Vec<String> = moved.to.iter().take(MAX_CALLERS).map(name).collect();
    let more = if moved.to.len() > MAX_CALLERS { ", …" } else { "" };
    let (from, to) = (name(&moved.from), to.join(", ") + more);
    let percent = |share: f64| format!("{:.2} %", 100.0 * share);
    let (base, new) = (percent(moved.base_share), percent(moved.new_share));
    match moved.kind.as_str() {
        "inlined" => format!("moved: {from} ({base}) is gone into its callers: {to}"),
        "outlined" => format!("moved: {from} ({new}) was split off its callers: {to}"),
        "relocated" => format!("moved: {from} ({base}) is now {to} ({new})"),
        _ => format!("moved: {from} ({base}) is now called {to} ({new})"),
    }
}

fn shown(answer: &DiffAnswer, limit: usize) -> &[DiffEntry] {
    let all = answer.rows.len();
    &answer.rows[..if limit == 0 { all } else { limit.min(all) }]
}

fn headings(answer: &DiffAnswer) -> Vec<&'static str> {
    let mut headings = vec!["BASE", "NEW", "SELF", "TOTAL"];
    if answer.has_error_bars {
        headings.push("");
    } else {
        headings.insert(3, "SELF VALUE");
    }
    match answer.by.as_str() {
        "stack" => headings.push("STACK"),
        "module" => headings.push("MODULE"),
        _ => headings.extend(["FUNCTION", "MODULE"]),
    }
    headings
}

fn is_text(heading: &str) -> bool {
    matches!(heading, "FUNCTION" | "MODULE" | "STACK")
}

/// Shares of self on both sides, then the changes of the shares of self and total.
fn cells(row: &DiffEntry, answer: &DiffAnswer) -> Vec<String> {
    let share = |part: f64| format!("{:.2}%", 100.0 * part);
    let mut cells = vec![
        share(row.self_share.base),
        share(row.self_share.new),
        points(&row.self_share),
        points(&row.total_share),
    ];
    if answer.has_error_bars {
        let mark = match row.status.as_str() {
            "changed" => "*",
            "composition" => "~",
            _ => "",
        };
        cells.push(mark.to_owned());
    } else {
        cells.insert(3, value(row.self_change, &answer.unit));
    }
    cells.push(row.key.name.clone());
    if answer.by == "function" {
        cells.push(row.key.module.clone());
    }
    cells
}

/// A change of share, in points of percent.
fn points(change: &ChangeAnswer) -> String {
    let points = 100.0 * change.change;
    // No sign on nothing.
    let by = if points.abs() < 0.005 { "0.00pp".to_owned() } else { format!("{points:+.2}pp") };
    match change.margin {
        Some(margin) => format!("{by} ±{:.2}", 100.0 * margin),
        None => by,
    }
}

fn value(by: i64, unit: &str) -> String {
    match by {
        0 => "0".to_owned(),
        1.. => format!("+{}", amount(by.unsigned_abs(), unit)),
        _ => format!("-{}", amount(by.unsigned_abs(), unit)),
    }
}

fn sides(answer: &DiffAnswer, limit: usize) -> String {
    let side = |side: &SideAnswer| {
        let total = amount(side.total, &answer.unit);
        let lost = match side.lost_samples {
            0 => String::new(),
            lost => format!(", {lost} lost"),
        };
        let (source, samples, replicates) = (&side.source, side.samples, side.replicates);
        format!("{source} ({total} in {samples} samples of {replicates}{lost})")
    };
    let marks = match answer.has_error_bars {
        true => "; * changed, ~ its share changed because others did",
        false => "",
    };
    let (shown, all) = (shown(answer, limit).len(), answer.rows_total);
    let more = match shown < all {
        true => format!("; {shown} of {all} rows, -n 0 shows all"),
        false => String::new(),
    };
    format!(
        "base: {}; new: {}; BASE and NEW are shares of self, then changes of share, new minus \
         base{marks}{more}",
        side(&answer.base),
        side(&answer.new)
    )
}

/// A name as code, which neither markup nor the table's own signs can leave.
fn code(name: &str) -> String {
    if name.is_empty() {
        return String::new();
    }
    format!("`{}`", harmless(name).replace('`', "'").replace('|', "\\|"))
}

/// Text in which no name can become markup.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in harmless(text).chars() {
        if matches!(c, '\\' | '`' | '*' | '_' | '<' | '>' | '[' | ']' | '|' | '#' | '&' | '~') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(change: f64, margin: Option<f64>) -> ChangeAnswer {
        ChangeAnswer {
            base: 0.1,
            new: 0.1 + change,
            change,
            margin,
            minimum_detectable: None,
            df: None,
            is_significant: false,
        }
    }

    #[test]
    fn changes_have_signs() {
        let points = |by, margin| points(&change(by, margin));
        assert_eq!(points(0.3, None), "+30.00pp");
        assert_eq!(points(-0.123_45, Some(0.012)), "-12.35pp ±1.20");
        assert_eq!(points(-0.000_01, None), "0.00pp");
        assert_eq!(value(1_500_000, "nanoseconds"), "+1.50 ms");
        assert_eq!(value(-2, "count"), "-2");
    }

    #[test]
    fn names_cannot_leave_their_cell() {
        assert_eq!(code("a|b`<img>\u{1b}"), "`a\\|b'<img>\u{fffd}`");
        assert_eq!(escaped("<b>*x*"), "\\<b\\>\\*x\\*");
    }
}
