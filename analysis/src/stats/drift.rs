//! Whether what is measured again and again changes as time goes by: machines warm up, throttle, fill
//! their caches. A straight line is fitted to the values in their order, with a level of its own for
//! each side (ordinary least squares; analysis of covariance with one covariate).

use super::distribution::t_tail;

/// Fewer measurements than this show no line.
const MIN_VALUES: usize = 6;

/// A straight line through measurements in their order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Drift {
    /// From the first to the last measurement, relative to their mean.
    pub change: f64,
    /// The probability of so steep a line where nothing drifts.
    pub p: f64,
}

/// The drift of `values`, in the order in which they were measured, each of the side that stands
/// beside it. `None` with fewer than six, or where they are all zero.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "fewer than 2^52 measurements")]
pub fn drift<S: Copy + PartialEq>(values: &[(S, f64)]) -> Option<Drift> {
    let count = values.len();
    let mean = values.iter().map(|(_, value)| value).sum::<f64>() / count.max(1) as f64;
    if count < MIN_VALUES || mean <= 0.0 {
        return None;
    }
    let level = |of: S, column: &dyn Fn(usize) -> f64| {
        let members = || (0..count).filter(|&at| values[at].0 == of);
        members().map(column).sum::<f64>() / members().count() as f64
    };
    let (mut xx, mut xy, mut yy, mut sides) = (0.0, 0.0, 0.0, Vec::new());
    for (at, (side, value)) in values.iter().enumerate() {
        if !sides.contains(side) {
            sides.push(*side);
        }
        let x = at as f64 - level(*side, &|at| at as f64);
        let y = value - level(*side, &|at| values[at].1);
        xx += x * x;
        xy += x * y;
        yy += y * y;
    }
    let df = count as f64 - sides.len() as f64 - 1.0;
    if xx <= 0.0 || df < 1.0 {
        return None;
    }
    let slope = xy / xx;
    let error = ((yy - slope * xy).max(0.0) / df / xx).sqrt();
    let p = if slope == 0.0 { 1.0 } else { t_tail(slope / error, df) };
    Some(Drift { change: slope * (count as f64 - 1.0) / mean, p })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A B B A …, values around 100.
    fn values(count: usize, value: impl Fn(usize) -> f64) -> Vec<(bool, f64)> {
        (0..count).map(|at| (at % 4 == 1 || at % 4 == 2, value(at))).collect()
    }

    #[test]
    fn a_machine_that_slows_down_is_seen() {
        let wobble = |at: usize| [0.3, -0.2, 0.1, -0.4][at % 4];
        let slower = drift(&values(20, |at| 100.0 + at as f64 + wobble(at))).unwrap();
        assert!((slower.change - 19.0 / 109.5).abs() < 0.01 && slower.p < 1e-9, "{slower:?}");
        let steady = drift(&values(20, |at| 100.0 + wobble(at))).unwrap();
        assert!(steady.change.abs() < 0.01 && steady.p > 0.05, "{steady:?}");
    }

    #[test]
    fn sides_that_differ_are_no_drift() {
        let sides = values(20, |at| if at % 4 == 1 || at % 4 == 2 { 200.0 } else { 100.0 });
        assert!(drift(&sides).unwrap().change.abs() < 1e-9);
    }

    #[test]
    fn too_little_shows_nothing() {
        assert_eq!(drift::<bool>(&[]), None);
        assert_eq!(drift(&values(5, |_| 1.0)), None);
        assert_eq!(drift(&values(8, |_| 0.0)), None);
    }

    proptest! {
        #[test]
        fn units_make_no_difference(of in prop::collection::vec(1.0..100.0f64, 6..30)) {
            let one = drift(&values(of.len(), |at| of[at])).unwrap();
            let other = drift(&values(of.len(), |at| of[at] * 1e9)).unwrap();
            prop_assert!((one.change - other.change).abs() < 1e-9);
            prop_assert!((one.p - other.p).abs() < 1e-6);
        }
    }
}
