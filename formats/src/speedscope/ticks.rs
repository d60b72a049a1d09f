//! From the numbers of a file to whole units.

use super::model::Number;

/// Whole units out of numbers that may have fractions. What rounding takes from one weight it gives
/// to the next, so that sums are right to the unit.
pub(super) struct Ticks {
    factor: u64,
    carried: f64,
}

impl Ticks {
    pub(super) fn new(factor: u64) -> Self {
        Self { factor, carried: 0.0 }
    }

    /// The next weight.
    pub(super) fn add(&mut self, weight: Number) -> Result<u64, &'static str> {
        match weight {
            Number::Whole(_) => self.at(weight),
            Number::Real(value) => {
                let wanted = self.scaled(value)? + self.carried;
                let rounded = wanted.round().max(0.0);
                self.carried = wanted - rounded;
                whole(rounded)
            }
        }
    }

    /// A moment.
    pub(super) fn at(&self, value: Number) -> Result<u64, &'static str> {
        match value {
            Number::Whole(value) => value.checked_mul(self.factor).ok_or("it is above 2^64"),
            Number::Real(value) => whole(self.scaled(value)?.round()),
        }
    }

    fn scaled(&self, value: f64) -> Result<f64, &'static str> {
        if value < 0.0 {
            return Err("it is negative");
        }
        #[expect(clippy::cast_precision_loss, reason = "a power of ten up to 10^9 is exact")]
        Ok(value * self.factor as f64)
    }
}

fn whole(value: f64) -> Result<u64, &'static str> {
    if !(0.0..18_446_744_073_709_551_615.0).contains(&value) {
        return Err("it is negative or above 2^64");
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "just checked")]
    Ok(value as u64)
}
