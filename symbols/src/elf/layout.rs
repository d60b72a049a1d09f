//! Where the fields of ELF structures lie, for both classes (System V ABI, chapters 4 and 5).

use super::header::{Extent, Section};

/// 32 or 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Bits32,
    Bits64,
}

/// A number of 4 or 8 bytes at an offset.
#[derive(Clone, Copy)]
pub(super) struct Field {
    at: usize,
    wide: bool,
}

/// The fields of a program header; its type comes first in both classes.
pub(super) struct Fields {
    pub flags: usize,
    pub offset: Field,
    pub address: Field,
    pub file_size: Field,
    pub memory_size: Field,
    pub align: Field,
}

impl Class {
    /// By the byte `EI_CLASS`.
    pub(super) fn of(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Bits32),
            2 => Some(Self::Bits64),
            _ => None,
        }
    }

    fn field(self, at: usize) -> Field {
        Field { at, wide: self == Self::Bits64 }
    }

    pub(super) fn header_size(self) -> usize {
        match self {
            Self::Bits32 => 52,
            Self::Bits64 => 64,
        }
    }

    /// `e_phoff`.
    pub(super) fn segments_offset(self) -> Field {
        match self {
            Self::Bits32 => self.field(28),
            Self::Bits64 => self.field(32),
        }
    }

    /// `e_shoff`.
    pub(super) fn sections_offset(self) -> Field {
        match self {
            Self::Bits32 => self.field(32),
            Self::Bits64 => self.field(40),
        }
    }

    pub(super) fn section_size(self) -> usize {
        match self {
            Self::Bits32 => 40,
            Self::Bits64 => 64,
        }
    }

    /// Reads a section header.
    pub(super) fn section(self, bytes: &[u8]) -> Option<Section> {
        let [flags, address, offset, size, align] = match self {
            Self::Bits32 => [8, 12, 16, 20, 32],
            Self::Bits64 => [8, 16, 24, 32, 48],
        };
        let value = |at| number(bytes, self.field(at));
        let extent = Extent { offset: value(offset)?, size: value(size)?, align: value(align)? };
        let (flags, address) = (value(flags)?, value(address)?);
        Some(Section { name: u32_at(bytes, 0)?, kind: u32_at(bytes, 4)?, flags, address, extent })
    }

    /// The offset of `e_phentsize`, which `e_phnum`, `e_shentsize` and `e_shnum` follow.
    pub(super) fn header_tail(self) -> usize {
        match self {
            Self::Bits32 => 42,
            Self::Bits64 => 54,
        }
    }

    pub(super) fn segment_size(self) -> usize {
        match self {
            Self::Bits32 => 32,
            Self::Bits64 => 56,
        }
    }

    pub(super) fn segment(self) -> Fields {
        let [flags, offset, address, file_size, memory_size, align] = match self {
            Self::Bits32 => [24, 4, 8, 16, 20, 28],
            Self::Bits64 => [4, 8, 16, 32, 40, 48],
        };
        Fields {
            flags,
            offset: self.field(offset),
            address: self.field(address),
            file_size: self.field(file_size),
            memory_size: self.field(memory_size),
            align: self.field(align),
        }
    }

    /// The value of the first dynamic entry with this tag, before the closing null entry.
    pub(super) fn dynamic_value(self, bytes: &[u8], tag: u64) -> Option<u64> {
        let word = if self == Self::Bits64 { 8 } else { 4 };
        bytes
            .chunks_exact(2 * word)
            .map(|entry| Some((number(entry, self.field(0))?, number(entry, self.field(word))?)))
            .map_while(|entry| entry.filter(|&(tag, _)| tag != 0))
            .find_map(|(found, value)| (found == tag).then_some(value))
    }
}

/// The little-endian number in a field.
pub(super) fn number(bytes: &[u8], field: Field) -> Option<u64> {
    if field.wide {
        let word = bytes.get(field.at..)?.first_chunk::<8>()?;
        return Some(u64::from_le_bytes(*word));
    }
    u32_at(bytes, field.at).map(u64::from)
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}
