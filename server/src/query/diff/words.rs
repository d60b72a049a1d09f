//! What a comparison warns of, and why a gate decided as it did, in plain words.

use stoker_analysis::compare::{Comparison, MIN_PAIRS, MIN_REPLICATES, Warning, What};
use stoker_analysis::gate::{Answer, ClauseAnswer, Quantity, Reason, Subject};

use super::WarningAnswer;

/// More replicates than this are no advice.
const MANY: f64 = 1000.0;

pub(super) fn warnings(comparison: &Comparison) -> Vec<WarningAnswer> {
    let all = comparison.warnings.iter();
    all.map(|warning| {
        let (code, message) = warning_words(warning, comparison);
        WarningAnswer { code: code.to_owned(), message }
    })
    .collect()
}

fn warning_words(warning: &Warning, comparison: &Comparison) -> (&'static str, String) {
    let [base, new] = &comparison.sides;
    match warning {
        Warning::NoReplicates => (
            "no_replicates",
            format!(
                "{} against {} recordings or hosts: without several a side nobody can say what \
                 chance does, so these are plain differences, and nothing can be concluded from \
                 them. Record at least {MIN_REPLICATES} a side.",
                base.replicates, new.replicates
            ),
        ),
        Warning::FewReplicates => (
            "few_replicates",
            format!(
                "{} against {} recordings or hosts (worth {:.1} against {:.1}): the margins are \
                 rough and nothing is decided. It takes {MIN_REPLICATES} a side of about equal \
                 size, or {MIN_PAIRS} pairs.",
                base.replicates, new.replicates, base.clusters, new.clusters
            ),
        ),
        Warning::TrafficNotCovered { placebos } => (
            "traffic_not_covered",
            format!(
                "traffic changes not covered: the sides lie in different time, and only {placebos} \
                 days before them have data to compare with; it takes 8. What all hosts do at once \
                 is not in the margins, and nothing is decided."
            ),
        ),
        Warning::Composition { keys } => (
            "composition",
            format!(
                "the shares of {keys} more changed only because what is reported changed: one part \
                 that grows makes every other part's share smaller"
            ),
        ),
        Warning::LittleRest { share } => (
            "little_rest",
            format!(
                "what is reported was {:.0} % of the base: shares of the little that is left say \
                 little, look at the absolute cost",
                100.0 * (1.0 - share)
            ),
        ),
        Warning::MoreFindings => {
            ("more_findings", "more changed than is listed: the rest was not looked at".to_owned())
        }
    }
}

/// Why a clause came to its answer, and what would decide it.
pub(super) fn clause(clause: &ClauseAnswer, comparison: &Comparison) -> String {
    let text = &clause.clause;
    match (clause.reason, &clause.subject) {
        (Reason::Interval, Some(subject)) => interval(clause, subject, comparison),
        (Reason::NotEnoughReplicates, _) => format!(
            "`{text}` cannot be decided: not enough data. {}",
            comparison
                .warnings
                .first()
                .map_or(String::new(), |warning| warning_words(warning, comparison).1)
        ),
        (Reason::NoExposure, _) => format!(
            "`{text}` cannot be decided: nobody knows what the totals stand for. Say --per run where \
             every recording holds the same work, or --per second where the lengths of the \
             recordings are known."
        ),
        (Reason::NoSuchFunction, _) => format!(
            "`{text}` cannot be decided: no sample of either side has that function. Is the name \
             written as the table shows it?"
        ),
        _ => format!("`{text}` does not hold: no function is large enough for the gate."),
    }
}

fn interval(clause: &ClauseAnswer, subject: &Subject, comparison: &Comparison) -> String {
    let (text, above) = (&clause.clause, clause.clause.above);
    let (low, high) = subject.interval;
    let what = match subject.key {
        None => "the total".to_owned(),
        Some((key, What::Own)) => format!("{} itself", comparison.keys[key.at()].name),
        Some((key, What::Total)) => {
            format!("{} with what it calls", comparison.keys[key.at()].name)
        }
    };
    let of = match clause.clause.quantity {
        Quantity::Total => "of the base",
        Quantity::Function(_) => "of the base's total",
        Quantity::Relative(_) => "of its own cost on the base",
    };
    let range = match low.is_finite() && high.is_finite() {
        true => format!("between {:+.2} % and {:+.2} % {of}", 100.0 * low, 100.0 * high),
        false => "by an amount that these replicates cannot bound".to_owned(),
    };
    match clause.answer {
        Answer::Above => format!(
            "`{text}` holds: {what} changed {range}, all of it above {:.2} %.",
            100.0 * above
        ),
        Answer::Below => format!(
            "`{text}` does not hold: of all that it looks at, {what} comes nearest; it changed \
             {range}, none of it above {:.2} %.",
            100.0 * above
        ),
        Answer::Undecided => format!(
            "`{text}` cannot be decided: {what} changed {range}, and {:.2} % lies within. {}",
            100.0 * above,
            needed((low, high), above, comparison)
        ),
    }
}

/// How many replicates would bring the threshold out of the interval, if the change stays as it is.
fn needed((low, high): (f64, f64), above: f64, comparison: &Comparison) -> String {
    let (middle, margin) = (f64::midpoint(low, high), (high - low) / 2.0);
    let distance = (middle - above).abs();
    let [base, new] = &comparison.sides;
    let now = base.replicates.min(new.replicates).max(1);
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    let wanted = (now as f64 * (margin / distance).powi(2)).ceil();
    if wanted.is_finite() && wanted <= MANY {
        format!(
            "If the change is what it looks like, about {wanted:.0} recordings or hosts a side \
             would decide it; now there are {} and {}.",
            base.replicates, new.replicates
        )
    } else {
        "The change is so near the threshold that no number of replicates that anyone has would \
         decide it: choose another threshold, or --undecided."
            .to_owned()
    }
}
