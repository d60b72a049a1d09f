//! When names may be made: names can wait, samples cannot.
//!
//! A fresh agent meets every binary of its host for the first time, and reading their debug
//! information takes seconds of CPU once. So naming lives on an allowance that fills at the rate of
//! the budget and holds [`SAVED_SECONDS`] of it: the first rush is paid from savings, and over
//! minutes the whole agent stays within its budget.

/// How many seconds of the budget can be saved.
pub(super) const SAVED_SECONDS: u64 = 300;
/// After a pause names are made again once this part of the savings is back.
const RESUME_AT: i128 = 10;
/// Debt is bounded by this part of the savings, so that one hard file does not silence names for
/// long.
const DEBT_MOST: i128 = 2;

/// Savings of CPU time, in nanoseconds.
#[derive(Debug)]
pub(super) struct NamingAllowance {
    saved_ns: Option<i128>,
    last: Option<(u64, u64)>,
    allowed: bool,
}

impl Default for NamingAllowance {
    fn default() -> Self {
        Self { saved_ns: None, last: None, allowed: true }
    }
}

impl NamingAllowance {
    /// Takes in all CPU time that was used; says whether names may be made.
    pub(super) fn read(&mut self, budget: Option<u64>, now_ns: u64, used_ns: u64) -> bool {
        let Some(per_second) = budget.map(i128::from) else {
            *self = Self::default();
            return true;
        };
        let most = per_second * i128::from(SAVED_SECONDS);
        let (then_ns, before_ns) =
            self.last.replace((now_ns, used_ns)).unwrap_or((now_ns, used_ns));
        let elapsed_ns = i128::from(now_ns.saturating_sub(then_ns));
        let earned = per_second * elapsed_ns / 1_000_000_000;
        let spent = i128::from(used_ns.saturating_sub(before_ns));
        let saved = (self.saved_ns.unwrap_or(most) + earned - spent).clamp(-most / DEBT_MOST, most);
        self.saved_ns = Some(saved);
        self.allowed = if self.allowed { saved > 0 } else { saved >= most / RESUME_AT };
        self.allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const FIVE_PERCENT: Option<u64> = Some(SECOND / 20);

    #[test]
    fn a_rush_is_paid_from_savings_and_the_average_holds() {
        let mut allowance = NamingAllowance::default();
        let (mut used, mut seconds_named) = (0, 0);
        for second in 0..3600 {
            let allowed = allowance.read(FIVE_PERCENT, second * SECOND, used);
            seconds_named += u64::from(allowed);
            used += if allowed { SECOND } else { 0 };
            assert!(second > 10 || allowed, "the first rush goes through");
        }
        let earned = 3600 / 20 + SAVED_SECONDS / 20;
        assert!((earned - 5..=earned + 5).contains(&seconds_named), "{seconds_named}");
    }

    #[test]
    fn without_a_budget_nothing_waits() {
        let mut allowance = NamingAllowance::default();
        assert!((0..100).all(|second| allowance.read(None, second, second * SECOND)));
    }
}
