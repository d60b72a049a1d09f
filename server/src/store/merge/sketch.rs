//! About how many distinct things there are, in 256 bytes, whatever their number: HyperLogLog (P. Flajolet, E.
//! Fusy, O. Gandouet, F. Meunier, "HyperLogLog: the analysis of a near-optimal cardinality estimation algorithm",
//! 2007, figure 3), with its own correction for small numbers. One standard error is 6.5 %.

/// As many as eight bits tell apart.
const PLACES: usize = 256;
/// The paper's constant for so many places: 0.7213 ÷ (1 + 1.079 ÷ 256).
const ALPHA: f64 = 0.718_272_735;

/// A set of which only about the size is known.
#[derive(Debug, Clone)]
pub struct Sketch([u8; PLACES]);

impl Default for Sketch {
    fn default() -> Self {
        Self([0; PLACES])
    }
}

impl Sketch {
    /// Adds a thing by its hash, of which every bit counts. Again and again is as good as once.
    pub fn add(&mut self, hash: u64) {
        let [place, ..] = hash.to_be_bytes();
        // The rest has 56 bits: of none that is set the rank is 57.
        let rank = ((hash << 8) | 0x80).leading_zeros() + 1;
        let held = &mut self.0[usize::from(place)];
        *held = u8::try_from(rank).map_or(u8::MAX, |rank| rank.max(*held));
    }

    /// Adds all things of another.
    pub fn merge(&mut self, other: &Self) {
        for (held, other) in self.0.iter_mut().zip(&other.0) {
            *held = (*held).max(*other);
        }
    }

    /// About how many there are.
    pub fn count(&self) -> u64 {
        let places = 256.0_f64;
        let sum: f64 = self.0.iter().map(|rank| 0.5_f64.powi(i32::from(*rank))).sum();
        let estimate = ALPHA * places * places / sum;
        let empty = self.0.iter().filter(|rank| **rank == 0).count();
        let estimate = match u8::try_from(empty) {
            Ok(empty @ 1..) if estimate <= 2.5 * places => {
                places * (places / f64::from(empty)).ln()
            }
            Ok(_) => estimate,
            Err(_) => 0.0,
        };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most 2^65")]
        let count = estimate.round() as u64;
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::merge::survey::mixed;

    #[test]
    fn about_as_many_as_there_are_are_counted() {
        assert_eq!(Sketch::default().count(), 0);
        for many in [1, 10, 200, 1_000, 50_000, 1_000_000] {
            let (mut all, mut odd) = (Sketch::default(), Sketch::default());
            for n in 0..many {
                let half = if n % 2 == 0 { &mut all } else { &mut odd };
                half.add(mixed(n));
                half.add(mixed(n));
            }
            all.merge(&odd);
            let error = all.count().abs_diff(many);
            assert!(error * 5 <= many, "{many}: {}", all.count());
        }
    }
}
