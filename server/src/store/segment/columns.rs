//! Columns of small numbers: variable-length integers, each column compressed by itself, so that
//! every column has its own statistics.

use std::io;

/// Columns on their way into a block.
#[derive(Debug, Default)]
pub struct ColumnWriter {
    bytes: Vec<u8>,
    raw: u64,
}

impl ColumnWriter {
    /// Adds a column.
    ///
    /// # Errors
    /// When compression fails for want of memory.
    pub fn push(&mut self, column: &[u8], level: i32) -> io::Result<()> {
        let packed = zstd::bulk::compress(column, level)?;
        let stored = if packed.len() < column.len() { &packed[..] } else { column };
        put(&mut self.bytes, column.len() as u64);
        put(&mut self.bytes, stored.len() as u64);
        self.bytes.extend_from_slice(stored);
        self.raw += column.len() as u64;
        Ok(())
    }

    /// The block, and how many bytes its columns have when decompressed.
    pub fn finish(self) -> (Vec<u8>, u64) {
        (self.bytes, self.raw)
    }
}

/// Takes a block apart into at most `N` columns of at most `limit` bytes together; columns that are
/// not there are empty. Nothing where the block contradicts itself.
pub fn columns<const N: usize>(block: &[u8], limit: u64) -> Option<[Vec<u8>; N]> {
    columns_but(block, limit, N)
}

/// As [`columns`], with nothing in the place of one that is not wanted.
pub fn columns_but<const N: usize>(
    block: &[u8],
    limit: u64,
    unwanted: usize,
) -> Option<[Vec<u8>; N]> {
    let mut reader = Reader::new(block);
    let mut all: [Vec<u8>; N] = std::array::from_fn(|_| Vec::new());
    let mut total = 0u64;
    for (at, column) in all.iter_mut().enumerate() {
        if reader.is_at_end() {
            break;
        }
        let (raw, stored) = (reader.get()?, reader.get()?);
        total = total.checked_add(raw).filter(|total| *total <= limit)?;
        let bytes = reader.bytes(usize::try_from(stored).ok()?)?;
        let raw = usize::try_from(raw).ok()?;
        if at == unwanted {
            continue;
        }
        *column = if bytes.len() == raw {
            bytes.to_vec()
        } else {
            zstd::bulk::decompress(bytes, raw).ok().filter(|column| column.len() == raw)?
        };
    }
    reader.is_at_end().then_some(all)
}

/// Appends a number, seven bits to a byte, low ones first.
pub fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

/// Numbers of either sign as small numbers.
pub const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

/// The reverse.
pub const fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

/// Reads numbers.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// From the start of a column.
    pub const fn new(column: &'a [u8]) -> Self {
        Self { rest: column }
    }

    /// Whether there is no more.
    pub const fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// How many bytes there are: at least as many as numbers.
    pub const fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// The next number, unless the column is over or it has more than 64 bits.
    #[inline]
    pub fn get(&mut self) -> Option<u64> {
        let (&first, rest) = self.rest.split_first()?;
        if first < 0x80 {
            self.rest = rest;
            return Some(first.into());
        }
        self.long()
    }

    /// As [`Self::get`], of 32 bits.
    #[inline]
    pub fn get32(&mut self) -> Option<u32> {
        self.get()?.try_into().ok()
    }

    fn long(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for (at, byte) in self.rest.iter().take(10).enumerate() {
            let bits = u64::from(byte & 0x7f);
            if at == 9 && bits > 1 {
                return None;
            }
            value |= bits << (7 * at);
            if byte & 0x80 == 0 {
                self.rest = &self.rest[at + 1..];
                return Some(value);
            }
        }
        None
    }

    /// The sum of the next `count` numbers where each is one byte; nothing, and nothing is taken,
    /// where one is not or there are not so many.
    #[inline]
    pub fn sum_small(&mut self, count: usize) -> Option<u64> {
        let (bytes, rest) = self.rest.split_at_checked(count)?;
        let (mut sum, mut any) = (0u64, 0u8);
        // Sums of a few bytes at a time fit into 16 bits, which is what a processor adds at once.
        for some in bytes.chunks(256) {
            let mut part = 0u16;
            for &byte in some {
                part += u16::from(byte & 0x7f);
                any |= byte;
            }
            sum += u64::from(part);
        }
        if any >= 0x80 {
            return None;
        }
        self.rest = rest;
        Some(sum)
    }

    /// The next bytes as they are.
    pub fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_back() {
        let all = [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX - 1, u64::MAX];
        let mut bytes = Vec::new();
        all.iter().for_each(|value| put(&mut bytes, *value));
        let mut reader = Reader::new(&bytes);
        for value in all {
            assert_eq!(reader.get(), Some(value));
            assert_eq!(unzigzag(zigzag(value.cast_signed())), value.cast_signed());
        }
        assert!(reader.is_at_end());
        assert_eq!(reader.get(), None);
        assert_eq!(Reader::new(&[0xff; 10]).get(), None, "more than 64 bits");
        assert_eq!(Reader::new(&[0x80]).get(), None, "cut short");
    }

    #[test]
    fn columns_are_taken_apart_or_refused() {
        let mut writer = ColumnWriter::default();
        writer.push(&[7; 1000], 3).unwrap();
        writer.push(b"ab", 3).unwrap();
        let (block, raw) = writer.finish();
        assert_eq!(raw, 1002);
        let [first, second, third] = columns::<3>(&block, raw).unwrap();
        assert_eq!((first.len(), &*second, &*third), (1000, &b"ab"[..], &b""[..]));
        assert!(columns::<3>(&block, raw - 1).is_none(), "more than the limit");
        assert!(columns::<1>(&block, raw).is_none(), "a column too many");
        for length in 1..block.len() {
            let _ = columns::<3>(&block[..length], raw);
        }
    }
}
