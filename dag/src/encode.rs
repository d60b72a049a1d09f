//! The canonical encoding behind every id: domain-separated, length-prefixed, little-endian.
//!
//! The domain is the key of BLAKE3's keyed mode, so that a frame can never collide with a node or a
//! function. This encoding is frozen: `docs/formats.md` describes it and golden vectors hold it.

use std::cell::Cell;

/// What is hashed; each domain has its own key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Domain {
    Frame,
    Node,
    Function,
    Definition,
}

impl Domain {
    const fn key(self) -> &'static [u8; 32] {
        match self {
            Self::Frame => b"stoker frame id, version 1......",
            Self::Node => b"stoker node id, version 1.......",
            Self::Function => b"stoker function id, version 1...",
            Self::Definition => b"stoker definition, version 1....",
        }
    }
}

/// The first 16 bytes of the keyed hash of `bytes`.
pub(crate) fn hash16(domain: Domain, bytes: &[u8]) -> [u8; 16] {
    let hash = blake3::keyed_hash(domain.key(), bytes);
    let mut first = [0; 16];
    first.copy_from_slice(&hash.as_bytes()[..16]);
    first
}

/// Builds the canonical bytes of one value.
#[derive(Debug, Default)]
pub(crate) struct Encoder(Vec<u8>);

thread_local! {
    /// The memory of the last encoder. Millions of frames are hashed one after the other, and each
    /// would allocate for as long as its hash takes.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Larger memory than this is given back: one long name must not hold it for ever.
const MAX_SPARE_BYTES: usize = 4096;

impl Drop for Encoder {
    fn drop(&mut self) {
        let mut spare = std::mem::take(&mut self.0);
        if spare.capacity() <= MAX_SPARE_BYTES {
            spare.clear();
            // A thread that ends has no place for it any more.
            let _ = SPARE.try_with(|held| held.set(spare));
        }
    }
}

impl Encoder {
    pub(crate) fn tagged(tag: u8) -> Self {
        let mut bytes = SPARE.try_with(Cell::take).unwrap_or_default();
        bytes.push(tag);
        Self(bytes)
    }

    pub(crate) fn byte(mut self, value: u8) -> Self {
        self.0.push(value);
        self
    }

    pub(crate) fn number(mut self, value: u64) -> Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    pub(crate) fn bytes(self, value: &[u8]) -> Self {
        let mut next = self.number(value.len() as u64);
        next.0.extend_from_slice(value);
        next
    }

    pub(crate) fn text(self, value: &str) -> Self {
        self.bytes(value.as_bytes())
    }

    pub(crate) fn hash(&self, domain: Domain) -> [u8; 16] {
        hash16(domain, &self.0)
    }
}
