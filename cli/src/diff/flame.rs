//! Differential flame graphs: the new side's call tree, coloured by what changed.

use std::fmt::Write as _;

use stoker_dag::{CallTree, ProfileType};
use stoker_formats::svg;
use stoker_server::query::diff::DiffAnswer;

use super::print;
use crate::failure::Failure;

/// One picture of both sides.
pub(super) fn svg(trees: &[CallTree; 2], answer: &DiffAnswer) -> Result<String, Failure> {
    let wrong = |error: &dyn std::fmt::Display| Failure::new(error.to_string(), "");
    let profile_type = ProfileType::parse(&answer.profile_type).map_err(|error| wrong(&error))?;
    let subtitle = "red: a larger share than on the base, blue: a smaller one; widths are of new";
    let titles = (format!("{} against {}", answer.new.source, answer.base.source), subtitle);
    let mut out = Vec::new();
    let [base, new] = trees;
    svg::write_difference(base, new, &profile_type, (&titles.0, titles.1), &mut out)
        .map_err(|error| wrong(&error))?;
    String::from_utf8(out).map_err(|error| wrong(&error))
}

/// The picture and the findings in one page that opens offline.
pub(super) fn html(trees: &[CallTree; 2], answer: &DiffAnswer) -> Result<String, Failure> {
    let picture = svg(trees, answer)?;
    // The picture stands in the page by itself: without its XML declaration.
    let picture = picture.find("<svg").map_or("", |at| &picture[at..]);
    let mut page = String::from(HEAD);
    let _ = writeln!(page, "<h1>{}</h1>", escaped(&print::total(answer)));
    let lines =
        answer.findings.iter().map(print::finding).chain(answer.moves.iter().map(print::moving));
    let lines: Vec<String> = lines.map(|line| format!("<li>{}</li>", escaped(&line))).collect();
    let _ = writeln!(page, "<ul>{}</ul>", lines.join("\n"));
    if let Some(gate) = &answer.gate {
        let (verdict, gate) = (escaped(&gate.verdict), escaped(&gate.expression));
        let _ = writeln!(page, "<p>Gate <code>{gate}</code>: <b>{verdict}</b></p>");
    }
    for warning in &answer.warnings {
        let _ = writeln!(page, "<p>{}</p>", escaped(&warning.message));
    }
    let _ = writeln!(page, "{picture}\n</body>\n</html>");
    Ok(page)
}

/// Nothing is loaded from anywhere, and nothing is sent.
const HEAD: &str = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
    <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
    style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'\">\n\
    <title>Difference</title>\n<style>body{font:14px sans-serif;margin:16px;color:#222;\
    background:#fff}h1{font-size:17px}svg{width:100%;height:auto}</style>\n</head>\n<body>\n";

fn escaped(text: &str) -> String {
    let clean = stoker_formats::text::harmless(text);
    clean.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
