//! How a bench is written for people.

use std::fmt::Write as _;

use stoker_formats::text::harmless;

use super::answer::{BenchAnswer, TimeChange};
use crate::diff::print as diff;
use crate::table::{Align, Style, Table, amount};

pub(super) fn table(answer: &BenchAnswer, limit: usize, style: Style) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{}", runs(answer));
    let _ = writeln!(text, "base: {}\nnew:  {}\n", harmless(&answer.base), harmless(&answer.new));
    let right = Align::Right;
    let headings =
        [("A RUN", Align::Left), ("BASE", right), ("NEW", right), ("CHANGE", right), ("", right)];
    let mut times = Table::new(&headings, 0);
    for (name, time) in times_of(answer) {
        let [base, new, change, mark] = cells(time);
        times.push([name.to_owned(), base, new, change, mark]);
    }
    let _ = write!(text, "{}", times.render(style));
    let _ = write!(text, "\n{}", diff::table(&answer.diff, limit, style));
    text
}

pub(super) fn markdown(answer: &BenchAnswer, limit: usize) -> String {
    let mut text = String::from("| a run | base | new | change | |\n|---|---:|---:|---:|---|\n");
    for (name, time) in times_of(answer) {
        let _ = writeln!(text, "| {name} | {} |", cells(time).join(" | "));
    }
    let _ = write!(text, "\n{}", diff::markdown(&answer.diff, limit));
    for note in &answer.notes {
        let _ = writeln!(text, "\n_{note}_");
    }
    let _ = writeln!(text, "\n{}", runs(answer));
    text
}

fn times_of(answer: &BenchAnswer) -> [(&'static str, TimeChange); 2] {
    [("CPU time", answer.cpu), ("wall time", answer.wall)]
}

fn runs(answer: &BenchAnswer) -> String {
    let early = match answer.has_stopped_early() {
        true => format!(", decided before the {} that were planned", answer.planned),
        false => String::new(),
    };
    format!("{} runs of each command, in alternation{early}", answer.pairs)
}

fn cells(time: TimeChange) -> [String; 4] {
    let margin = time.margin.map_or(String::new(), |m| format!(" ±{:.2}", 100.0 * m));
    [
        mean(time.base_ns),
        mean(time.new_ns),
        format!("{:+.2}%{margin}", 100.0 * time.change),
        (if time.is_significant { "*" } else { "" }).to_owned(),
    ]
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a mean of times, which are positive; the conversion saturates"
)]
fn mean(nanoseconds: f64) -> String {
    amount(nanoseconds as u64, "nanoseconds")
}
