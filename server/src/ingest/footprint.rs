//! What the dictionaries of all streams take of memory, held to a bound: a stream that would grow past
//! it ends, and begins again with what is still in use.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The share of all streams.
#[derive(Debug, Default)]
pub(super) struct Shares {
    held: AtomicU64,
    streams: AtomicU64,
}

/// What one stream takes; given back when it ends.
#[derive(Debug)]
pub(super) struct Share {
    of: Arc<Shares>,
    bytes: u64,
}

impl Shares {
    /// Bytes of all streams.
    pub(super) fn bytes(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }
}

impl Share {
    pub(super) fn new(of: &Arc<Shares>) -> Self {
        of.streams.fetch_add(1, Ordering::Relaxed);
        Self { of: Arc::clone(of), bytes: 0 }
    }

    /// The stream takes so many bytes now. False where all together take more than `max` and this one
    /// no less than the others.
    pub(super) fn fits(&mut self, bytes: u64, max: u64) -> bool {
        self.of.held.fetch_add(bytes, Ordering::Relaxed);
        let before = self.of.held.fetch_sub(self.bytes, Ordering::Relaxed);
        let all = before.saturating_sub(self.bytes);
        self.bytes = bytes;
        let streams = self.of.streams.load(Ordering::Relaxed).max(1);
        all <= max || bytes < all / streams
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.of.held.fetch_sub(self.bytes, Ordering::Relaxed);
        self.of.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn past_the_bound_the_large_ones_go() {
        let shares = Arc::<Shares>::default();
        let (mut large, mut small) = (Share::new(&shares), Share::new(&shares));
        assert!(large.fits(60, 100) && small.fits(30, 100));
        assert!(small.fits(39, 100) && shares.bytes() == 99);
        assert!(small.fits(41, 100), "it has less than the other");
        assert!(!large.fits(61, 100));
        drop(large);
        assert!(small.fits(90, 100));
        drop(small);
        assert_eq!(shares.bytes(), 0);
    }
}
