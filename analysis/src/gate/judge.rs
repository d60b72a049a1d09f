//! Whether a gate holds, in three values: surely, surely not, not to be told. An interval wholly
//! above the threshold holds, one wholly below does not, one across it is undecided.

use crate::compare::{Change, Comparison, KeyIx, What};

use super::parse::{Clause, Gate, Quantity};

/// Whether something is above its threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Answer {
    /// Surely not: the gate passes.
    Below,
    /// It cannot be told.
    Undecided,
    /// Surely: the gate fails.
    Above,
}

/// Why it is so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// By the interval of the subject.
    Interval,
    /// Too few replicates to decide anything.
    NotEnoughReplicates,
    /// Nobody knows how much work or time a side's total stands for.
    NoExposure,
    /// No samples of a function of that name.
    NoSuchFunction,
    /// No function is large enough.
    NothingToGate,
}

/// What decided, or is nearest to deciding.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Subject {
    /// Nothing for the total.
    pub key: Option<(KeyIx, What)>,
    /// Its change, in the clause's terms.
    pub change: Change,
    /// Lower and upper end of the interval, in the clause's terms.
    pub interval: (f64, f64),
}

/// One clause of a gate with its answer.
#[derive(Debug, Clone, PartialEq)]
pub struct ClauseAnswer {
    /// Which.
    pub clause: Clause,
    /// What it comes to.
    pub answer: Answer,
    /// Why.
    pub reason: Reason,
    /// Of what.
    pub subject: Option<Subject>,
}

/// Judges a comparison: the answer of the whole, and of each clause in order.
#[must_use]
pub fn judge(gate: &Gate, comparison: &Comparison) -> (Answer, Vec<ClauseAnswer>) {
    let mut answers = Vec::new();
    let answer = whole(gate, comparison, &mut answers);
    (answer, answers)
}

fn whole(gate: &Gate, comparison: &Comparison, answers: &mut Vec<ClauseAnswer>) -> Answer {
    match gate {
        Gate::Clause(clause) => {
            let answered = of_clause(clause, comparison);
            let answer = answered.answer;
            answers.push(answered);
            answer
        }
        Gate::All(parts) => {
            let parts = parts.iter().map(|part| whole(part, comparison, answers));
            parts.fold(Answer::Above, Ord::min)
        }
        Gate::Any(parts) => {
            let parts = parts.iter().map(|part| whole(part, comparison, answers));
            parts.fold(Answer::Below, Ord::max)
        }
    }
}

fn of_clause(clause: &Clause, comparison: &Comparison) -> ClauseAnswer {
    let unknown = |reason| ClauseAnswer {
        clause: clause.clone(),
        answer: Answer::Undecided,
        reason,
        subject: None,
    };
    if !comparison.method.decides() {
        return unknown(Reason::NotEnoughReplicates);
    }
    let subjects = match &clause.quantity {
        Quantity::Total => match comparison.total {
            None => return unknown(Reason::NoExposure),
            Some(change) => vec![Subject { key: None, change, interval: change.interval() }],
        },
        Quantity::Function(name) => functions(comparison, name.as_deref(), false),
        Quantity::Relative(name) => functions(comparison, name.as_deref(), true),
    };
    let answered = subjects.into_iter().map(|subject| (answer(&subject, clause.above), subject));
    // The clearest of those above; else the one that reaches highest.
    let decisive = answered.max_by(|(a, x), (b, y)| {
        let height = |answer: &Answer, subject: &Subject| match answer {
            Answer::Above => subject.interval.0,
            _ => subject.interval.1,
        };
        a.cmp(b).then_with(|| height(a, x).total_cmp(&height(b, y)))
    });
    match (decisive, &clause.quantity) {
        (Some((answer, subject)), _) => ClauseAnswer {
            clause: clause.clone(),
            answer,
            reason: Reason::Interval,
            subject: Some(subject),
        },
        (None, Quantity::Function(Some(_)) | Quantity::Relative(Some(_))) => {
            unknown(Reason::NoSuchFunction)
        }
        (None, _) => ClauseAnswer { answer: Answer::Below, ..unknown(Reason::NothingToGate) },
    }
}

fn answer(subject: &Subject, above: f64) -> Answer {
    let (low, high) = subject.interval;
    // Nothing is above a threshold that is not significantly above nothing.
    if low > above && subject.change.is_significant() {
        Answer::Above
    } else if high <= above {
        Answer::Below
    } else {
        Answer::Undecided
    }
}

/// Both values of every function that may gate, or of those that have the name.
fn functions(comparison: &Comparison, name: Option<&str>, is_relative: bool) -> Vec<Subject> {
    let wanted = comparison.rows.iter().filter(|row| match name {
        Some(name) => comparison.keys[row.key.at()].name == name,
        None => row.is_gated,
    });
    let both = wanted.flat_map(|row| {
        [(What::Own, row.own_rest), (What::Total, row.total_rest)]
            .map(|(what, change)| ((row.key, what), change))
    });
    both.filter(|(_, change)| !is_relative || change.base > 0.0 || change.new > 0.0)
        .map(|(key, change)| {
            let (low, high) = change.interval();
            let unit = if is_relative { change.base } else { 1.0 };
            Subject { key: Some(key), change, interval: (low / unit, high / unit) }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::{Key, Method, Row};
    use crate::stats::Bar;

    fn change(by: f64, margin: f64) -> Change {
        let bar = Bar { t: 4.0, is_one_sided: false };
        Change { base: 0.1, new: 0.1 + by, error: margin / 4.0, df: 30.0, bar }
    }

    fn comparison(total: Option<Change>, rows: &[(f64, f64, bool)]) -> Comparison {
        let row = |(at, (by, margin, is_gated)): (u32, &(f64, f64, bool))| Row {
            key: KeyIx(at),
            own: [1, 1],
            total: [1, 1],
            samples: [100, 100],
            own_change: change(*by, *margin),
            total_change: change(0.0, 0.001),
            own_rest: change(*by, *margin),
            total_rest: change(0.0, 0.001),
            is_gated: *is_gated,
            is_tested: true,
            q: 1.0,
        };
        Comparison {
            sides: Default::default(),
            method: Method::StudentT,
            tests: 3,
            total,
            keys: vec![
                Key { name: "a".into(), module: String::new() },
                Key { name: "b".into(), module: String::new() },
            ],
            rows: (0u32..).zip(rows).map(row).collect(),
            findings: vec![],
            moves: vec![],
            warnings: vec![],
        }
    }

    fn check(gate: &str, comparison: &Comparison, wanted: Answer) {
        let (answer, _) = judge(&Gate::parse(gate).unwrap(), comparison);
        assert_eq!(answer, wanted, "{gate}");
    }

    #[test]
    fn intervals_decide_in_three_values() {
        use Answer::{Above, Below, Undecided};
        let one = comparison(Some(change(0.02, 0.005)), &[(0.06, 0.005, true), (0.9, 0.1, false)]);
        for (gate, wanted) in [
            ("total > 1%", Above),
            ("total > 2%", Undecided),
            ("total > 3%", Below),
            ("function > 5%", Above),
            ("function > 6%", Undecided),
            // The other is below the least share that gates.
            ("function > 10%", Below),
            ("function(\"b\") > 10%", Above),
            ("rel(function) > 50%", Above),
            ("rel(function) > 70%", Below),
            ("total > 3% and function > 6%", Below),
            ("total > 2% and function > 5%", Undecided),
            ("total > 3% or function > 6%", Undecided),
            ("total > 2% or function > 5%", Above),
            ("function(\"nowhere\") > 1%", Undecided),
        ] {
            check(gate, &one, wanted);
        }
        check("total > 1%", &comparison(None, &[]), Undecided);
        check("function > 1%", &comparison(None, &[]), Below);
        let few = Comparison { method: Method::Few, ..one };
        check("total > 1% or function > 5%", &few, Undecided);
    }
}
