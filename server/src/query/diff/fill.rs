//! From a comparison to its answer.

use stoker_analysis::compare::{
    Change, Comparison, Finding, KeyIx, Method, Move, MoveKind, Row, SideTotals, What,
};
use stoker_analysis::gate::{Answer, Reason, judge};
use stoker_dag::ProfileType;

use super::answer::{
    ChangeAnswer, ClauseAnswer, DiffAnswer, DiffEntry, FindingAnswer, GateAnswer, KeyAnswer,
    MethodAnswer, MoveAnswer, PlaceAnswer, SideAnswer,
};
use super::collect::Collector;
use super::{DiffBy, DiffOptions, Per, words};
use crate::query::Query;

/// Places of a finding that are given.
const MAX_PLACES: usize = 20;

pub(super) fn answer(
    comparison: &Comparison,
    (base, new): (&Query, &Query),
    profile_type: &ProfileType,
    options: &DiffOptions,
    collector: &Collector,
) -> DiffAnswer {
    let [base_totals, new_totals] = &comparison.sides;
    let rows_total = comparison.rows.len();
    let kept = if options.limit == 0 { rows_total } else { options.limit };
    let key = |at: KeyIx| key_answer(&comparison.keys[at.at()]);
    DiffAnswer {
        profile_type: profile_type.to_string(),
        unit: profile_type.unit().to_owned(),
        by: options.by.as_str().to_owned(),
        base: side(base, base_totals, collector.lost_samples[0]),
        new: side(new, new_totals, collector.lost_samples[1]),
        has_error_bars: comparison.method != Method::None,
        method: method(comparison.method),
        tests: comparison.tests,
        per: if comparison.total.is_some() { per(options) } else { "unknown" }.to_owned(),
        total_change: comparison.total.as_ref().map(change),
        findings: comparison.findings.iter().map(|found| finding(found, &key)).collect(),
        moves: comparison.moves.iter().map(moved).collect(),
        warnings: words::warnings(comparison),
        gate: options.gate.as_ref().map(|gate| {
            let (verdict, clauses) = judge(gate, comparison);
            GateAnswer {
                expression: gate.to_string(),
                verdict: match verdict {
                    Answer::Above => "fail",
                    Answer::Below => "pass",
                    Answer::Undecided => "undecided",
                }
                .to_owned(),
                clauses: clauses.iter().map(|clause| of_clause(clause, comparison)).collect(),
            }
        }),
        rows_total,
        rows: comparison
            .rows
            .iter()
            .take(kept)
            .map(|row| entry(row, comparison, options.by))
            .collect(),
    }
}

fn side(query: &Query, totals: &SideTotals, lost_samples: u64) -> SideAnswer {
    SideAnswer {
        source: query.selector.to_string(),
        from_ms: query.from_ms(),
        until_ms: query.until_ms(),
        total: totals.total,
        samples: totals.samples,
        lost_samples,
        replicates: totals.replicates,
        effective_replicates: totals.clusters,
    }
}

const fn per(options: &DiffOptions) -> &'static str {
    match &options.per {
        _ if options.rates.is_some() => "request",
        Per::HostSecond => "host_second",
        Per::Run => "run",
        Per::Second(_) => "second",
        Per::Unknown => "unknown",
    }
}

fn method(method: Method) -> MethodAnswer {
    let (kind, deals, days) = match method {
        Method::None => ("none", 0, 0),
        Method::Few => ("few", 0, 0),
        Method::Permutation { deals, .. } => ("permutation", deals, 0),
        Method::StudentT => ("student_t", 0, 0),
        Method::Placebo { days } => ("placebo", 0, days),
    };
    MethodAnswer { kind: kind.to_owned(), deals, days }
}

fn known(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

fn change(of: &Change) -> ChangeAnswer {
    ChangeAnswer {
        base: of.base,
        new: of.new,
        change: of.change(),
        margin: known(of.margin()),
        minimum_detectable: known(of.minimum_detectable()),
        df: known(of.df),
        is_significant: of.is_significant(),
    }
}

fn key_answer(key: &stoker_analysis::compare::Key) -> KeyAnswer {
    KeyAnswer { name: key.name.clone(), module: key.module.clone() }
}

fn finding(found: &Finding, key: &dyn Fn(KeyIx) -> KeyAnswer) -> FindingAnswer {
    FindingAnswer {
        key: key(found.key),
        what: match found.what {
            What::Own => "self",
            What::Total => "total",
        }
        .to_owned(),
        change: change(&found.change),
        is_gated: found.is_gated,
        places_total: found.places.len(),
        places: found
            .places
            .iter()
            .take(MAX_PLACES)
            .map(|(caller, [base, new])| PlaceAnswer {
                caller: caller.map(key),
                base: *base,
                new: *new,
            })
            .collect(),
    }
}

fn moved(of: &Move) -> MoveAnswer {
    MoveAnswer {
        kind: match of.kind {
            MoveKind::Renamed => "renamed",
            MoveKind::Relocated => "relocated",
            MoveKind::Inlined => "inlined",
            MoveKind::Outlined => "outlined",
        }
        .to_owned(),
        from: key_answer(&of.from),
        to: of.to.iter().take(MAX_PLACES).map(key_answer).collect(),
        base_share: of.share[0],
        new_share: of.share[1],
    }
}

fn of_clause(
    clause: &stoker_analysis::gate::ClauseAnswer,
    comparison: &Comparison,
) -> ClauseAnswer {
    let key = clause.subject.and_then(|subject| subject.key);
    let interval = clause.subject.map(|subject| subject.interval);
    ClauseAnswer {
        clause: clause.clause.to_string(),
        answer: match clause.answer {
            Answer::Above => "above",
            Answer::Below => "below",
            Answer::Undecided => "undecided",
        }
        .to_owned(),
        reason: match clause.reason {
            Reason::Interval => "interval",
            Reason::NotEnoughReplicates => "not_enough_replicates",
            Reason::NoExposure => "no_exposure",
            Reason::NoSuchFunction => "no_such_function",
            Reason::NothingToGate => "nothing_to_gate",
        }
        .to_owned(),
        key: key.map(|(key, _)| key_answer(&comparison.keys[key.at()])),
        interval: interval.filter(|(low, high)| low.is_finite() && high.is_finite()),
        explanation: words::clause(clause, comparison),
    }
}

fn entry(row: &Row, comparison: &Comparison, by: DiffBy) -> DiffEntry {
    let is_found = comparison.findings.iter().any(|found| found.key == row.key);
    let seems = row.own_change.is_significant()
        || (by != DiffBy::Stack && row.total_change.is_significant());
    let status = match (is_found, comparison.method.decides()) {
        (true, _) => "changed",
        (_, false) => "untested",
        _ if !row.is_tested => "untested",
        _ if seems => "composition",
        _ => "unchanged",
    };
    DiffEntry {
        key: key_answer(&comparison.keys[row.key.at()]),
        base_self: row.own[0],
        base_total: row.total[0],
        new_self: row.own[1],
        new_total: row.total[1],
        self_change: difference(row.own),
        total_change: difference(row.total),
        status: status.to_owned(),
        self_share: change(&row.own_change),
        total_share: change(&row.total_change),
        q: (row.is_tested && comparison.method != Method::None).then_some(row.q),
    }
}

/// New minus base; values that differ by more than 2^63 are no profile's.
fn difference([base, new]: [u64; 2]) -> i64 {
    let size = i64::try_from(new.abs_diff(base)).unwrap_or(i64::MAX);
    if new < base { -size } else { size }
}
