//! Images that have done harm, and what is still tried with them.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use super::protocol::Image;

/// Most images that are remembered; the oldest are forgotten and get another chance.
pub(super) const QUARANTINED_MAX: usize = 256;

/// What may be done with an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// Everything.
    Full,
    /// Its debug information may have killed a worker: symbol tables only.
    SymbolsOnly,
    /// Nothing any more.
    None,
}

/// Bounded memory of images that killed or hung a worker.
#[derive(Debug, Default)]
pub(super) struct Quarantine {
    trust: FxHashMap<Image, Trust>,
    order: VecDeque<Image>,
}

impl Quarantine {
    pub(super) fn trust(&self, image: &Image) -> Trust {
        self.trust.get(image).copied().unwrap_or(Trust::Full)
    }

    /// The image is trusted again.
    pub(super) fn forgive(&mut self, image: &Image) {
        if self.trust.remove(image).is_some() {
            self.order.retain(|held| held != image);
        }
    }

    /// The image was being read when a worker died or hung: it is trusted one step less.
    pub(super) fn blame(&mut self, image: &Image) -> Trust {
        let trust = match self.trust(image) {
            Trust::Full => Trust::SymbolsOnly,
            Trust::SymbolsOnly | Trust::None => Trust::None,
        };
        if self.trust.insert(image.clone(), trust).is_none() {
            self.order.push_back(image.clone());
        }
        if self.order.len() > QUARANTINED_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.trust.remove(&oldest);
        }
        trust
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trust_is_lost_in_steps_and_memory_is_bounded() {
        let mut quarantine = Quarantine::default();
        let image = |number: usize| Image::File(format!("{number:04x}"));
        assert_eq!(quarantine.trust(&image(0)), Trust::Full);
        assert_eq!(quarantine.blame(&image(0)), Trust::SymbolsOnly);
        assert_eq!(quarantine.blame(&image(0)), Trust::None);
        assert_eq!(quarantine.trust(&image(1)), Trust::Full);
        for number in 1..=QUARANTINED_MAX {
            quarantine.blame(&image(number));
        }
        assert_eq!(quarantine.trust(&image(0)), Trust::Full);
        assert_eq!(quarantine.trust.len(), QUARANTINED_MAX);
    }
}
