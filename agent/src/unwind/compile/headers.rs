//! The headers of an ELF file (System V ABI, chapters 4 and 5; 64 bits, little endian), and bounded
//! reads through them.

use stoker_symbols::elf::NamedSection;

use super::CompileError;
use super::limits::{SECTION_NAMES_BYTES_MAX, SECTIONS_MAX, SEGMENTS_MAX};
use crate::process::ReadAt;

const HEADER_BYTES: usize = 64;
const SEGMENT_BYTES: usize = 56;
const SECTION_BYTES: usize = 64;
const CLASS_64: u8 = 2;
const LITTLE_ENDIAN: u8 = 1;
const EM_X86_64: u16 = 62;
const ET_EXEC: u16 = 2;
const ET_DYN: u16 = 3;
pub(super) const PT_LOAD: u32 = 1;
const PF_X: u32 = 1;
pub(super) const SHT_NOBITS: u32 = 8;
const SHT_SYMTAB: u32 = 2;
const SHF_EXECINSTR: u64 = 4;
pub(super) const SHF_COMPRESSED: u64 = 0x800;

/// A segment or section: a piece of the file and where it is loaded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent {
    pub kind: u32,
    pub flags: u64,
    pub offset: u64,
    pub address: u64,
    /// Bytes in the file.
    pub size: u64,
    /// Bytes in memory.
    pub memory: u64,
    /// For sections: where in the names its name begins.
    pub name: u32,
}

impl Extent {
    /// A program header.
    fn segment(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            kind: u32_at(bytes, 0)?,
            flags: u64::from(u32_at(bytes, 4)?),
            offset: u64_at(bytes, 8)?,
            address: u64_at(bytes, 16)?,
            size: u64_at(bytes, 32)?,
            memory: u64_at(bytes, 40)?,
            name: 0,
        })
    }

    /// A section header.
    fn section(bytes: &[u8]) -> Option<Self> {
        let size = u64_at(bytes, 32)?;
        Some(Self {
            kind: u32_at(bytes, 4)?,
            flags: u64_at(bytes, 8)?,
            offset: u64_at(bytes, 24)?,
            address: u64_at(bytes, 16)?,
            size,
            memory: size,
            name: u32_at(bytes, 0)?,
        })
    }

    pub(super) fn is_text(&self) -> bool {
        self.kind == PT_LOAD && self.flags & u64::from(PF_X) != 0 && self.memory > 0
    }

    /// A section that has content in the file, as whoever reads Go's function table wants it.
    pub(super) fn named(&self, name: &[u8]) -> NamedSection {
        NamedSection {
            name: String::from_utf8_lossy(name).into_owned(),
            offset: self.offset,
            size: if self.kind == SHT_NOBITS { 0 } else { self.size },
            address: self.address,
            compressed: self.flags & SHF_COMPRESSED != 0,
            is_code: self.flags & SHF_EXECINSTR != 0,
            is_symbol_table: self.kind == SHT_SYMTAB,
        }
    }

    /// What begins at `address` and ends with this segment, but is no longer than `bytes_max`.
    pub(super) fn tail(&self, address: u64, bytes_max: u64) -> Option<Self> {
        let skip = address.checked_sub(self.address).filter(|&skip| skip < self.size)?;
        let offset = self.offset.checked_add(skip)?;
        Some(Self { offset, address, size: (self.size - skip).min(bytes_max), ..*self })
    }
}

pub(super) struct Header {
    pub entry: u64,
    segments_offset: u64,
    segment_size: u16,
    segment_count: u16,
    sections_offset: u64,
    section_size: u16,
    section_count: u16,
    names: u16,
}

impl Header {
    pub(super) fn read<R: ReadAt + ?Sized>(file: &R) -> Result<Self, CompileError> {
        let bytes = read_up_to(file, 0, HEADER_BYTES as u64)?;
        if bytes.get(..4) != Some(b"\x7fELF") {
            return Err(CompileError::NotElf);
        }
        Self::parse(&bytes).ok_or(CompileError::Damaged("the file ends within its header"))?
    }

    fn parse(bytes: &[u8]) -> Option<Result<Self, CompileError>> {
        let (class, order) = (*bytes.get(4)?, *bytes.get(5)?);
        let (kind, machine) = (u16_at(bytes, 16)?, u16_at(bytes, 18)?);
        if (class, order, machine) != (CLASS_64, LITTLE_ENDIAN, EM_X86_64) {
            return Some(Err(CompileError::Machine { machine, class }));
        }
        if kind != ET_EXEC && kind != ET_DYN {
            return Some(Err(CompileError::NotExecutable(kind)));
        }
        Some(Ok(Self {
            entry: u64_at(bytes, 24)?,
            segments_offset: u64_at(bytes, 32)?,
            segment_size: u16_at(bytes, 54)?,
            segment_count: u16_at(bytes, 56)?,
            sections_offset: u64_at(bytes, 40)?,
            section_size: u16_at(bytes, 58)?,
            section_count: u16_at(bytes, 60)?,
            names: u16_at(bytes, 62)?,
        }))
    }

    pub(super) fn segments<R: ReadAt + ?Sized>(
        &self,
        file: &R,
    ) -> Result<Vec<Extent>, CompileError> {
        if self.segment_count > SEGMENTS_MAX {
            return Err(CompileError::TooManySegments(self.segment_count));
        }
        if usize::from(self.segment_size) != SEGMENT_BYTES {
            return Err(CompileError::Damaged("program headers of an unknown size"));
        }
        let size = usize::from(self.segment_count) * SEGMENT_BYTES;
        let bytes = read_up_to(file, self.segments_offset, size as u64)?;
        if bytes.len() < size {
            return Err(CompileError::Damaged("the file ends within the program headers"));
        }
        Ok(bytes.chunks_exact(SEGMENT_BYTES).filter_map(Extent::segment).collect())
    }

    /// Sections with their names; none where the headers are stripped, damaged or too many.
    pub(super) fn sections<R: ReadAt + ?Sized>(&self, file: &R) -> Vec<(Vec<u8>, Extent)> {
        if usize::from(self.section_size) != SECTION_BYTES || self.section_count > SECTIONS_MAX {
            return Vec::new();
        }
        let size = usize::from(self.section_count) * SECTION_BYTES;
        let bytes = read_up_to(file, self.sections_offset, size as u64).unwrap_or_default();
        let sections = bytes.chunks_exact(SECTION_BYTES).filter_map(Extent::section);
        let sections: Vec<_> = sections.collect();
        let names = sections
            .get(usize::from(self.names))
            .filter(|names| names.kind != SHT_NOBITS && names.size <= SECTION_NAMES_BYTES_MAX);
        let names = names.and_then(|names| read_up_to(file, names.offset, names.size).ok());
        let names = names.unwrap_or_default();
        sections.into_iter().map(|section| (name(&names, section.name), section)).collect()
    }
}

/// The longest name that is looked for fits.
const NAME_BYTES_MAX: usize = 32;

fn name(names: &[u8], at: u32) -> Vec<u8> {
    let rest = names.get(at as usize..).unwrap_or_default();
    rest.iter().take(NAME_BYTES_MAX).take_while(|&&byte| byte != 0).copied().collect()
}

/// At most `size` bytes from `offset` on; fewer where the file ends.
pub(super) fn read_up_to<R: ReadAt + ?Sized>(
    file: &R,
    offset: u64,
    size: u64,
) -> Result<Vec<u8>, CompileError> {
    /// Memory is taken as the bytes come, so that a size that only the headers claim costs nothing.
    const CHUNK_BYTES: u64 = 1024 * 1024;
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < size {
        let start = bytes.len();
        let chunk = (size - start as u64).min(CHUNK_BYTES);
        bytes.resize(start + usize::try_from(chunk).unwrap_or_default(), 0);
        let count = file.read_at(offset.saturating_add(start as u64), &mut bytes[start..])?;
        bytes.truncate(start + count);
        if (count as u64) < chunk {
            break;
        }
    }
    Ok(bytes)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}
