//! Gzip, bounded: a kilobyte can unfold to a gigabyte, so output is counted while it is made.

use std::borrow::Cow;
use std::io::Read as _;

use flate2::bufread::MultiGzDecoder;

use crate::error::{Place, ReadError};

/// How many bytes are asked for at first; a file that unfolds to more grows step by step.
const FIRST_STEP: usize = 64 << 10;

/// Whether these bytes start as a gzip member does (RFC 1952, section 2.3.1).
#[must_use]
pub fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b])
}

/// The input without its gzip envelope; several members one after the other are one text. What is
/// not gzipped comes back as it is.
///
/// # Errors
/// When the envelope is broken, or holds more than `limit` bytes or a further envelope.
pub fn inflate(bytes: &[u8], limit: usize) -> Result<Cow<'_, [u8]>, ReadError> {
    let too_large = || ReadError::TooLarge {
        what: "bytes after decompression",
        limit,
        place: Place::Byte(limit),
    };
    if !is_gzip(bytes) {
        return if bytes.len() > limit { Err(too_large()) } else { Ok(Cow::Borrowed(bytes)) };
    }
    let mut out = Vec::with_capacity(FIRST_STEP.min(limit));
    let bound = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let mut decoder = MultiGzDecoder::new(bytes);
    let read = decoder.by_ref().take(bound).read_to_end(&mut out);
    if let Err(error) = read {
        let at = bytes.len() - decoder.get_ref().len();
        return Err(ReadError::Gzip { at, after: out.len(), problem: error.to_string() });
    }
    if out.len() > limit {
        return Err(too_large());
    }
    if is_gzip(&out) {
        let hint = "unpack it once (`gunzip`) and try again";
        return Err(ReadError::Refused { what: "a file that is gzipped twice", hint });
    }
    Ok(Cow::Owned(out))
}

/// The first bytes of the input without its envelope, as many as can be had up to `limit`.
#[must_use]
pub fn peek(bytes: &[u8], limit: usize) -> Cow<'_, [u8]> {
    if !is_gzip(bytes) {
        return Cow::Borrowed(&bytes[..bytes.len().min(limit)]);
    }
    let mut out = Vec::new();
    let bound = u64::try_from(limit).unwrap_or(u64::MAX);
    // What is broken is said when the whole is read.
    let _ = MultiGzDecoder::new(bytes).take(bound).read_to_end(&mut out);
    Cow::Owned(out)
}
