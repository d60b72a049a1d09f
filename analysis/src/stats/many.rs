//! One error rate for many tests.

/// What each of `tests` may be wrong with, so that all together are with `alpha` at most.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "fewer than 2^52 tests")]
pub fn bonferroni(alpha: f64, tests: usize) -> f64 {
    alpha / tests.max(1) as f64
}

/// The q-value of each p-value: the least false discovery rate at which it would be on the list
/// (Benjamini and Hochberg 1995, step up). For exploring, never for a gate.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "fewer than 2^52 tests")]
pub fn benjamini_hochberg(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[b].total_cmp(&p[a]));
    let mut q = vec![1.0; p.len()];
    let mut least = 1.0f64;
    for (from_worst, &at) in order.iter().enumerate() {
        let rank = p.len() - from_worst;
        least = least.min(p[at] * p.len() as f64 / rank as f64);
        q[at] = least;
    }
    q
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn q_values_step_up() {
        let q = benjamini_hochberg(&[0.01, 0.5, 0.02, 0.03]);
        let wanted = [0.04, 0.5, 0.04, 0.04];
        assert!(q.iter().zip(wanted).all(|(q, w)| (q - w).abs() < 1e-12), "{q:?}");
        assert!(benjamini_hochberg(&[]).is_empty());
    }
}
