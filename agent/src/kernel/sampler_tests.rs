//! The parts of the sampler that need no kernel.
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

#[test]
fn ring_sizes_are_powers_of_two_within_bounds() {
    assert_eq!(ring_bytes(None, 1), 1 << 20);
    assert_eq!(ring_bytes(None, 12), 4 << 20);
    assert_eq!(ring_bytes(None, 4096), 16 << 20);
    assert_eq!(ring_bytes(Some(1), 1), 64 << 10);
    assert_eq!(ring_bytes(Some(3 << 20), 1), 4 << 20);
    assert_eq!(ring_bytes(Some(u32::MAX), 1), 256 << 20);
}
