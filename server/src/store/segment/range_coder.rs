//! An adaptive binary range coder: decisions become bytes, each at the cost of how unlikely it was.
//!
//! The arithmetic is that of G. N. N. Martin, "Range encoding" (Video and Data Recording, 1979), with
//! the carry kept back as LZMA's does (I. Pavlov, LZMA specification, section "range coder"). How likely
//! a decision is, each [`Odds`] learns from those that came before: fast at first, then slowly.

/// How likely a yes is, in 1/65536, and how much that rests on.
#[derive(Debug, Clone, Copy)]
pub struct Odds {
    yes: u16,
    seen: u8,
}

/// After so many decisions odds learn no more slowly than before.
const MOST_SEEN: u8 = 31;
/// How far odds move for a decision, in 1/65536 of the distance, by how many came before.
const RATES: [u16; MOST_SEEN as usize + 1] = {
    let mut rates = [0; 32];
    let mut seen = 0;
    while seen < rates.len() {
        // The k-th decision is one of k and a half, at a half each to begin with.
        #[expect(clippy::cast_possible_truncation, reason = "at most 65536 * 10 / 16")]
        let rate = (655_360 / (10 * seen + 16)) as u16;
        rates[seen] = rate;
        seen += 1;
    }
    rates
};
/// No decision is taken for more certain than this, in 1/65536: else one that is wrong costs too much.
const LEAST: i64 = 512;
/// The least that a decision costs is log2(65536 / (65536 - 512)) bits, so a byte holds fewer than this.
pub const MOST_DECISIONS_PER_BYTE: u64 = 712;

impl Odds {
    /// Odds that nothing is known about, but for a first guess in percent.
    pub const fn percent(yes: u16) -> Self {
        Self { yes: yes * 655, seen: 0 }
    }

    /// Whether they have been used.
    pub const fn is_fresh(self) -> bool {
        self.seen == 0
    }

    /// The same, as if it rested on one decision.
    pub const fn once(self) -> Self {
        Self { yes: self.yes, seen: 1 }
    }

    #[inline]
    fn learn(&mut self, yes: bool) {
        let target = if yes { 65_536 } else { 0 };
        let held = i64::from(self.yes);
        let step = (target - held) * i64::from(RATES[usize::from(self.seen)]) / 65_536;
        let moved = (held + step).clamp(LEAST, 65_536 - LEAST);
        self.yes = u16::try_from(moved).unwrap_or(u16::MAX);
        self.seen = (self.seen + 1).min(MOST_SEEN);
    }
}

/// Below this the range is made larger again by a byte.
const TOP: u32 = 1 << 24;

/// A coder of decisions, in either direction: the same program with one of each writes and reads.
pub trait Coder {
    /// A decision: the one that is given where it is written, the one that was written where it is read.
    fn decide(&mut self, odds: &mut Odds, yes: bool) -> bool;

    /// A bit that may be either.
    fn bit(&mut self, yes: bool) -> bool;
}

/// Writes.
#[derive(Debug)]
pub struct RangeEncoder {
    bytes: Vec<u8>,
    low: u64,
    range: u32,
    /// The last byte, which a carry may still raise, and how many 0xff follow that it would go through.
    held: Option<u8>,
    full: u64,
}

impl Default for RangeEncoder {
    fn default() -> Self {
        Self { bytes: Vec::new(), low: 0, range: u32::MAX, held: None, full: 0 }
    }
}

impl RangeEncoder {
    fn shift(&mut self) {
        let top = self.low >> 24;
        if top == 0xff {
            self.full += 1;
        } else {
            let carry = u8::from(top > 0xff);
            self.bytes.extend(self.held.map(|held| held.wrapping_add(carry)));
            let through = 0xff_u8.wrapping_add(carry);
            (0..std::mem::take(&mut self.full)).for_each(|_| self.bytes.push(through));
            self.held = Some(top.to_le_bytes()[0]);
        }
        self.low = (self.low & 0x00ff_ffff) << 8;
    }

    fn grow(&mut self) {
        while self.range < TOP {
            self.range <<= 8;
            self.shift();
        }
    }

    /// The bytes.
    pub fn finish(mut self) -> Vec<u8> {
        // Four bytes of what is left, and the one that is held back.
        (0..5).for_each(|_| self.shift());
        self.bytes
    }
}

impl Coder for RangeEncoder {
    #[inline]
    fn decide(&mut self, odds: &mut Odds, yes: bool) -> bool {
        let bound = (self.range >> 16) * u32::from(odds.yes);
        if yes {
            self.range = bound;
        } else {
            self.low += u64::from(bound);
            self.range -= bound;
        }
        odds.learn(yes);
        self.grow();
        yes
    }

    fn bit(&mut self, yes: bool) -> bool {
        self.range >>= 1;
        if yes {
            self.low += u64::from(self.range);
        }
        self.grow();
        yes
    }
}

/// Reads. Behind the end it reads zeros and says so.
#[derive(Debug)]
pub struct RangeDecoder<'a> {
    rest: &'a [u8],
    code: u32,
    range: u32,
    is_over: bool,
}

impl<'a> RangeDecoder<'a> {
    /// From the start.
    pub fn new(bytes: &'a [u8]) -> Self {
        let mut decoder = Self { rest: bytes, code: 0, range: u32::MAX, is_over: false };
        (0..4).for_each(|_| decoder.next());
        decoder
    }

    fn next(&mut self) {
        let byte = self.rest.split_off_first();
        self.is_over |= byte.is_none();
        self.code = self.code << 8 | u32::from(byte.copied().unwrap_or(0));
    }

    fn grow(&mut self) {
        while self.range < TOP {
            self.range <<= 8;
            self.next();
        }
    }

    /// Whether more was read than there is.
    pub const fn is_over(&self) -> bool {
        self.is_over
    }

    /// Whether all that there is was read, and no more.
    pub const fn is_at_end(&self) -> bool {
        self.rest.is_empty() && !self.is_over
    }
}

impl Coder for RangeDecoder<'_> {
    #[inline]
    fn decide(&mut self, odds: &mut Odds, _: bool) -> bool {
        let bound = (self.range >> 16) * u32::from(odds.yes);
        let yes = self.code < bound;
        if yes {
            self.range = bound;
        } else {
            self.code -= bound;
            self.range -= bound;
        }
        odds.learn(yes);
        self.grow();
        yes
    }

    fn bit(&mut self, _: bool) -> bool {
        self.range >>= 1;
        let yes = self.code >= self.range;
        if yes {
            self.code -= self.range;
        }
        self.grow();
        yes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn decisions_are_read_back(
            decisions in prop::collection::vec((0..4usize, any::<bool>()), 0..2000),
        ) {
            let mut odds = [1, 20, 50, 99].map(Odds::percent);
            let mut encoder = RangeEncoder::default();
            for &(of, yes) in &decisions {
                if of == 0 { encoder.bit(yes) } else { encoder.decide(&mut odds[of], yes) };
            }
            let bytes = encoder.finish();
            let mut odds = [1, 20, 50, 99].map(Odds::percent);
            let mut decoder = RangeDecoder::new(&bytes);
            for &(of, yes) in &decisions {
                let read =
                    if of == 0 { decoder.bit(false) } else { decoder.decide(&mut odds[of], false) };
                prop_assert_eq!(read, yes);
            }
            prop_assert!(decoder.is_at_end());
        }
    }

    #[test]
    fn what_is_always_so_costs_next_to_nothing_and_less_than_the_least_never() {
        let mut encoder = RangeEncoder::default();
        let mut odds = Odds::percent(50);
        let decisions = 1_000_000;
        (0..decisions).for_each(|_| {
            encoder.decide(&mut odds, true);
        });
        let bytes = encoder.finish().len() as u64;
        assert!(bytes < decisions / 600, "{bytes}");
        assert!(decisions < bytes * MOST_DECISIONS_PER_BYTE, "{bytes}");
    }

    #[test]
    fn what_was_cut_off_is_noticed() {
        let mut encoder = RangeEncoder::default();
        (0..100).for_each(|at| {
            encoder.bit(at % 3 == 0);
        });
        let bytes = encoder.finish();
        let mut decoder = RangeDecoder::new(&bytes[..bytes.len() - 1]);
        (0..100).for_each(|_| {
            decoder.bit(false);
        });
        assert!(decoder.is_over());
    }
}
