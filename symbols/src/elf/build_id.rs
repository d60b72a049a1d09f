//! Build ids: the GNU note, else Go's, else a hash of the content.

use stoker_dag::{BuildId, BuildIdKind};

use super::header::{Extent, Header, PT_LOAD, Segment, read_some};
use super::layout::u32_at;
use super::{CONTENT_HASH_BYTES_MAX, CodeSegment, ElfError, ReadAt};

/// Most bytes of notes that are searched.
const NOTES_BYTES_MAX: u64 = 64 * 1024;
const PT_NOTE: u32 = 4;
const NT_GNU_BUILD_ID: u32 = 3;
const NT_GO_BUILD_ID: u32 = 4;
const HASH_CHUNK_BYTES: usize = 64 * 1024;

/// The file's build id.
pub(super) fn build_id<R: ReadAt + ?Sized>(
    file: &R,
    header: &Header,
    segments: &[Segment],
) -> Result<BuildId, ElfError> {
    match note_build_id(file, header, segments)? {
        Some(build_id) => Ok(build_id),
        None => content_build_id(file, header, segments),
    }
}

/// Looks through the loaded notes first, as the kernel does, so that both read the same id. Then
/// through the note sections: Go's linker loads its own note and not the GNU one beside it.
fn note_build_id<R: ReadAt + ?Sized>(
    file: &R,
    header: &Header,
    segments: &[Segment],
) -> Result<Option<BuildId>, ElfError> {
    let loaded = segments.iter().filter(|s| s.kind == PT_NOTE).map(Segment::extent);
    let (gnu, go) = search(file, loaded)?;
    if gnu.is_some() {
        return Ok(gnu);
    }
    let sections = header.sections(file);
    let notes = sections.iter().filter(|s| s.is_note()).map(|s| s.extent);
    let (gnu, other_go) = search(file, notes)?;
    Ok(gnu.or(go).or(other_go))
}

type GnuAndGo = (Option<BuildId>, Option<BuildId>);

fn search<R: ReadAt + ?Sized>(
    file: &R,
    extents: impl Iterator<Item = Extent>,
) -> Result<GnuAndGo, ElfError> {
    let mut go = None;
    let mut left = NOTES_BYTES_MAX;
    for extent in extents {
        let bytes = read_some(file, extent, left)?;
        left -= bytes.len() as u64;
        for found in build_ids(&bytes, extent.align) {
            match found.kind() {
                BuildIdKind::Gnu => return Ok((Some(found), go)),
                _ => go = go.or(Some(found)),
            }
        }
    }
    Ok((None, go))
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
