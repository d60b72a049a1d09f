//! The ELF header, the program headers, and bounded reads through them.

use super::layout::{Class, Field, Fields, number, u16_at, u32_at};
use super::{CodeSegment, ElfError, ReadAt, SECTIONS_MAX, SEGMENTS_MAX};

pub(super) const PT_LOAD: u32 = 1;
pub(super) const ET_EXEC: u16 = 2;
const ET_DYN: u16 = 3;
const PF_X: u32 = 1;
const SHT_NOTE: u32 = 7;
const SHF_EXECINSTR: u64 = 4;

pub(super) struct Header {
    pub class: Class,
    pub kind: u16,
    pub machine: u16,
    segments_offset: u64,
    segment_size: u16,
    segment_count: u16,
    sections_offset: u64,
    section_size: u16,
    section_count: u16,
    names_section: u16,
}

impl Header {
    pub(super) fn read<R: ReadAt + ?Sized>(file: &R) -> Result<Self, ElfError> {
        let mut bytes = [0; 64];
        let count = file.read_at(0, &mut bytes)?;
        if count < 4 || bytes[..4] != *b"\x7fELF" {
            return Err(ElfError::NotElf);
        }
        let class = Class::of(bytes[4]).filter(|_| bytes[5] == 1).ok_or(ElfError::Unsupported)?;
        if count < class.header_size() {
            return Err(ElfError::Truncated);
        }
        let field = |field: Field| number(&bytes, field).ok_or(ElfError::Truncated);
        let short = |at: usize| u16_at(&bytes, at).ok_or(ElfError::Truncated);
        let tail = class.header_tail();
        let header = Self {
            class,
            kind: short(16)?,
            machine: short(18)?,
            segments_offset: field(class.segments_offset())?,
            segment_size: short(tail)?,
            segment_count: short(tail + 2)?,
            sections_offset: field(class.sections_offset())?,
            section_size: short(tail + 4)?,
            section_count: short(tail + 6)?,
            names_section: short(tail + 8)?,
        };
        match header.kind {
            ET_EXEC | ET_DYN => Ok(header),
            _ => Err(ElfError::Unsupported),
        }
    }

    pub(super) fn segments<R: ReadAt + ?Sized>(&self, file: &R) -> Result<Vec<Segment>, ElfError> {
        if self.segment_count > SEGMENTS_MAX {
            return Err(ElfError::TooManySegments(self.segment_count));
        }
        // The kernel refuses any other size.
        let size = self.class.segment_size();
        if usize::from(self.segment_size) != size {
            return Err(ElfError::Unsupported);
        }
        let mut bytes = vec![0; size * usize::from(self.segment_count)];
        read_all(file, self.segments_offset, &mut bytes)?;
        let segments = bytes.chunks_exact(size).map(|chunk| Segment::parse(self.class, chunk));
        segments.collect::<Option<_>>().ok_or(ElfError::Truncated)
    }

    /// Where the section headers end in the file; 0 when there are none.
    pub(super) fn sections_end(&self) -> u64 {
        let size = u64::from(self.section_size) * u64::from(self.section_count);
        if size == 0 { 0 } else { self.sections_offset.saturating_add(size) }
    }

    /// The index of the section that holds the names of sections.
    pub(super) fn names_section(&self) -> usize {
        usize::from(self.names_section)
    }

    /// The sections; none when their headers are stripped, damaged or more than [`SECTIONS_MAX`].
    pub(super) fn sections<R: ReadAt + ?Sized>(&self, file: &R) -> Vec<Section> {
        let size = self.class.section_size();
        if usize::from(self.section_size) != size || self.section_count > SECTIONS_MAX {
            return Vec::new();
        }
        let mut bytes = vec![0; size * usize::from(self.section_count)];
        if read_all(file, self.sections_offset, &mut bytes).is_err() {
            return Vec::new();
        }
        bytes.chunks_exact(size).filter_map(|section| self.class.section(section)).collect()
    }
}

/// A section, as its header describes it.
pub(super) struct Section {
    /// Where its name starts among the names.
    pub name: u32,
    pub kind: u32,
    pub flags: u64,
    pub address: u64,
    pub extent: Extent,
}

impl Section {
    pub(super) fn is_note(&self) -> bool {
        self.kind == SHT_NOTE
    }

    pub(super) fn is_code(&self) -> bool {
        self.flags & SHF_EXECINSTR != 0
    }
}

/// A piece of the file.
#[derive(Clone, Copy)]
pub(super) struct Extent {
    pub offset: u64,
    pub size: u64,
    pub align: u64,
}

pub(super) struct Segment {
    pub kind: u32,
    pub flags: u32,
    pub code: CodeSegment,
    pub memory_size: u64,
    pub align: u64,
}

impl Segment {
    fn parse(class: Class, bytes: &[u8]) -> Option<Self> {
        let Fields { flags, offset, address, file_size, memory_size, align } = class.segment();
        Some(Self {
            kind: u32_at(bytes, 0)?,
            flags: u32_at(bytes, flags)?,
            code: CodeSegment {
                file_offset: number(bytes, offset)?,
                file_size: number(bytes, file_size)?,
                address: number(bytes, address)?,
            },
            memory_size: number(bytes, memory_size)?,
            align: number(bytes, align)?,
        })
    }

    pub(super) fn is_code(&self) -> bool {
        self.kind == PT_LOAD && self.flags & PF_X != 0
    }

    pub(super) fn code(&self) -> CodeSegment {
        self.code
    }

    pub(super) fn extent(&self) -> Extent {
        let CodeSegment { file_offset: offset, file_size: size, .. } = self.code;
        Extent { offset, size, align: self.align }
    }
}

fn read_all<R: ReadAt + ?Sized>(file: &R, at: u64, buffer: &mut [u8]) -> Result<(), ElfError> {
    let count = file.read_at(at, buffer)?;
    if count == buffer.len() { Ok(()) } else { Err(ElfError::Truncated) }
}

/// As much of a piece of the file as `limit` allows, and as there is.
pub(super) fn read_some<R: ReadAt + ?Sized>(
    file: &R,
    extent: Extent,
    limit: u64,
) -> Result<Vec<u8>, ElfError> {
    let size = extent.size.min(limit);
    let mut bytes = vec![0; usize::try_from(size).map_err(|_| ElfError::Truncated)?];
    let count = file.read_at(extent.offset, &mut bytes)?;
    bytes.truncate(count);
    Ok(bytes)
}
