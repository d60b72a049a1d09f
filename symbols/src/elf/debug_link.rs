//! `.gnu_debuglink`: the name of the file that holds the debug information, and its CRC-32 (GDB's
//! manual, "Separate Debug Files").

use super::{ElfError, NamedSection, ReadAt};

/// Longest section that is read.
const LINK_BYTES_MAX: u64 = 1024;
/// Longest file name.
const NAME_BYTES_MAX: usize = 255;

/// Where debug information is, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DebugLink {
    /// A file's name, without a folder.
    pub name: String,
    /// The CRC-32 of its content.
    pub crc: u32,
}

impl DebugLink {
    /// The link among `sections` of `file`; `None` where there is none, or one that is no file name.
    ///
    /// # Errors
    /// When reading fails.
    pub fn read<R: ReadAt + ?Sized>(
        file: &R,
        sections: &[NamedSection],
    ) -> Result<Option<Self>, ElfError> {
        let Some(section) = sections.iter().find(|s| s.name == ".gnu_debuglink") else {
            return Ok(None);
        };
        Ok(Self::parse(&section.content(file, LINK_BYTES_MAX)?))
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let end = bytes.iter().position(|&byte| byte == 0)?;
        let name = std::str::from_utf8(&bytes[..end]).ok()?;
        let is_name = !name.is_empty() && name.len() <= NAME_BYTES_MAX && !name.contains('/');
        let crc = bytes.get((end + 1).next_multiple_of(4)..)?.first_chunk()?;
        let link = Self { name: name.to_owned(), crc: u32::from_le_bytes(*crc) };
        (is_name && !matches!(name, "." | "..")).then_some(link)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_a_name_and_a_checksum() {
        let link = |bytes: &[u8]| DebugLink::parse(bytes).map(|link| (link.name, link.crc));
        assert_eq!(link(b"a.debug\0\x01\x02\x03\x04"), Some(("a.debug".into(), 0x0403_0201)));
        assert_eq!(link(b"ab\0\0\x01\0\0\0"), Some(("ab".into(), 1)));
        for wrong in [
            &b""[..],
            b"\0\0\0\0\x01\0\0\0",
            b"no end",
            b"a\0\0\0\x01\0\0",
            b"../etc/shadow\0\0\0\x01\0\0\0",
            b"..\0\0\x01\0\0\0",
            b"\xff\0\0\0\x01\0\0\0",
        ] {
            assert_eq!(link(wrong), None, "{wrong:?}");
        }
    }
}
