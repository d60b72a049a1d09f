//! The frame around everything in a log: length, checksum of the payload, checksum of those two.
//!
//! The head has a checksum of its own so that a flipped bit in a length is told from the end of the
//! file, and so that sound records behind a damaged one can be found and named.

/// Bytes before each payload: length, crc32c of the payload, crc32c of the eight bytes before.
pub const HEAD_BYTES: usize = 12;

/// Appends one record.
pub fn write_record(payload: &[u8], out: &mut Vec<u8>) {
    let length = u32::try_from(payload.len()).expect("a record is far below 4 GiB: see MAX_RECORD");
    let mut head = [0; HEAD_BYTES];
    head[..4].copy_from_slice(&length.to_le_bytes());
    head[4..8].copy_from_slice(&crc32c::crc32c(payload).to_le_bytes());
    let check = crc32c::crc32c(&head[..8]);
    head[8..].copy_from_slice(&check.to_le_bytes());
    out.extend_from_slice(&head);
    out.extend_from_slice(payload);
}

/// What stands at a place in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found<'a> {
    /// A sound record.
    Record(&'a [u8]),
    /// The end.
    End,
    /// Something else.
    Unsound,
}

/// What stands at `at`.
pub fn read_record(bytes: &[u8], at: usize) -> Found<'_> {
    let Some(rest) = bytes.get(at..) else { return Found::End };
    if rest.is_empty() {
        return Found::End;
    }
    let Some((head, rest)) = rest.split_at_checked(HEAD_BYTES) else { return Found::Unsound };
    let word = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    if crc32c::crc32c(&head[..8]) != word(8) {
        return Found::Unsound;
    }
    match rest.get(..word(0) as usize) {
        Some(payload) if crc32c::crc32c(payload) == word(4) => Found::Record(payload),
        _ => Found::Unsound,
    }
}

/// Where the next sound record stands at or after `from`. Only for naming what was lost.
pub fn next_sound(bytes: &[u8], from: usize) -> Option<usize> {
    (from..bytes.len()).find(|&at| matches!(read_record(bytes, at), Found::Record(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_back_and_found_behind_damage() {
        let mut log = Vec::new();
        for payload in [&b"one"[..], b"", b"three"] {
            write_record(payload, &mut log);
        }
        let second = HEAD_BYTES + 3;
        assert_eq!(read_record(&log, 0), Found::Record(b"one"));
        assert_eq!(read_record(&log, second), Found::Record(b""));
        assert_eq!(read_record(&log, log.len()), Found::End);
        for at in 0..second {
            let mut damaged = log.clone();
            damaged[at] ^= 4;
            assert_eq!(read_record(&damaged, 0), Found::Unsound, "byte {at}");
            assert_eq!(next_sound(&damaged, 1), Some(second));
        }
        assert_eq!(next_sound(&log[..log.len() - 1], second + 1), None);
    }
}
