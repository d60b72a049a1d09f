//! Two time ranges are not two fleets: what traffic does to all hosts at once is not seen by
//! comparing hosts. The same comparison at the same hours of the days before, when nothing was
//! changed, shows how much ranges differ by themselves.

use super::contrast::Contrast;

/// Fewer say too little about how ranges differ.
pub const MIN_PLACEBOS: usize = 8;
/// Placebos that share a range with their neighbour know less than their number says: the
/// differences of K+1 ranges in a row are worth about two thirds as much as K that share nothing.
const WORTH_OF_CHAINED: f64 = 2.0 / 3.0;

/// What placebo differences of one quantity say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Placebo {
    /// What the hour alone does, on average: it is taken off.
    pub mean: f64,
    /// The variance of one new difference about that.
    pub variance: f64,
    /// Degrees of freedom of the variance.
    pub df: f64,
}

impl Placebo {
    /// What these differences (new minus base on days without a change) say; nothing when they are
    /// fewer than [`MIN_PLACEBOS`]. `is_chained` where one's new range is the next one's base.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a day each")]
    pub fn of(differences: &[f64], is_chained: bool) -> Option<Self> {
        let count = differences.len() as f64;
        if differences.len() < MIN_PLACEBOS {
            return None;
        }
        let mean = differences.iter().sum::<f64>() / count;
        let squares: f64 = differences.iter().map(|d| (d - mean).powi(2)).sum();
        let worth = if is_chained { WORTH_OF_CHAINED } else { 1.0 };
        let variance = squares / (count - 1.0) * (1.0 + 1.0 / count);
        Some(Self { mean, variance, df: (count - 1.0) * worth })
    }

    /// The contrast against what ranges do by themselves. Placebos hold what hosts do too, so the
    /// larger of the two variances counts, not their sum.
    #[must_use]
    pub fn applied_to(&self, contrast: Contrast) -> Contrast {
        let error = self.variance.sqrt().max(contrast.error);
        let df = self.df.min(contrast.df);
        Contrast { base: contrast.base + self.mean, error, df, ..contrast }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_every_day_does_is_no_change() {
        let daily: Vec<f64> = (0..10).map(|day| 0.03 + 0.001 * f64::from(day % 2)).collect();
        let placebo = Placebo::of(&daily, false).unwrap();
        let seen = Contrast { base: 0.20, new: 0.23, error: 0.0001, df: 38.0 };
        assert!(seen.t() > 100.0);
        assert!(placebo.applied_to(seen).t().abs() < 2.0, "{:?}", placebo.applied_to(seen));
        assert_eq!(Placebo::of(&daily[..7], false), None);
    }
}
