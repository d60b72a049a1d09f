//! What identity needs from an ELF file, and no more: build id, executable segments, SONAME.
//!
//! A process can map any file it likes, so this reader takes a few small, bounded pieces through
//! [`ReadAt`] and never maps the file (a mapping of a file that somebody truncates kills the
//! reader). Only loaded notes count, as for the kernel, so both read the same build id. Written by
//! the System V ABI (ELF header, program header, note and dynamic sections) and elf(5).

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use smallvec::SmallVec;
use stoker_dag::{BuildId, BuildIdKind};

use super::elf_layout::{Class, Field, Fields, number, u16_at, u32_at};

/// Most program headers of one file.
pub const SEGMENTS_MAX: u16 = 512;
/// Most bytes of notes that are searched for a build id.
pub const NOTES_BYTES_MAX: u64 = 64 * 1024;
/// Most bytes of the dynamic section that are searched for a SONAME.
pub const DYNAMIC_BYTES_MAX: u64 = 16 * 1024;
/// Longest SONAME.
pub const SONAME_BYTES_MAX: usize = 255;
/// Most bytes of code that a content hash covers.
pub const CONTENT_HASH_BYTES_MAX: u64 = 64 * 1024 * 1024;

const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;
const PT_NOTE: u32 = 4;
const PF_X: u32 = 1;
const ET_EXEC: u16 = 2;
const ET_DYN: u16 = 3;
const NT_GNU_BUILD_ID: u32 = 3;
const NT_GO_BUILD_ID: u32 = 4;
const DT_STRTAB: u64 = 5;
const DT_SONAME: u64 = 14;
const DT_FLAGS_1: u64 = 0x6fff_fffb;
const DF_1_PIE: u64 = 0x0800_0000;
/// Pages are at least this large; the kernel maps segments in whole pages.
const PAGE: u64 = 4096;
const HASH_CHUNK_BYTES: usize = 64 * 1024;

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
        let build_id = match note_build_id(file, &segments)? {
            Some(build_id) => build_id,
            None => content_build_id(file, &header, &segments)?,
        };
        let dynamic = Dynamic::read(file, header.class, &segments)?;
        let has_interpreter = segments.iter().any(|s| s.kind == PT_INTERP);
        let main_executable = header.kind == ET_EXEC
            || dynamic.flags & DF_1_PIE != 0
            || (has_interpreter && dynamic.soname.is_none());
        Ok(Self { build_id, code, soname: dynamic.soname, main_executable })
    }

    /// See [`virtual_offset`].
    #[must_use]
    pub fn virtual_offset(&self, file_offset: u64) -> Option<u64> {
        virtual_offset(&self.code, file_offset)
    }
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

struct Header {
    class: Class,
    kind: u16,
    machine: u16,
    segments_offset: u64,
    segment_size: u16,
    segment_count: u16,
}

impl Header {
    fn read<R: ReadAt + ?Sized>(file: &R) -> Result<Self, ElfError> {
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
        };
        match header.kind {
            ET_EXEC | ET_DYN => Ok(header),
            _ => Err(ElfError::Unsupported),
        }
    }

    fn segments<R: ReadAt + ?Sized>(&self, file: &R) -> Result<Vec<Segment>, ElfError> {
        if self.segment_count > SEGMENTS_MAX {
            return Err(ElfError::TooManySegments(self.segment_count));
        }
        let size = usize::from(self.segment_size);
        if size < self.class.segment_size() {
            return Err(ElfError::Truncated);
        }
        let mut bytes = vec![0; size * usize::from(self.segment_count)];
        read_all(file, self.segments_offset, &mut bytes)?;
        let segments = bytes.chunks_exact(size).map(|chunk| Segment::parse(self.class, chunk));
        segments.collect::<Option<_>>().ok_or(ElfError::Truncated)
    }
}

struct Segment {
    kind: u32,
    flags: u32,
    code: CodeSegment,
    memory_size: u64,
    align: u64,
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

    fn is_code(&self) -> bool {
        self.kind == PT_LOAD && self.flags & PF_X != 0
    }

    fn code(&self) -> CodeSegment {
        self.code
    }
}

fn read_all<R: ReadAt + ?Sized>(file: &R, at: u64, buffer: &mut [u8]) -> Result<(), ElfError> {
    let count = file.read_at(at, buffer)?;
    if count == buffer.len() { Ok(()) } else { Err(ElfError::Truncated) }
}

/// As much of a segment as `limit` allows.
fn read_some<R: ReadAt + ?Sized>(
    file: &R,
    segment: &Segment,
    limit: u64,
) -> Result<Vec<u8>, ElfError> {
    let size = segment.code.file_size.min(limit);
    let mut bytes = vec![0; usize::try_from(size).map_err(|_| ElfError::Truncated)?];
    let count = file.read_at(segment.code.file_offset, &mut bytes)?;
    bytes.truncate(count);
    Ok(bytes)
}

fn note_build_id<R: ReadAt + ?Sized>(
    file: &R,
    segments: &[Segment],
) -> Result<Option<BuildId>, ElfError> {
    let mut go = None;
    let mut left = NOTES_BYTES_MAX;
    for segment in segments.iter().filter(|s| s.kind == PT_NOTE) {
        let bytes = read_some(file, segment, left)?;
        left -= bytes.len() as u64;
        for found in build_ids(&bytes, segment.align) {
            match found.kind() {
                BuildIdKind::Gnu => return Ok(Some(found)),
                _ => go = go.or(Some(found)),
            }
        }
    }
    Ok(go)
}

/// The build ids among `notes`, which are aligned to 4 bytes or, if `align` says so, to 8.
pub fn build_ids(notes: &[u8], align: u64) -> impl Iterator<Item = BuildId> {
    let align = if align == 8 { 8 } else { 4 };
    let mut rest = notes;
    std::iter::from_fn(move || {
        let (kind, name, content) = next_note(&mut rest, align)?;
        let kind = match (name, kind) {
            (b"GNU\0", NT_GNU_BUILD_ID) => BuildIdKind::Gnu,
            (b"Go\0\0", NT_GO_BUILD_ID) => BuildIdKind::Go,
            _ => return Some(None),
        };
        Some(BuildId::new(kind, content).ok())
    })
    .flatten()
}

fn next_note<'a>(rest: &mut &'a [u8], align: usize) -> Option<(u32, &'a [u8], &'a [u8])> {
    let size = |at| u32_at(rest, at).and_then(|size| usize::try_from(size).ok());
    let (name_size, content_size, kind) = (size(0)?, size(4)?, u32_at(rest, 8)?);
    let content_at = 12_usize.checked_add(name_size)?.checked_next_multiple_of(align)?;
    let content_end = content_at.checked_add(content_size)?;
    let name = rest.get(12..12_usize.checked_add(name_size)?)?;
    let content = rest.get(content_at..content_end)?;
    let next = content_end.checked_next_multiple_of(align)?.min(rest.len());
    *rest = &rest[next..];
    Some((kind, name, content))
}

/// The identity of a file without a build id note: BLAKE3, 20 bytes, over its machine, the places
/// of its loaded segments, and its code (at most [`CONTENT_HASH_BYTES_MAX`]). Symbols and debug
/// sections are left out, so that a stripped copy has the same identity.
fn content_build_id<R: ReadAt + ?Sized>(
    file: &R,
    header: &Header,
    segments: &[Segment],
) -> Result<BuildId, ElfError> {
    let mut hasher = blake3::Hasher::new_derive_key("stoker content build id v1");
    hasher.update(&header.machine.to_le_bytes());
    for segment in segments.iter().filter(|s| s.kind == PT_LOAD) {
        let CodeSegment { file_offset, file_size, address } = segment.code;
        for value in [segment.flags.into(), file_offset, file_size, address, segment.memory_size] {
            hasher.update(&u64::to_le_bytes(value));
        }
    }
    let mut left = CONTENT_HASH_BYTES_MAX;
    for segment in segments.iter().filter(|s| s.is_code()) {
        left -= hash_code(file, &segment.code, left, &mut hasher)?;
    }
    let mut id = [0; 20];
    hasher.finalize_xof().fill(&mut id);
    BuildId::new(BuildIdKind::Content, &id).map_err(|_| ElfError::Unsupported)
}

fn hash_code<R: ReadAt + ?Sized>(
    file: &R,
    code: &CodeSegment,
    limit: u64,
    hasher: &mut blake3::Hasher,
) -> Result<u64, ElfError> {
    let size = code.file_size.min(limit);
    let mut chunk = vec![0; HASH_CHUNK_BYTES];
    let mut done = 0;
    while done < size {
        let wanted = usize::try_from(size - done).unwrap_or(usize::MAX).min(chunk.len());
        let count = file.read_at(code.file_offset.saturating_add(done), &mut chunk[..wanted])?;
        if count == 0 {
            break;
        }
        hasher.update(&chunk[..count]);
        done += count as u64;
    }
    Ok(done)
}

#[derive(Default)]
struct Dynamic {
    soname: Option<String>,
    flags: u64,
}

impl Dynamic {
    fn read<R: ReadAt + ?Sized>(
        file: &R,
        class: Class,
        segments: &[Segment],
    ) -> Result<Self, ElfError> {
        let Some(segment) = segments.iter().find(|s| s.kind == PT_DYNAMIC) else {
            return Ok(Self::default());
        };
        let bytes = read_some(file, segment, DYNAMIC_BYTES_MAX)?;
        let value = |tag| class.dynamic_value(&bytes, tag);
        let soname = value(DT_STRTAB)
            .zip(value(DT_SONAME))
            .and_then(|(table, name)| string_at(file, segments, table.checked_add(name)?));
        Ok(Self { soname, flags: value(DT_FLAGS_1).unwrap_or(0) })
    }
}

fn string_at<R: ReadAt + ?Sized>(file: &R, segments: &[Segment], address: u64) -> Option<String> {
    let loaded = segments.iter().filter(|s| s.kind == PT_LOAD).map(Segment::code);
    let holds = |s: &CodeSegment| address.wrapping_sub(s.address) < s.file_size;
    let segment = loaded.into_iter().find(holds)?;
    let offset = (address - segment.address).checked_add(segment.file_offset)?;
    let mut bytes = [0; SONAME_BYTES_MAX + 1];
    let count = file.read_at(offset, &mut bytes).ok()?;
    let length = bytes[..count].iter().position(|&byte| byte == 0).filter(|&length| length > 0)?;
    String::from_utf8(bytes[..length].to_vec()).ok()
}
