//! A flame graph as one HTML file that opens offline: zoom, search, dark and light, a table of the
//! hottest functions. The page asks nobody for anything; its own policy forbids it.
//!
//! Names reach the page in two ways only: as text in a table, escaped, and as JSON in which no
//! character can end the element that holds it. The script shows them as text.

mod data;

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::Write;

use rustc_hash::FxHashMap;
use stoker_dag::{BoxIx, BoxKind, CallTree, ProfileType, prune};

use crate::WriteError;
use crate::text::{box_name, harmless};

/// More boxes than a screen can show; the smallest beyond them are summed.
const MAX_BOXES: usize = 65_536;
/// Rows of the table.
const MAX_ROWS: usize = 100;
/// Characters of a name that the table shows.
const MAX_SHOWN: usize = 400;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
/// Nothing is loaded from anywhere, and nothing is sent.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
    base-uri 'none'; form-action 'none'";

const TABLE_HEAD: &str = "<section id=\"top\"><h2>Hottest functions</h2>\n<table><thead><tr>\
    <th class=\"n\">self</th><th class=\"n\">share</th><th class=\"n\">total</th><th>function</th>\
    </tr></thead>\n<tbody>\n";

/// Draws `tree`, which is in depth-first order, as `CallTreeBuilder::finish` gives it. `title` and
/// `subtitle` are shown above.
///
/// # Errors
/// When `out` does not take the bytes.
pub fn write(
    tree: &CallTree,
    profile_type: &ProfileType,
    (title, subtitle): (&str, &str),
    out: &mut impl Write,
) -> Result<(), WriteError> {
    let shown = prune(tree, MAX_BOXES);
    let (title, subtitle) = (escaped(title), escaped(subtitle));
    write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <header><h1>{title}</h1><p>{subtitle}</p></header>\n\
         <nav><input id=\"search\" type=\"search\" placeholder=\"Search functions ( / )\" \
         aria-label=\"Search functions\"><button id=\"reset\" disabled>Reset zoom</button>\
         <span id=\"found\" role=\"status\"></span></nav>\n\
         <div id=\"graph\"><canvas id=\"canvas\" role=\"img\" \
         aria-label=\"Flame graph; the table below holds the hottest functions\"></canvas></div>\n\
         <div id=\"tip\" hidden></div>\n\
         <noscript><section>The flame graph needs JavaScript; the table does not.</section></noscript>\n"
    )?;
    out.write_all(table(tree, profile_type).as_bytes())?;
    out.write_all(b"<script id=\"data\" type=\"application/json\">")?;
    out.write_all(data::json(&shown, profile_type)?.as_bytes())?;
    write!(out, "</script>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n")?;
    Ok(())
}

/// Self and total of a function, each of its stacks once.
#[derive(Debug, Default, Clone, Copy)]
struct Cost {
    own: u64,
    total: u64,
}

type FunctionKey<'a> = (Cow<'a, str>, &'a str);

fn table(tree: &CallTree, profile_type: &ProfileType) -> String {
    let all = tree.total.first().copied().unwrap_or(0);
    let unit = profile_type.unit();
    let mut html = TABLE_HEAD.to_owned();
    let functions = hottest(tree);
    for ((name, module), cost) in functions.iter().take(MAX_ROWS) {
        let (own, total) = (amount(cost.own, unit), amount(cost.total, unit));
        let (share, name) = (percent(cost.own, all), escaped(name));
        let cell = if module.is_empty() {
            name.clone()
        } else {
            format!("{name} <i>{}</i>", escaped(module))
        };
        let _ = writeln!(
            html,
            "<tr data-name=\"{name}\"><td class=\"n\">{own}</td><td class=\"n\">{share}</td>\
             <td class=\"n\">{total}</td><td class=\"f\">{cell}</td></tr>"
        );
    }
    html.push_str("</tbody></table></section>\n");
    html
}

fn hottest(tree: &CallTree) -> Vec<(FunctionKey<'_>, Cost)> {
    let mut costs: FxHashMap<FunctionKey<'_>, Cost> = FxHashMap::default();
    // The functions above the box at hand, each with its box.
    let mut path: Vec<(BoxIx, FunctionKey<'_>)> = Vec::new();
    for (at, &parent) in (0u32..).map(BoxIx).zip(&tree.parent).skip(1) {
        while path.last().is_some_and(|(above, _)| *above != parent) {
            path.pop();
        }
        let label = tree.label[at.at()];
        if label.kind == BoxKind::Other {
            continue;
        }
        let key = (box_name(tree, at), tree.names.get(label.module));
        let is_recursive = path.iter().any(|(_, above)| *above == key);
        let cost = costs.entry(key.clone()).or_default();
        cost.own = cost.own.saturating_add(tree.self_value[at.at()]);
        if !is_recursive {
            cost.total = cost.total.saturating_add(tree.total[at.at()]);
        }
        path.push((at, key));
    }
    let mut hottest: Vec<_> = costs.into_iter().collect();
    hottest.sort_by(|(a, x), (b, y)| (y.own, y.total, a).cmp(&(x.own, x.total, b)));
    hottest
}

/// A value for people.
fn amount(value: u64, unit: &str) -> String {
    let steps: &[(&str, u64)] = match unit {
        "nanoseconds" => &[("s", 1_000_000_000), ("ms", 1_000_000), ("µs", 1_000), ("ns", 1)],
        "bytes" => &[("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)],
        _ => return value.to_string(),
    };
    let &(name, size) = steps.iter().find(|(_, size)| value >= *size).unwrap_or(&("", 1));
    #[expect(clippy::cast_precision_loss, reason = "two decimals for people")]
    let shown = value as f64 / size as f64;
    if size == 1 {
        format!("{value} {name}").trim_end().to_owned()
    } else {
        format!("{shown:.2} {name}")
    }
}

fn percent(value: u64, all: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "two decimals for people")]
    let share = if all == 0 { 0.0 } else { 100.0 * value as f64 / all as f64 };
    format!("{share:.2} %")
}

/// Harmless, of a bearable length, and escaped for text and for attributes in double quotes.
fn escaped(text: &str) -> String {
    let clean = if text.is_empty() { Cow::Borrowed("") } else { harmless(text) };
    let mut out = String::with_capacity(clean.len());
    for (at, c) in clean.chars().enumerate() {
        match c {
            _ if at == MAX_SHOWN => {
                out.push('…');
                break;
            }
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}
