//! What identity needs from an ELF file, and no more: build id, executable segments, SONAME.
//!
//! A process can map any file it likes, so this reader takes a few small, bounded pieces through
//! [`ReadAt`] and never maps the file (a mapping of a file that somebody truncates kills the
//! reader). Written by the System V ABI (ELF header, program header, note and dynamic sections) and
//! elf(5).

mod build_id;
mod debug_link;
mod dynamic;
mod header;
mod layout;
mod sections;

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use smallvec::SmallVec;
use stoker_dag::BuildId;

pub use self::build_id::build_ids;
pub use self::debug_link::DebugLink;
use self::dynamic::Dynamic;
use self::header::{ET_EXEC, Header, Section, Segment};
pub use self::sections::{Inventory, NamedSection, named_sections};

/// Most program headers of one file.
pub const SEGMENTS_MAX: u16 = 512;
/// Most section headers of one file that are searched for notes.
pub const SECTIONS_MAX: u16 = 4096;
/// Most bytes of code that a content hash covers.
pub const CONTENT_HASH_BYTES_MAX: u64 = 64 * 1024 * 1024;

const PT_INTERP: u32 = 3;
/// Pages are at least this large; the kernel maps segments in whole pages.
const PAGE: u64 = 4096;

/// Something that is read by offset.
pub trait ReadAt {
    /// Fills `buffer` from `offset` on; a shorter count means that the end was reached.
    ///
    /// # Errors
    /// When reading fails.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
}

impl ReadAt for [u8] {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(self.len());
        let count = buffer.len().min(self.len() - start);
        buffer[..count].copy_from_slice(&self[start..start + count]);
        Ok(count)
    }
}

impl ReadAt for File {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            let at = offset.saturating_add(filled as u64);
            match FileExt::read_at(self, &mut buffer[filled..], at) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }
}

/// Why a file has no identity.
#[derive(Debug, thiserror::Error)]
pub enum ElfError {
    /// Not ELF at all.
    #[error("not an ELF file")]
    NotElf,
    /// Big endian, or a type that nothing executes.
    #[error("an ELF file of a kind that cannot run here")]
    Unsupported,
    /// A part lies beyond the end.
    #[error("the ELF file is truncated")]
    Truncated,
    /// More program headers than [`SEGMENTS_MAX`].
    #[error("the ELF file has {0} program headers")]
    TooManySegments(u16),
    /// A section that is larger than what is read of such a section.
    #[error("the section {section} of the ELF file has {size} bytes")]
    TooLarge {
        /// Its name.
        section: String,
        /// Its size in bytes.
        size: u64,
    },
    /// No executable segment.
    #[error("the ELF file has no executable segment")]
    NoCode,
    /// Reading failed.
    #[error("cannot read the ELF file: {0}")]
    Read(#[from] io::Error),
}

/// A piece of the file that is loaded as code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeSegment {
    /// Where it starts in the file.
    pub file_offset: u64,
    /// How long it is there.
    pub file_size: u64,
    /// The virtual address, as the file counts, of its start.
    pub address: u64,
}

/// What a file says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ElfInfo {
    /// Its build id: the GNU note, else Go's, else a hash of its content.
    pub build_id: BuildId,
    /// Its executable segments.
    pub code: SmallVec<[CodeSegment; 1]>,
    /// The name that a library gives itself.
    pub soname: Option<String>,
    /// Whether it is a program rather than a library.
    pub main_executable: bool,
}

impl ElfInfo {
    /// Reads `file`.
    ///
    /// # Errors
    /// When it is no ELF file that can run here, or breaks a bound.
    pub fn read<R: ReadAt + ?Sized>(file: &R) -> Result<Self, ElfError> {
        let header = Header::read(file)?;
        let segments = header.segments(file)?;
        let code: SmallVec<[CodeSegment; 1]> =
            segments.iter().filter(|s| s.is_code()).map(Segment::code).collect();
        if code.is_empty() {
            return Err(ElfError::NoCode);
        }
        let build_id = build_id::build_id(file, &header, &segments)?;
        let dynamic = Dynamic::read(file, header.class, &segments)?;
        let has_interpreter = segments.iter().any(|s| s.kind == PT_INTERP);
        let main_executable = header.kind == ET_EXEC
            || dynamic.is_pie
            || (has_interpreter && dynamic.soname.is_none());
        Ok(Self { build_id, code, soname: dynamic.soname, main_executable })
    }

    /// See [`virtual_offset`].
    #[must_use]
    pub fn virtual_offset(&self, file_offset: u64) -> Option<u64> {
        virtual_offset(&self.code, file_offset)
    }
}

/// The address ranges of the file's sections of code; none without section headers.
#[must_use]
pub fn code_sections<R: ReadAt + ?Sized>(file: &R) -> Vec<Range<u64>> {
    let Ok(header) = Header::read(file) else { return Vec::new() };
    let sections = header.sections(file).into_iter().filter(Section::is_code);
    sections.map(|s| s.address..s.address.saturating_add(s.extent.size)).collect()
}

/// The virtual offset, as the program headers count, of the code at `file_offset`.
///
/// It comes from the executable segment that holds the offset and not from the first segment:
/// linkers may place them with different biases. Mappings are of whole pages, so an offset just
/// outside a segment belongs to it when it lies on its first or last page.
#[must_use]
pub fn virtual_offset(code: &[CodeSegment], file_offset: u64) -> Option<u64> {
    let within = |s: &&CodeSegment| file_offset.wrapping_sub(s.file_offset) < s.file_size;
    let on_pages = |s: &&CodeSegment| {
        let first = s.file_offset & !(PAGE - 1);
        let end = s.file_offset.saturating_add(s.file_size).checked_next_multiple_of(PAGE);
        first <= file_offset && end.is_none_or(|end| file_offset < end)
    };
    let segment = code.iter().find(within).or_else(|| code.iter().find(on_pages))?;
    Some(file_offset.wrapping_sub(segment.file_offset).wrapping_add(segment.address))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A 32-bit program of one executable segment with a GNU note, byte by byte.
    fn small_program() -> Vec<u8> {
        let mut bytes = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
        let words = |bytes: &mut Vec<u8>, words: &[u32]| {
            words.iter().for_each(|word| bytes.extend_from_slice(&word.to_le_bytes()));
        };
        // Type and machine; version, entry, program headers at 52, no sections, flags; sizes.
        words(&mut bytes, &[0x0003_0002, 1, 0, 52, 0, 0]);
        words(&mut bytes, &[32 << 16 | 52, 2, 0]);
        words(&mut bytes, &[1, 0, 0x0804_8000, 0, 256, 256, 5, 4096]);
        words(&mut bytes, &[4, 116, 0x0804_8074, 0, 20, 20, 4, 4]);
        words(&mut bytes, &[4, 4, 3, u32::from_le_bytes(*b"GNU\0"), 0x4433_2211]);
        bytes
    }

    #[test]
    fn programs_of_32_bits_are_read() {
        let info = ElfInfo::read(&*small_program()).expect("is sound");
        assert_eq!(info.build_id.to_string(), "11223344");
        assert!(info.main_executable);
        assert_eq!(info.virtual_offset(0x20), Some(0x0804_8020));
        assert_eq!(code_sections(&*small_program()), []);
    }

    #[test]
    fn absurd_headers_are_refused() {
        let with = |at: usize, value: u16| {
            let mut bytes = small_program();
            bytes[at..at + 2].copy_from_slice(&value.to_le_bytes());
            ElfInfo::read(&*bytes).expect_err("is absurd").to_string()
        };
        assert_eq!(with(44, 513), "the ELF file has 513 program headers");
        assert_eq!(with(42, 33), "an ELF file of a kind that cannot run here");
        assert_eq!(with(16, 1), "an ELF file of a kind that cannot run here");
        assert_eq!(with(44, 100), "the ELF file is truncated");
        assert_eq!(with(52, 9), "the ELF file has no executable segment");
        assert_eq!(with(0, 0), "not an ELF file");
    }

    #[test]
    fn offsets_come_from_the_segment_that_holds_them() {
        // As lld lays out a file: each segment has a bias of its own.
        let code = [
            CodeSegment { file_offset: 0x1040, file_size: 0x500, address: 0x2040 },
            CodeSegment { file_offset: 0x1540, file_size: 0x200, address: 0x4540 },
        ];
        for (file_offset, wanted) in [
            (0x1040, Some(0x2040)),
            (0x153f, Some(0x253f)),
            (0x1540, Some(0x4540)),
            (0x1000, Some(0x2000)),
            (0x1fff, Some(0x2fff)),
            (0x0fff, None),
            (0x2000, None),
        ] {
            assert_eq!(virtual_offset(&code, file_offset), wanted, "{file_offset:#x}");
        }
    }
}
