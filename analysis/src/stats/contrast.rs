//! Ratios of sums over replicates, and the difference of two of them.
//!
//! A share is Σx/Σn over replicates (hosts, groups of hosts, runs). Its variance is that of a ratio
//! estimator over clusters (Cochran, Sampling Techniques, 6.3): what differs between replicates
//! counts, not how many samples each took. Degrees of freedom come from Kish's effective number of
//! clusters (Σn)²/Σn², so that one huge host among small ones does not pass for many.

/// Which replicates stand on which side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Design {
    /// Indices of the base's replicates.
    pub base: Vec<usize>,
    /// Indices of the other side's.
    pub new: Vec<usize>,
    /// The k-th of both sides belong together: the same host, or one run after the other.
    pub is_paired: bool,
}

/// Σx/Σn with its variance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ratio {
    /// The ratio; 0 where there is nothing to divide by.
    pub value: f64,
    /// Its variance; infinite with fewer than two replicates.
    pub variance: f64,
    /// Effective number of replicates.
    pub clusters: f64,
    /// Σn.
    pub weight: f64,
}

/// The difference of two ratios, new minus base.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Contrast {
    /// The ratio of the base.
    pub base: f64,
    /// The ratio of the other side.
    pub new: f64,
    /// Standard error of the difference.
    pub error: f64,
    /// Degrees of freedom of that.
    pub df: f64,
}

impl Contrast {
    /// New minus base.
    #[must_use]
    pub fn change(&self) -> f64 {
        self.new - self.base
    }

    /// The change in standard errors; 0 where nothing is known of the error.
    #[must_use]
    pub fn t(&self) -> f64 {
        statistic(self.change(), self.error)
    }
}

/// `change / error`, where no change is no evidence and an unknown error is none either.
pub(super) fn statistic(change: f64, error: f64) -> f64 {
    if change == 0.0 || !error.is_finite() { 0.0 } else { change / error }
}

/// Kish's effective number of replicates with these weights.
#[must_use]
pub fn effective_clusters(weights: impl Iterator<Item = f64>) -> f64 {
    let (sum, squares) =
        weights.fold((0.0, 0.0), |(sum, squares), w| (sum + w, w.mul_add(w, squares)));
    if squares > 0.0 { sum * sum / squares } else { 0.0 }
}

/// Σx/Σn over the replicates `of`.
#[must_use]
pub fn ratio(x: &[f64], n: &[f64], of: &[usize]) -> Ratio {
    let sum = |column: &[f64]| of.iter().map(|&h| column[h]).sum::<f64>();
    let weight = sum(n);
    let value = if weight > 0.0 { sum(x) / weight } else { 0.0 };
    let squares: f64 = of.iter().map(|&h| (x[h] - value * n[h]).powi(2)).sum();
    let variance = if of.len() < 2 || weight <= 0.0 {
        f64::INFINITY
    } else {
        squares * correction(of.len()) / (weight * weight)
    };
    Ratio { value, variance, clusters: effective_clusters(of.iter().map(|&h| n[h])), weight }
}

/// H/(H-1).
#[expect(clippy::cast_precision_loss, reason = "fewer than 2^52 replicates")]
pub(super) fn correction(replicates: usize) -> f64 {
    replicates as f64 / (replicates as f64 - 1.0)
}

/// The difference where the sides are different replicates. `floor` is the least variance that each
/// side (base, new) can have, from counting samples.
#[must_use]
pub fn unpaired(x: &[f64], n: &[f64], design: &Design, floor: (f64, f64)) -> Contrast {
    let (base, new) = (ratio(x, n, &design.base), ratio(x, n, &design.new));
    let (a, b) = (base.variance.max(floor.0), new.variance.max(floor.1));
    let df = welch((a, base.clusters), (b, new.clusters));
    Contrast { base: base.value, new: new.value, error: (a + b).sqrt(), df }
}

/// Welch's degrees of freedom of a sum of two variances from so many clusters each.
fn welch((a, clusters_a): (f64, f64), (b, clusters_b): (f64, f64)) -> f64 {
    let part = |v: f64, clusters: f64| v * v / (clusters - 1.0).max(1e-3);
    let denominator = part(a, clusters_a) + part(b, clusters_b);
    if (a + b).is_finite() && denominator > 0.0 {
        (a + b) * (a + b) / denominator
    } else {
        (clusters_a.min(clusters_b) - 1.0).max(0.0)
    }
}

/// The difference where both sides are the same replicates: what a replicate has on both sides
/// cancels.
#[must_use]
pub fn paired(x: &[f64], n: &[f64], design: &Design, floor: (f64, f64)) -> Contrast {
    let (base, new) = (ratio(x, n, &design.base), ratio(x, n, &design.new));
    let pairs = design.base.len().min(design.new.len());
    if pairs < 2 || base.weight <= 0.0 || new.weight <= 0.0 {
        return Contrast { base: base.value, new: new.value, error: f64::INFINITY, df: 0.0 };
    }
    let influence = |h: usize, side: &Ratio| (x[h] - side.value * n[h]) / side.weight;
    let both = || design.base.iter().zip(&design.new);
    let squares: f64 =
        both().map(|(&a, &b)| (influence(b, &new) - influence(a, &base)).powi(2)).sum();
    let variance = (squares * correction(pairs)).max(floor.0 + floor.1);
    let clusters =
        effective_clusters(both().map(|(&a, &b)| n[a] / base.weight + n[b] / new.weight));
    Contrast {
        base: base.value,
        new: new.value,
        error: variance.sqrt(),
        df: (clusters - 1.0).max(0.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn design(base: usize, new: usize, is_paired: bool) -> Design {
        Design { base: (0..base).collect(), new: (base..base + new).collect(), is_paired }
    }

    #[test]
    fn equal_weights_give_the_two_sample_t_of_the_textbook() {
        // Means 2 and 5, both sample variances 1, three each: t = 3 / sqrt(2/3), 4 degrees.
        let x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let t = unpaired(&x, &[1.0; 6], &design(3, 3, false), (0.0, 0.0));
        assert!((t.t() - 3.0 / (2.0f64 / 3.0).sqrt()).abs() < 1e-12, "{t:?}");
        assert!((t.df - 4.0).abs() < 1e-12, "{t:?}");
        // Paired the same differ by exactly 3: no error at all but the floor.
        let t = paired(&x, &[1.0; 6], &design(3, 3, true), (0.125, 0.125));
        assert!((t.error - 0.5).abs() < 1e-12 && (t.df - 2.0).abs() < 1e-12, "{t:?}");
    }

    #[test]
    fn one_replicate_a_side_knows_no_error() {
        for is_paired in [false, true] {
            let design = design(1, 1, is_paired);
            let compare = if is_paired { paired } else { unpaired };
            let t = compare(&[1.0, 5.0], &[10.0, 10.0], &design, (0.0, 0.0));
            assert!(t.error.is_infinite() && t.t() == 0.0, "{t:?}");
            assert!((t.change() - 0.4).abs() < 1e-12, "{t:?}");
        }
    }

    #[test]
    fn one_huge_host_is_one_cluster() {
        let one = ratio(&[1.0; 5], &[1e6, 1.0, 1.0, 1.0, 1.0], &[0, 1, 2, 3, 4]);
        assert!(one.clusters < 1.001, "{one:?}");
    }

    proptest! {
        #[test]
        fn units_do_not_matter_and_sides_turn_the_sign(
            values in prop::collection::vec((0.0f64..100.0, 100.0f64..200.0), 8), scale in 0.1f64..1e9,
        ) {
            let (x, n): (Vec<f64>, Vec<f64>) = values.into_iter().unzip();
            let there = design(4, 4, false);
            let back = Design { base: there.new.clone(), new: there.base.clone(), ..there.clone() };
            let scaled: Vec<Vec<f64>> =
                [&x, &n].iter().map(|c| c.iter().map(|v| v * scale).collect()).collect();
            for compare in [unpaired, paired] {
                let one = compare(&x, &n, &there, (0.0, 0.0));
                let other = compare(&scaled[0], &scaled[1], &there, (0.0, 0.0));
                prop_assert!((one.t() - other.t()).abs() < 1e-6 * (1.0 + one.t().abs()));
                let turned = compare(&x, &n, &back, (0.0, 0.0));
                prop_assert!((one.t() + turned.t()).abs() < 1e-6 * (1.0 + one.t().abs()));
            }
        }
    }
}
