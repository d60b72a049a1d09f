//! Compares a compiled table with the second reading, row by row.

use std::fs::File;
use std::path::Path;

use stoker_agent::unwind::compile::{Rules, Table, compile};
use stoker_unwind::{Rule, RuleId, cfa, flags, saved};

use crate::second_reading::{self, Function, Told};

/// What a comparison found; sums over files.
#[derive(Debug, Default)]
pub struct Comparison {
    pub files: u64,
    /// Rows that readelf prints.
    pub told: u64,
    /// Of these, rows that the table says it does not support.
    pub unsupported: u64,
    /// Rows that were not compared, because another entry overlaps theirs.
    pub overlapping: u64,
    /// Rows outside of the text.
    pub outside: u64,
    pub rows: u64,
    pub bytes: u64,
    pub differences: Vec<String>,
}

/// Compares `file`; nothing where it is no x86-64 program or library.
pub fn compare(file: &Path, rules: &mut Rules, into: &mut Comparison) {
    let Ok(Ok(table)) = File::open(file).map(|file| compile(&file, rules)) else { return };
    let Some(functions) = second_reading::read(file) else { return };
    into.files += 1;
    into.rows += table.rows.len() as u64;
    into.bytes += table.bytes() as u64;
    let overlaps = overlaps(&functions);
    for (function, overlaps) in functions.iter().zip(overlaps) {
        let rows = function.rows.len() as u64;
        let text = table.text_start..table.text_start + u64::from(table.text_bytes);
        if !text.contains(&function.pc.start) {
            into.outside += rows;
        } else if overlaps {
            into.overlapping += rows;
        } else {
            compare_rows(file, function, &table, rules.as_slice(), into);
        }
    }
}

fn compare_rows(
    file: &Path,
    function: &Function,
    table: &Table,
    rules: &[Rule],
    into: &mut Comparison,
) {
    for told in function.rows.iter().filter(|told| told.start < told.end) {
        into.told += 1;
        let ids = [told.start, told.end - 1].map(|address| table.rule_at(address));
        into.unsupported += u64::from(ids[0] == RuleId::UNSUPPORTED);
        if ids[0] != ids[1] || !agrees(told, ids[0], &rules[usize::from(ids[0].0)]) {
            let rule = rules[usize::from(ids[0].0)];
            into.differences.push(format!("{}: {told:x?} but {ids:?} {rule:?}", file.display()));
        }
    }
}

fn agrees(told: &Told, id: RuleId, rule: &Rule) -> bool {
    match id {
        RuleId::END => told.ra == "u",
        RuleId::UNSUPPORTED => {
            let other_register = !told.cfa.starts_with("rsp") && !told.cfa.starts_with("rbp");
            other_register || told.ra == "vexp" || told.ra.starts_with('r')
        }
        RuleId::NONE | RuleId::BROKEN | RuleId::FRAME_POINTER => false,
        _ => {
            cfa_agrees(&told.cfa, rule)
                && saved_agrees(&told.ra, rule.ra, i64::from(rule.ra_offset))
                && saved_agrees(&told.rbp, rule.frame, i64::from(rule.frame_offset))
                && told.is_signal == (rule.flags & flags::SIGNAL != 0)
        }
    }
}

fn cfa_agrees(told: &str, rule: &Rule) -> bool {
    let offset = rule.cfa_offset;
    match rule.cfa {
        cfa::STACK => told == format!("rsp{offset:+}") || told == "exp",
        cfa::FRAME => told == format!("rbp{offset:+}") || told == "exp",
        cfa::AT_STACK | cfa::AT_FRAME | cfa::STUB => told == "exp",
        _ => false,
    }
}

fn saved_agrees(told: &str, kind: u8, offset: i64) -> bool {
    match kind {
        // readelf prints registers that nothing tells about as undefined.
        saved::SAME => ["-", "u", "s"].contains(&told),
        saved::AT_CFA => told == format!("c{offset:+}") || told == "exp",
        saved::AT_STACK | saved::AT_FRAME => ["exp", "vexp"].contains(&told),
        saved::UNDEFINED => told == "u" || told.starts_with(['r', 'v']) || told.ends_with("exp"),
        _ => false,
    }
}

/// For each function, whether another one overlaps it.
fn overlaps(functions: &[Function]) -> Vec<bool> {
    let mut order: Vec<usize> = (0..functions.len()).collect();
    order.sort_by_key(|&number| functions[number].pc.start);
    let mut overlaps = vec![false; functions.len()];
    let mut last: Option<usize> = None;
    for number in order {
        let pc = &functions[number].pc;
        if let Some(last) = last.filter(|&last| functions[last].pc.end > pc.start) {
            (overlaps[last], overlaps[number]) = (true, true);
        }
        if last.is_none_or(|last| functions[last].pc.end < pc.end) {
            last = Some(number);
        }
    }
    overlaps
}
