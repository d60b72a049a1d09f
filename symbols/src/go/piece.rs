//! A piece of a file, whose bounds every read keeps.

use crate::elf::ReadAt;

/// Longest text that is read.
pub(super) const TEXT_BYTES_MAX: usize = 2048;

/// A section's content.
pub(super) struct Piece<'a, R: ?Sized> {
    file: &'a R,
    offset: u64,
    size: u64,
}

impl<'a, R: ReadAt + ?Sized> Piece<'a, R> {
    pub(super) fn new(file: &'a R, offset: u64, size: u64) -> Self {
        Self { file, offset, size }
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// As much as fits into `buffer` and lies within the piece.
    pub(super) fn some<'b>(&self, at: u64, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        let left = usize::try_from(self.size.checked_sub(at)?).unwrap_or(usize::MAX);
        let wanted = buffer.len().min(left);
        let count = self.file.read_at(self.offset.checked_add(at)?, &mut buffer[..wanted]).ok()?;
        Some(&buffer[..count])
    }

    pub(super) fn bytes<const N: usize>(&self, at: u64) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        let count = self.some(at, &mut bytes)?.len();
        (count == N).then_some(bytes)
    }

    pub(super) fn u8(&self, at: u64) -> Option<u8> {
        self.bytes::<1>(at).map(|[byte]| byte)
    }

    pub(super) fn u32(&self, at: u64) -> Option<u32> {
        self.bytes(at).map(u32::from_le_bytes)
    }

    pub(super) fn i32(&self, at: u64) -> Option<i32> {
        self.bytes(at).map(i32::from_le_bytes)
    }

    /// A number of 4 or 8 bytes.
    pub(super) fn number(&self, at: u64, size: u64) -> Option<u64> {
        match size {
            4 => self.u32(at).map(u64::from),
            _ => self.bytes(at).map(u64::from_le_bytes),
        }
    }

    /// The text that ends with a zero byte; `None` for one that is empty, too long or no UTF-8.
    pub(super) fn text(&self, at: u64) -> Option<String> {
        let mut buffer = [0; TEXT_BYTES_MAX];
        let mut length = 64;
        loop {
            let some = self.some(at, &mut buffer[..length])?;
            if let Some(end) = some.iter().position(|&byte| byte == 0) {
                let text = std::str::from_utf8(&some[..end]).ok().filter(|text| !text.is_empty());
                return text.map(ToOwned::to_owned);
            }
            if some.len() < length || length == TEXT_BYTES_MAX {
                return None;
            }
            length = TEXT_BYTES_MAX;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_keep_to_the_piece() {
        let bytes = b"xxab\0cdefghij";
        let piece = Piece::new(&bytes[..], 2, 6);
        assert_eq!(piece.text(0).as_deref(), Some("ab"));
        assert_eq!(piece.text(2), None, "an empty text is none");
        assert_eq!(piece.text(3), None, "it does not end within the piece");
        assert_eq!(piece.u32(2), Some(u32::from_le_bytes(*b"\0cde")));
        assert_eq!((piece.u32(3), piece.u32(6), piece.u32(u64::MAX)), (None, None, None));
    }
}
