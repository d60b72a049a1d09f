//! Takes from an ELF file what the compiler needs: where its text is, and the bytes of its frame
//! information. A few bounded reads; the file is never mapped, because somebody may truncate it.

use gimli::{BaseAddresses, EhFrameHdr, LittleEndian};

use super::CompileError;
use super::go::GoFrames;
use super::headers::{Extent, Header, PT_LOAD, SHF_COMPRESSED, SHT_NOBITS, read_up_to};
use super::limits::{FRAME_BYTES_MAX, TEXT_BYTES_MAX};
use crate::process::ReadAt;

const PT_GNU_EH_FRAME: u32 = 0x6474_e550;
/// Only Go's linker writes these.
const GO_SECTIONS: [&[u8]; 4] =
    [b".gopclntab", b".go.buildinfo", b".note.go.buildid", b".data.rel.ro.gopclntab"];

/// A section's bytes and where they are loaded.
pub(super) struct Section {
    pub address: u64,
    pub bytes: Vec<u8>,
    /// The bytes end where the section ends, not somewhere after it.
    pub is_exact: bool,
}

/// What the compiler needs of a file. Addresses are virtual addresses of the file.
pub(super) struct Image {
    /// From the first executable byte, rounded down to a block, to the last.
    pub text: std::ops::Range<u64>,
    pub entry: u64,
    pub eh_frame: Option<Section>,
    pub debug_frame: Option<Section>,
    pub is_go: bool,
    pub go: Option<GoFrames>,
    pub has_compressed_frames: bool,
}

impl Image {
    pub(super) fn read<R: ReadAt + ?Sized>(file: &R) -> Result<Self, CompileError> {
        let header = Header::read(file)?;
        let segments = header.segments(file)?;
        let text = text(&segments)?;
        let mut image = Self {
            text,
            entry: header.entry,
            eh_frame: None,
            debug_frame: None,
            is_go: false,
            go: None,
            has_compressed_frames: false,
        };
        let sections = header.sections(file);
        for (name, section) in &sections {
            image.take(file, name, section)?;
        }
        if image.is_go {
            let named: Vec<_> = sections.iter().map(|(name, of)| of.named(name)).collect();
            image.go = GoFrames::read(file, &named, &image.text)?;
        }
        if image.eh_frame.is_none() {
            image.eh_frame = by_segment(file, &segments)?;
        }
        Ok(image)
    }

    fn take<R: ReadAt + ?Sized>(
        &mut self,
        file: &R,
        name: &[u8],
        section: &Extent,
    ) -> Result<(), CompileError> {
        self.is_go |= GO_SECTIONS.contains(&name);
        let place = match name {
            b".eh_frame" => &mut self.eh_frame,
            b".debug_frame" => &mut self.debug_frame,
            _ => return Ok(()),
        };
        if section.kind == SHT_NOBITS || section.size == 0 || place.is_some() {
            return Ok(());
        }
        if section.flags & SHF_COMPRESSED != 0 {
            self.has_compressed_frames = true;
            return Ok(());
        }
        *place = Some(Section::read(file, section, true)?);
        let sizes =
            [&self.eh_frame, &self.debug_frame].map(|s| s.as_ref().map_or(0, Section::size));
        bounded(sizes.iter().sum())
    }
}

impl Section {
    /// The bytes of `extent`, of which there may be fewer in the file than it says.
    fn read<R: ReadAt + ?Sized>(
        file: &R,
        extent: &Extent,
        is_exact: bool,
    ) -> Result<Self, CompileError> {
        bounded(extent.size)?;
        let bytes = read_up_to(file, extent.offset, extent.size)?;
        Ok(Self { address: extent.address, bytes, is_exact })
    }

    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }
}

fn bounded(size: u64) -> Result<(), CompileError> {
    if size > FRAME_BYTES_MAX { Err(CompileError::FramesTooLarge(size)) } else { Ok(()) }
}

/// The range of executable addresses.
fn text(segments: &[Extent]) -> Result<std::ops::Range<u64>, CompileError> {
    let code = || segments.iter().filter(|segment| segment.is_text());
    let start = code().map(|s| s.address).min().ok_or(CompileError::NoText)?;
    let ends = code().map(|s| s.address.checked_add(s.memory));
    let end = ends.collect::<Option<Vec<_>>>().and_then(|ends| ends.into_iter().max());
    let end = end.ok_or(CompileError::Damaged("a segment ends beyond the address space"))?;
    let start = start & !(stoker_unwind::BLOCK_BYTES - 1);
    match end - start {
        bytes if bytes > TEXT_BYTES_MAX => Err(CompileError::TextTooLong(bytes)),
        _ => Ok(start..end),
    }
}

/// `.eh_frame` by the header that the C library finds it by, where there are no section headers. Its
/// end is not told: it ends with a terminator.
fn by_segment<R: ReadAt + ?Sized>(
    file: &R,
    segments: &[Extent],
) -> Result<Option<Section>, CompileError> {
    /// Version, three encodings, and the two pointers at their longest.
    const HEADER_BYTES_MAX: u64 = 4 + 8 + 8;
    let Some(header) = segments.iter().find(|segment| segment.kind == PT_GNU_EH_FRAME) else {
        return Ok(None);
    };
    let bytes = read_up_to(file, header.offset, header.size.min(HEADER_BYTES_MAX))?;
    let bases = BaseAddresses::default().set_eh_frame_hdr(header.address);
    let parsed = EhFrameHdr::new(&bytes, LittleEndian).parse(&bases, 8);
    let Some(address) = parsed.ok().and_then(|parsed| parsed.eh_frame_ptr().direct().ok()) else {
        return Ok(None);
    };
    let loaded = segments.iter().filter(|segment| segment.kind == PT_LOAD);
    let found = loaded.filter_map(|segment| segment.tail(address, FRAME_BYTES_MAX)).next();
    found.map(|tail| Section::read(file, &tail, false)).transpose()
}
