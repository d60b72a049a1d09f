//! How far a sum over a fleet can be trusted, told from its replicates.

use crate::stats::ratio;

/// The standard error of Σx/Σn over replicates (hosts, or groups of hosts), relative to it: `x` is
/// what each used, `n` how long it was observed. It covers that hosts differ and that samples are few,
/// as the fleet at hand shows them; nothing where fewer than two replicates were observed or nothing
/// was used. The estimator is that of [`ratio`].
#[must_use]
pub fn relative_error(x: &[f64], n: &[f64]) -> Option<f64> {
    let observed: Vec<usize> = (0..n.len()).filter(|&at| n[at] > 0.0).collect();
    let ratio = ratio(x, n, &observed);
    let error = ratio.variance.sqrt() / ratio.value;
    error.is_finite().then_some(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_replicates_have_no_error_and_one_has_none_to_tell() {
        assert_eq!(relative_error(&[2.0, 4.0], &[1.0, 2.0]), Some(0.0));
        assert_eq!(relative_error(&[2.0], &[1.0]), None);
        assert_eq!(relative_error(&[2.0, 0.0], &[1.0, 0.0]), None);
        assert_eq!(relative_error(&[0.0, 0.0], &[1.0, 1.0]), None);
    }

    #[test]
    fn it_is_the_spread_of_replicates_over_their_number() {
        // Mean 2, standard deviation 1.1547, four replicates.
        let error = relative_error(&[1.0, 3.0, 1.0, 3.0], &[1.0; 4]).unwrap();
        assert!((error - (4.0f64 / 3.0 / 4.0).sqrt() / 2.0).abs() < 1e-12, "{error}");
    }
}
