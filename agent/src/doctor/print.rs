//! The report for people. Pure.

use std::fmt::Write as _;

use super::{Finding, Level, Report};

const NAME_WIDTH: usize = 30;
const INDENT: usize = 4;
/// Narrower than this nothing is wrapped any more.
const WIDTH_MIN: usize = 60;
const WIDTH_MAX: usize = 120;

/// The report, wrapped to `width` columns.
pub(super) fn text(report: &Report, width: usize, colours: bool) -> String {
    let width = width.clamp(WIDTH_MIN, WIDTH_MAX);
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(out, "stoker-agent {}", report.version);
    for section in &report.sections {
        let _ = writeln!(out, "\n{}", paint(section.title, "1", colours));
        for finding in &section.findings {
            one(&mut out, finding, width, colours);
        }
    }
    let _ = writeln!(out, "\n{}", verdict(report, colours));
    out
}

fn one(out: &mut String, finding: &Finding, width: usize, colours: bool) {
    let (mark, colour) = mark(finding.level);
    let left = INDENT + NAME_WIDTH;
    let lines = wrapped(&finding.found, width.saturating_sub(left));
    let first = lines.first().map_or("", String::as_str);
    let name = format!("{:NAME_WIDTH$}", finding.name);
    let _ = writeln!(out, "  {} {name}{first}", paint(mark, colour, colours));
    for line in lines.iter().skip(1) {
        let _ = writeln!(out, "{:left$}{line}", "");
    }
    for (at, line) in
        finding.mend.iter().flat_map(|mend| wrapped(mend, width - left - 2)).enumerate()
    {
        let arrow = if at == 0 { "→ " } else { "  " };
        let _ = writeln!(out, "{:left$}{}", "", paint(&format!("{arrow}{line}"), "33", colours));
    }
}

fn mark(level: Level) -> (&'static str, &'static str) {
    match level {
        Level::Info => ("·", "2"),
        Level::Fine => ("✓", "32"),
        Level::Degraded => ("!", "33"),
        Level::Broken => ("✗", "31"),
    }
}

fn verdict(report: &Report, colours: bool) -> String {
    let all = || report.sections.iter().flat_map(|section| &section.findings);
    let count = |level| all().filter(|finding| finding.level == level).count();
    match report.verdict {
        Level::Info | Level::Fine => paint("All is well.", "32", colours),
        Level::Degraded => {
            let some = format!("The agent runs here; {} degraded.", count(Level::Degraded));
            paint(&some, "33", colours)
        }
        Level::Broken => {
            let some = format!("The agent cannot run here: {} in the way.", count(Level::Broken));
            paint(&some, "31", colours)
        }
    }
}

fn paint(text: &str, colour: &str, colours: bool) -> String {
    if colours { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::super::{Report, Section};
    use super::*;

    #[test]
    fn a_report_reads_well() {
        let findings = vec![
            Finding::fine("kernel release", "6.18"),
            Finding::degraded("server", "refused", "start the server, or correct the address"),
        ];
        let report = Report::of(vec![Section { title: "Kernel", findings }]);
        let shown = text(&Report { version: "1.2.3", ..report.clone() }, 60, false);
        let expected = "stoker-agent 1.2.3

Kernel
  ✓ kernel release                6.18
  ! server                        refused
                                  → start the server, or
                                    correct the address

The agent runs here; 1 degraded.
";
        assert_eq!(shown, expected);
        assert!(text(&report, 60, true).contains("\x1b[33m!\x1b[0m"));
    }
}
