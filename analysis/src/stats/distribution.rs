//! Student's t, from a library's incomplete beta function; only the corners are ours.

use special::{Beta as _, Error as _};

/// From here on Student's t is the normal distribution to all digits that matter.
const DF_NORMAL: f64 = 1e6;
/// Fewer degrees of freedom than one are taken as one: no test may rest on less.
const DF_MIN: f64 = 1.0;

/// The probability that |T| with `df` degrees of freedom is at least `t`: two-sided.
#[must_use]
pub fn t_tail(t: f64, df: f64) -> f64 {
    if t.is_nan() {
        return 1.0;
    }
    Tail::of(df).beyond(t.abs())
}

/// The tails of one distribution: what depends on its degrees of freedom alone is worked out once.
struct Tail {
    df: f64,
    ln_beta: f64,
}

impl Tail {
    fn of(df: f64) -> Self {
        let df = if df >= DF_NORMAL { df } else { df.max(DF_MIN) };
        let ln_beta = if df >= DF_NORMAL { 0.0 } else { (df * 0.5).ln_beta(0.5) };
        Self { df, ln_beta }
    }

    /// The probability of at least `t`, which is not negative.
    fn beyond(&self, t: f64) -> f64 {
        if self.df >= DF_NORMAL {
            return (t / std::f64::consts::SQRT_2).compl_error().clamp(0.0, 1.0);
        }
        // Abramowitz and Stegun, 26.7.1 with 26.5: the tail is a regularised incomplete beta function.
        let (df, half) = (self.df, 0.5);
        (df / (df + t * t)).inc_beta(df * half, half, self.ln_beta).clamp(0.0, 1.0)
    }
}

/// The t that |T| exceeds with probability `alpha`, which lies between 0 and 1: two-sided. Found by
/// bisection on [`t_tail`], so that the two always agree.
#[must_use]
pub fn t_quantile(alpha: f64, df: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    let tail = Tail::of(df);
    while tail.beyond(high) > alpha && high < 1e300 {
        low = high;
        high *= 2.0;
    }
    for _ in 0..100 {
        let middle = f64::midpoint(low, high);
        // There is no number between the two any more.
        if middle <= low || middle >= high {
            break;
        }
        if tail.beyond(middle) > alpha {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quantiles_are_those_of_the_tables() {
        // Two-sided, from any printed table of Student's t.
        for (alpha, df, wanted) in [
            (0.05, 1.0, 12.706),
            (0.05, 10.0, 2.228),
            (0.01, 5.0, 4.032),
            (0.001, 30.0, 3.646),
            (0.10, 38.0, 1.686),
            (0.05, 1e9, 1.960),
        ] {
            let t = t_quantile(alpha, df);
            assert!((t - wanted).abs() < 6e-4, "{alpha} {df}: {t}");
        }
    }

    proptest! {
        #[test]
        fn tail_and_quantile_are_inverse_far_out(exponent in -10.0f64..-0.1, df in 1.0f64..200.0) {
            let alpha = 10f64.powf(exponent);
            let back = t_tail(t_quantile(alpha, df), df);
            prop_assert!((back / alpha - 1.0).abs() < 1e-6, "{back} {alpha}");
        }

        #[test]
        fn more_degrees_of_freedom_are_a_lower_bar(df in 1.0f64..100.0, alpha in 1e-8f64..0.5) {
            prop_assert!(t_quantile(alpha, df) >= t_quantile(alpha, df * 2.0));
        }
    }
}
