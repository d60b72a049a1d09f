//! Names of links: 64 bits of a hash over what they show, in thirteen characters that can be read
//! aloud and typed.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::about::Selection;
use crate::query::Copied;
use crate::store::{Level, TenantId};

/// Crockford's base 32: no letter that looks like a digit or another letter.
const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// Thirteen digits of five bits hold 64.
const LENGTH: usize = 13;

/// The bits of a segment's id that say its level; a link's own are 0 there.
const LEVEL_BITS: u64 = 3;

/// Names a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// A text that names no link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a link's name has {LENGTH} characters, digits and small letters without i, l, o and u")]
pub struct LinkIdError;

impl LinkId {
    /// The name of a view of some data.
    #[must_use]
    pub fn of(tenant: &TenantId, view: &str, selections: &[Selection], copied: &Copied) -> Self {
        let mut hash = blake3::Hasher::new_derive_key("stoker link 1");
        let text = |hash: &mut blake3::Hasher, text: &str| {
            hash.update(&(text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        };
        text(&mut hash, tenant.as_str());
        text(&mut hash, view);
        for selection in selections {
            text(&mut hash, &selection.query);
            hash.update(&selection.from_ms.to_le_bytes());
            hash.update(&selection.until_ms.to_le_bytes());
        }
        let rows = copied.levels.iter().flat_map(|level| [&level.windows, &level.totals]);
        for held in rows.flatten() {
            text(&mut hash, held.profile_type.as_str());
            hash.update(&held.window.0.to_le_bytes());
            for row in &held.rows {
                hash.update(&row.node.0.to_le_bytes());
                hash.update(&row.value.to_le_bytes());
                hash.update(&row.count.to_le_bytes());
            }
        }
        for (frame, definition) in &copied.definitions {
            hash.update(&frame.0.to_le_bytes());
            for location in definition.locations.iter() {
                text(&mut hash, &location.function);
                text(&mut hash, &location.file);
                hash.update(&location.line.to_le_bytes());
            }
        }
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&hash.finalize().as_bytes()[..8]);
        Self(u64::from_le_bytes(bytes) & !LEVEL_BITS)
    }

    /// The id of its segment of a level.
    #[must_use]
    pub fn segment(self, level: Level) -> u64 {
        (self.0 & !LEVEL_BITS) | u64::from(level.code())
    }

    /// The link that a segment belongs to.
    #[must_use]
    pub fn of_segment(id: u64) -> Self {
        Self(id & !LEVEL_BITS)
    }
}

impl fmt::Display for LinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for at in (0..LENGTH).rev() {
            let digit = (self.0 >> (5 * at)) & 31;
            write!(f, "{}", char::from(DIGITS[usize::try_from(digit).unwrap_or(0)]))?;
        }
        Ok(())
    }
}

impl FromStr for LinkId {
    type Err = LinkIdError;

    fn from_str(text: &str) -> Result<Self, LinkIdError> {
        if text.len() != LENGTH {
            return Err(LinkIdError);
        }
        let mut value = 0u128;
        for byte in text.bytes() {
            let digit = DIGITS.iter().position(|digit| *digit == byte).ok_or(LinkIdError)?;
            value = value << 5 | digit as u128;
        }
        u64::try_from(value).map(Self).map_err(|_| LinkIdError)
    }
}

impl Serialize for LinkId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LinkId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn names_are_read_as_they_are_written(value: u64) {
            let id = LinkId(value);
            let text = id.to_string();
            prop_assert_eq!(text.len(), LENGTH);
            prop_assert_eq!(text.parse::<LinkId>(), Ok(id));
        }

        #[test]
        fn other_texts_are_refused_and_never_panic(text in ".{0,20}") {
            if let Ok(id) = text.parse::<LinkId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }

    #[test]
    fn a_number_beyond_64_bits_is_none() {
        assert_eq!("zzzzzzzzzzzzz".parse::<LinkId>(), Err(LinkIdError));
        assert_eq!("fzzzzzzzzzzzz".parse::<LinkId>(), Ok(LinkId(u64::MAX)));
    }
}
