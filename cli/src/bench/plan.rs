//! In which order commands run, and when what they gave is looked at.

use stoker_analysis::compare::Side;
use stoker_server::query::diff::DiffOptions;

/// With fewer pairs, runs are compared as if they had no order: exchanges within so few pairs rule
/// nothing out.
const MIN_PAIRS: usize = 8;
/// A look at half of the runs needs so many pairs to be able to decide with its part of the error
/// rate.
const MIN_HALF: usize = 10;

/// When what is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    /// Runs of each command.
    pub(super) pairs: usize,
    /// After so many pairs it is looked whether it is decided; the last is all of them.
    pub(super) looks: Vec<usize>,
}

impl Plan {
    /// Only a gate can be decided early.
    pub(super) fn new(pairs: usize, has_gate: bool) -> Self {
        let half = pairs / 2;
        let looks = if has_gate && half >= MIN_HALF { vec![half, pairs] } else { vec![pairs] };
        Self { pairs, looks }
    }

    /// The chance of a false alarm at each look: all together have the usual one (Bonferroni).
    #[expect(clippy::cast_precision_loss, reason = "two looks")]
    pub(super) fn alpha(&self) -> f64 {
        DiffOptions::ALPHA / self.looks.len() as f64
    }

    /// Which command is first in a pair.
    pub(super) const fn order(&self, pair: usize) -> [Side; 2] {
        if pair.is_multiple_of(2) { [Side::Base, Side::New] } else { [Side::New, Side::Base] }
    }

    /// A run's name; those of a side sort in their order.
    pub(super) fn name(&self, side: Side, pair: usize) -> String {
        let side = match side {
            Side::Base => "base",
            Side::New => "new",
        };
        let digits = self.pairs.to_string().len().max(2);
        format!("{side}-{:0digits$}", pair + 1)
    }

    /// Whether the runs of a pair are compared with one another: what slows both down cancels.
    pub(super) const fn is_paired(&self, pairs: usize) -> bool {
        pairs >= MIN_PAIRS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steady_drift_favours_nobody() {
        let plan = Plan::new(20, true);
        let order = (0..plan.pairs).flat_map(|pair| plan.order(pair));
        let mut places = [0usize; 2];
        for (at, side) in order.enumerate() {
            places[usize::from(side == Side::New)] += at;
        }
        assert_eq!(places[0], places[1]);
    }

    #[test]
    fn looks_share_the_error_rate() {
        assert_eq!(Plan::new(20, true).looks, [10, 20]);
        assert!((Plan::new(20, true).alpha() - 0.005).abs() < 1e-12);
        assert_eq!(Plan::new(20, false).looks, [20]);
        assert_eq!(Plan::new(19, true).looks, [19]);
    }

    #[test]
    fn names_sort_as_they_ran() {
        let plan = Plan::new(100, false);
        let names: Vec<_> = (0..100).map(|pair| plan.name(Side::New, pair)).collect();
        assert!(names.is_sorted() && names[0] == "new-001");
    }
}
