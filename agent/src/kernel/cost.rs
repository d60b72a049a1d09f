//! How long samples take in the kernel, as measuring builds tell.

use stoker_ebpf_abi::{COST_BUCKET_SHIFT, COST_BUCKETS};

/// How long samples took in the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CostHistogram {
    buckets: Vec<u64>,
}

impl CostHistogram {
    pub(super) fn new(buckets: Vec<u64>) -> Self {
        Self { buckets }
    }

    /// The samples since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let pairs = self.buckets.iter().zip(&earlier.buckets);
        Self { buckets: pairs.map(|(now, before)| now.saturating_sub(*before)).collect() }
    }

    /// Number of samples.
    #[must_use]
    pub fn samples(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// The duration in nanoseconds that `percent` of the samples stay at or below, to the width of
    /// a bucket (32 ns); `None` where there are no samples, or it lies above what the histogram
    /// tells apart.
    #[must_use]
    pub fn percentile_ns(&self, percent: u32) -> Option<u64> {
        let rank = (self.samples() * u64::from(percent.min(100))).div_ceil(100).max(1);
        let mut seen = 0;
        let bucket = self.buckets.iter().position(|&count| {
            seen += count;
            seen >= rank
        })?;
        let upper = u64::try_from(bucket + 1).ok()?;
        (bucket + 1 < COST_BUCKETS).then_some(upper << COST_BUCKET_SHIFT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(counts: &[(usize, u64)]) -> CostHistogram {
        let mut buckets = vec![0; COST_BUCKETS];
        for &(bucket, count) in counts {
            buckets[bucket] = count;
        }
        CostHistogram { buckets }
    }

    #[test]
    fn percentiles() {
        let histogram = histogram(&[(0, 50), (10, 49), (COST_BUCKETS - 1, 1)]);
        assert_eq!(histogram.samples(), 100);
        assert_eq!(histogram.percentile_ns(50), Some(32));
        assert_eq!(histogram.percentile_ns(51), Some(352));
        assert_eq!(histogram.percentile_ns(99), Some(352));
        assert_eq!(histogram.percentile_ns(100), None);
    }

    #[test]
    fn percentiles_of_nothing() {
        assert_eq!(histogram(&[]).percentile_ns(50), None);
    }
}
