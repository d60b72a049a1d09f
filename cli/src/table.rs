//! Tables, numbers and colour for people.

use std::env;
use std::fmt::Write as _;
use std::io::{self, IsTerminal};

use stoker_formats::text::harmless;

/// How output looks.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    /// Columns of the terminal; nothing where it is none, and then nothing is cut.
    pub width: Option<usize>,
    colour: bool,
}

impl Style {
    /// What suits standard output: colour and width of a terminal, unless `NO_COLOR` or `COLUMNS`
    /// say otherwise.
    pub fn of_stdout() -> Self {
        let stdout = io::stdout();
        Self::of(stdout.is_terminal(), || terminal_size::terminal_size_of(&stdout))
    }

    /// The same for standard error.
    pub fn of_stderr() -> Self {
        let stderr = io::stderr();
        Self::of(stderr.is_terminal(), || terminal_size::terminal_size_of(&stderr))
    }

    fn of(
        is_terminal: bool,
        size: impl FnOnce() -> Option<(terminal_size::Width, terminal_size::Height)>,
    ) -> Self {
        let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
        let columns = env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
        let terminal = || size().map(|(width, _)| usize::from(width.0));
        Self {
            width: columns.or_else(|| is_terminal.then(terminal).flatten()),
            colour: is_terminal && !is_set("NO_COLOR") && !is_dumb,
        }
    }

    /// No colour, this width.
    #[cfg(test)]
    pub const fn plain(width: Option<usize>) -> Self {
        Self { width, colour: false }
    }

    fn bold(self, text: &str) -> String {
        if self.colour { format!("\u{1b}[1m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// For what got worse (or better).
    pub fn signed(self, text: &str, is_worse: bool) -> String {
        let code = if is_worse { 31 } else { 32 };
        if self.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// For what matters less.
    pub fn dim(self, text: &str) -> String {
        if self.colour { format!("\u{1b}[2m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// On which side of its column a cell stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Texts.
    Left,
    /// Numbers.
    Right,
}

/// Rows under headings.
#[derive(Debug)]
pub struct Table {
    headings: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
    /// The column that gives way when the terminal is narrow.
    flexible: usize,
}

impl Table {
    /// An empty table; `flexible` is the column that is cut when the terminal is narrow.
    pub fn new(headings: &[(&'static str, Align)], flexible: usize) -> Self {
        Self { headings: headings.to_vec(), rows: Vec::new(), flexible }
    }

    /// Adds a row. Cells are made harmless.
    pub fn push(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells = cells.into_iter();
        self.rows.push(cells.map(|cell| clean(&cell)).collect());
    }

    /// The table as text.
    pub fn render(&self, style: Style) -> String {
        let widths = self.widths(style);
        let mut out = String::new();
        let headings: Vec<String> =
            self.headings.iter().map(|(name, _)| (*name).to_owned()).collect();
        let line = self.line(&headings, &widths);
        let _ = writeln!(out, "{}", style.bold(&line));
        for row in &self.rows {
            let _ = writeln!(out, "{}", self.line(row, &widths));
        }
        out
    }

    fn widths(&self, style: Style) -> Vec<usize> {
        let count = |text: &str| text.chars().count();
        let mut widths: Vec<usize> = self.headings.iter().map(|(name, _)| count(name)).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(count(cell));
            }
        }
        let whole: usize = widths.iter().sum::<usize>() + 2 * (widths.len() - 1);
        if let Some(over) = style.width.and_then(|limit| whole.checked_sub(limit)) {
            let flexible = &mut widths[self.flexible];
            *flexible = flexible.saturating_sub(over).max(12);
        }
        widths
    }

    fn line(&self, cells: &[String], widths: &[usize]) -> String {
        let mut line = String::new();
        for ((cell, width), (_, align)) in cells.iter().zip(widths).zip(&self.headings) {
            let cell = cut(cell, *width);
            let pad = " ".repeat(width.saturating_sub(cell.chars().count()));
            match align {
                Align::Left => line.push_str(&format!("{cell}{pad}  ")),
                Align::Right => line.push_str(&format!("{pad}{cell}  ")),
            }
        }
        line.trim_end().to_owned()
    }
}

fn clean(cell: &str) -> String {
    if cell.is_empty() { String::new() } else { harmless(cell).into_owned() }
}

/// `text` in at most `width` characters, its end replaced where it is longer.
pub fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{kept}…")
}

/// A value in its unit, for people.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
pub fn amount(value: u64, unit: &str) -> String {
    let (steps, base): (&[(&str, f64)], f64) = match unit {
        "nanoseconds" => {
            (&[("d", 86_400e9), ("h", 3600e9), ("min", 60e9), ("s", 1e9), ("ms", 1e6)], 1e3)
        }
        "bytes" => {
            (&[("TiB", 1024f64.powi(4)), ("GiB", 1024f64.powi(3)), ("MiB", 1048576.0)], 1024.0)
        }
        _ => return value.to_string(),
    };
    if value == 0 {
        return "0".to_owned();
    }
    let value = value as f64;
    let small = if unit == "bytes" { "KiB" } else { "µs" };
    let (name, size) =
        steps.iter().copied().find(|(_, size)| value >= *size).unwrap_or((small, base));
    let number = value / size;
    let digits = if number >= 100.0 {
        0
    } else if number >= 10.0 {
        1
    } else {
        2
    };
    format!("{number:.digits$} {name}")
}

/// A share of a total in percent.
#[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
pub fn share(value: u64, total: u64) -> String {
    if total == 0 { "-".to_owned() } else { format!("{:.2}%", 100.0 * value as f64 / total as f64) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_short() {
        for (value, wanted) in [
            (0, "0"),
            (1_500, "1.50 µs"),
            (10_101_010, "10.1 ms"),
            (1_500_000_000, "1.50 s"),
            (240_290_000_000, "4.00 min"),
            (7_200_000_000_000, "2.00 h"),
        ] {
            assert_eq!(amount(value, "nanoseconds"), wanted);
        }
        assert_eq!(amount(3 << 20, "bytes"), "3.00 MiB");
        assert_eq!(amount(12, "count"), "12");
        assert_eq!((share(1, 3), share(0, 0)), ("33.33%".into(), "-".into()));
    }

    #[test]
    fn a_narrow_terminal_cuts_the_flexible_column_only() {
        let mut table = Table::new(&[("SELF", Align::Right), ("FUNCTION", Align::Left)], 1);
        table.push(["12".to_owned(), "a::very::long::function::name\u{1b}[2J".to_owned()]);
        assert_eq!(
            table.render(Style::plain(Some(24))),
            "SELF  FUNCTION\n  12  a::very::long::fu…\n"
        );
        let wide = table.render(Style::plain(None));
        assert!(wide.contains("name\u{fffd}[2J"), "{wide}");
    }
}
