//! How a difference is written: for people, for programs, for comments on a change.

use std::fmt::Write as _;

use serde_json::{Value, json};
use stoker_analysis::{Diff, DiffRow};
use stoker_formats::text::harmless;

use super::{By, DiffArgs};
use crate::local::LocalProfile;
use crate::table::{Align, Style, Table, amount};

/// What every answer says.
const NOTE: &str = "Plain differences, with no error bars yet: chance alone makes changes too, and \
                    nothing can be concluded from small changes.";

/// Both sides and what lies between them.
pub(super) struct Both<'a> {
    pub args: &'a DiffArgs,
    pub diff: Diff,
    pub base: LocalProfile,
    pub new: LocalProfile,
}

impl Both<'_> {
    fn rows(&self) -> &[DiffRow] {
        let all = &self.diff.rows;
        let shown = if self.args.limit == 0 { all.len() } else { self.args.limit.min(all.len()) };
        &all[..shown]
    }

    fn unit(&self) -> &str {
        self.base.profile_type.unit()
    }

    pub(super) fn json(&self) -> Value {
        let side = |source: &str, local: &LocalProfile| {
            let (total, samples) = (local.profile.total(), local.profile.samples());
            json!({"source": source, "total": total, "samples": samples})
        };
        json!({
            "profile_type": self.base.profile_type.as_str(),
            "unit": self.unit(),
            "by": self.args.by.as_str(),
            "base": side(&self.args.base, &self.base),
            "new": side(&self.args.new, &self.new),
            "has_error_bars": false,
            "note": NOTE,
            "rows_total": self.diff.rows.len(),
            "rows": self.rows().iter().map(|row| self.json_row(row)).collect::<Vec<_>>(),
        })
    }

    fn json_row(&self, row: &DiffRow) -> Value {
        json!({
            "name": row.name,
            "module": row.module,
            "base_self": row.base.self_value,
            "base_total": row.base.total,
            "new_self": row.new.self_value,
            "new_total": row.new.total,
            "self_change": whole(row.self_change()),
            "total_change": whole(row.total_change()),
            "self_share_change": self.diff.self_share_change(row),
            "total_share_change": self.diff.total_share_change(row),
        })
    }

    pub(super) fn table(&self, style: Style) -> String {
        let headings = self.headings();
        let aligned: Vec<(&'static str, Align)> = headings
            .iter()
            .enumerate()
            .map(|(at, name)| (*name, if at < 6 { Align::Right } else { Align::Left }))
            .collect();
        let mut table = Table::new(&aligned, 6);
        for row in self.rows() {
            table.push(self.cells(row));
        }
        let mut text = table.render(style);
        let _ = writeln!(text, "{}", style.dim(&self.sides()));
        let _ = writeln!(text, "{NOTE}");
        text
    }

    pub(super) fn markdown(&self) -> String {
        let headings = self.headings();
        let mut text = format!("| {} |\n", headings.join(" | "));
        let rule: Vec<&str> =
            (0..headings.len()).map(|at| if at < 6 { "---:" } else { "--- " }).collect();
        let _ = writeln!(text, "| {} |", rule.join(" | "));
        for row in self.rows() {
            let cells = self.cells(row).into_iter().enumerate();
            let cells = cells.map(|(at, cell)| if at < 6 { cell } else { code(&cell) });
            let _ = writeln!(text, "| {} |", cells.collect::<Vec<_>>().join(" | "));
        }
        let _ = writeln!(text, "\n{}\n\n_{NOTE}_", harmless(&self.sides()));
        text
    }

    fn headings(&self) -> Vec<&'static str> {
        let mut headings = vec!["BASE", "NEW", "SELF", "SELF", "TOTAL", "TOTAL"];
        match self.args.by {
            By::Function => headings.extend(["FUNCTION", "MODULE"]),
            By::Stack => headings.push("STACK"),
            By::Module => headings.push("MODULE"),
        }
        headings
    }

    /// Shares of self on both sides, then changes: self as share and absolute, total the same.
    fn cells(&self, row: &DiffRow) -> Vec<String> {
        let diff = &self.diff;
        let mut cells = vec![
            crate::table::share(row.base.self_value, diff.base_total),
            crate::table::share(row.new.self_value, diff.new_total),
            points(diff.self_share_change(row)),
            change(row.self_change(), self.unit()),
            points(diff.total_share_change(row)),
            change(row.total_change(), self.unit()),
            row.name.clone(),
        ];
        if self.args.by == By::Function {
            cells.push(row.module.clone());
        }
        cells
    }

    fn sides(&self) -> String {
        let side = |source: &str, local: &LocalProfile| {
            let total = amount(local.profile.total(), self.unit());
            format!("{source} ({total} in {} samples)", local.profile.samples())
        };
        let (shown, all) = (self.rows().len(), self.diff.rows.len());
        let more = if shown < all {
            format!("; {shown} of {all} rows, -n 0 shows all")
        } else {
            String::new()
        };
        format!(
            "base: {}; new: {}; BASE and NEW are shares of self, then changes, new minus base{more}",
            side(&self.args.base, &self.base),
            side(&self.args.new, &self.new)
        )
    }
}

/// A change of share, in points of percent.
fn points(change: f64) -> String {
    let points = change * 100.0;
    // No sign on nothing.
    if points.abs() < 0.005 { "0.00pp".to_owned() } else { format!("{points:+.2}pp") }
}

fn change(by: i128, unit: &str) -> String {
    let size = u64::try_from(by.unsigned_abs()).unwrap_or(u64::MAX);
    match by {
        0 => "0".to_owned(),
        1.. => format!("+{}", amount(size, unit)),
        _ => format!("-{}", amount(size, unit)),
    }
}

/// JSON's integers have 64 bits; values that differ by more than 2^63 are no profile's.
fn whole(by: i128) -> i64 {
    i64::try_from(by).unwrap_or(if by < 0 { i64::MIN } else { i64::MAX })
}

/// A name as code, which neither markup nor the table's own signs can leave.
fn code(name: &str) -> String {
    if name.is_empty() {
        return String::new();
    }
    format!("`{}`", harmless(name).replace('`', "'").replace('|', "\\|"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_have_signs() {
        assert_eq!(
            (points(0.3), points(-0.123_45), points(-0.000_01)),
            ("+30.00pp".into(), "-12.35pp".into(), "0.00pp".into())
        );
        assert_eq!(
            (change(1_500_000, "nanoseconds"), change(-2, "count")),
            ("+1.50 ms".into(), "-2".into())
        );
        assert_eq!(whole(i128::from(u64::MAX)), i64::MAX);
    }

    #[test]
    fn names_cannot_leave_their_cell() {
        assert_eq!(code("a|b`<img>\u{1b}"), "`a\\|b'<img>\u{fffd}`");
    }
}
