//! Logs and segments whose checksums are right around any content: what fuzz targets read.
//!
//! Bytes at random never come past a checksum, so a target that only has those looks at nothing else.
//! Here the frame is made right and the content is theirs.

use std::path::Path;
use std::sync::Arc;

use prost::Message;

use super::api::{Names, TenantId};
use super::blobs::{Blobs, LocalBlobs};
use super::disk::Disk;
use super::error::StoreError;
use super::log::{header, replay};
use super::merge::{Merge, Services, Survey};
use super::messages::{BlockEntry, Footer, Slice};
use super::records::write_record;
use super::segment::{
    BlockKind, SEGMENT_VERSION, Segment, TRAILER_BYTES, header as segment_header, seal,
};

/// Most that one block claims to hold when decompressed: a target must not take memory for a claim.
const MAX_CLAIM_BYTES: u64 = 1 << 20;

/// Blocks that are messages, compressed as a whole.
const MESSAGES: [u32; 5] = [
    BlockKind::Series.code(),
    BlockKind::Names.code(),
    BlockKind::WireStacks.code(),
    BlockKind::WireRows.code(),
    BlockKind::Facts.code(),
];

/// A log of these records.
#[must_use]
pub fn log_of(records: &[&[u8]]) -> Vec<u8> {
    let mut bytes = header().to_vec();
    records.iter().for_each(|record| write_record(record, &mut bytes));
    bytes
}

/// A block without what holds a segment together.
#[derive(Debug, Clone, Copy)]
pub struct LooseBlock<'a> {
    /// What it holds, see [`BlockKind`].
    pub kind: u32,
    /// Which slice it is of.
    pub slice: u8,
    /// How many rows it has.
    pub rows: u64,
    /// Its content, decompressed where it is a message.
    pub content: &'a [u8],
}

/// A segment with these blocks, under a footer that says of them what is so.
#[must_use]
pub fn segment_of(mut footer: Footer, blocks: &[LooseBlock<'_>]) -> Vec<u8> {
    let every = Slice { first_service: String::new(), last_service: "\u{10ffff}".to_owned() };
    let mut bytes = segment_header(SEGMENT_VERSION).to_vec();
    footer.blocks.clear();
    let last = blocks.iter().map(|block| block.slice).max().unwrap_or(0);
    footer.slices = vec![every; usize::from(last) + 1];
    for LooseBlock { kind, slice, rows, content } in blocks {
        let is_message = MESSAGES.contains(kind);
        let packed = if is_message { zstd::bulk::compress(content, 1).ok() } else { None };
        let stored = packed.as_deref().unwrap_or(content);
        footer.blocks.push(BlockEntry {
            kind: *kind,
            offset: bytes.len() as u64,
            length: stored.len() as u64,
            raw_length: if is_message { content.len() as u64 } else { MAX_CLAIM_BYTES },
            crc32c: crc32c::crc32c(stored),
            rows: *rows,
            slice: u32::from(*slice),
            last_window: u64::MAX,
            ..BlockEntry::default()
        });
        bytes.extend_from_slice(stored);
    }
    seal(&mut bytes, &footer.encode_to_vec());
    bytes
}

/// Bytes of a block in a loosened segment before its content: kind, slice, rows, length.
const LOOSE_HEAD: usize = 1 + 1 + 4 + 4;

/// A segment of any version without what holds it together: its level, then of each block the kind and the
/// slice (a byte each), its rows and its length (four bytes each, little-endian) and the content, decompressed where
/// it is a message. Nothing where it is no segment.
#[must_use]
pub fn loosened(segment: &[u8]) -> Option<Vec<u8>> {
    let (rest, trailer) = segment.split_last_chunk::<TRAILER_BYTES>()?;
    let length = u32::from_le_bytes(*trailer.first_chunk()?) as usize;
    let footer = Footer::decode(rest.get(rest.len().checked_sub(length)?..)?).ok()?;
    let mut loose = vec![u8::try_from(footer.level).ok()?];
    for entry in &footer.blocks {
        let (from, length) =
            (usize::try_from(entry.offset).ok()?, usize::try_from(entry.length).ok()?);
        let stored = segment.get(from..from.checked_add(length)?)?;
        let content = match MESSAGES.contains(&entry.kind) {
            true => zstd::bulk::decompress(stored, usize::try_from(entry.raw_length).ok()?).ok()?,
            false => stored.to_vec(),
        };
        loose.push(u8::try_from(entry.kind).ok()?);
        loose.push(u8::try_from(entry.slice).ok()?);
        loose.extend(u32::try_from(entry.rows).ok()?.to_le_bytes());
        loose.extend(u32::try_from(content.len()).ok()?.to_le_bytes());
        loose.extend(content);
    }
    Some(loose)
}

/// The segment of [`loosened`] bytes: any bytes are one.
#[must_use]
pub fn tightened(loose: &[u8], mut footer: Footer) -> Vec<u8> {
    let (level, mut rest) = loose.split_first().unwrap_or((&0, &[]));
    let mut blocks = Vec::new();
    while let Some((head, more)) = rest.split_at_checked(LOOSE_HEAD) {
        let word =
            |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let (content, next) = more.split_at((word(6) as usize).min(more.len()));
        let (kind, rows) = (u32::from(head[0]), u64::from(word(2)));
        blocks.push(LooseBlock { kind, slice: head[1], rows, content });
        rest = next;
    }
    let rows_of = |kinds: &[BlockKind]| {
        let counted =
            blocks.iter().filter(|block| kinds.iter().any(|kind| kind.code() == block.kind));
        counted.map(|block| block.rows).sum()
    };
    footer.level = u32::from(*level);
    footer.rows = rows_of(&[BlockKind::Rows, BlockKind::WireRows]);
    footer.detailed_samples = rows_of(&[BlockKind::Details]);
    segment_of(footer, &blocks)
}

/// Replays a log, as an open does; gives the number of its rows.
///
/// # Errors
/// When it cannot be read.
pub fn read_log(disk: &dyn Disk, path: &Path) -> Result<u64, StoreError> {
    let replayed = replay(disk, path, 1, |_| 0)?;
    let rows = replayed.head.rows();
    Ok(rows.windows.iter().map(|held| held.rows.len() as u64).sum())
}

/// Reads all of a segment in every way that the store does; gives the number of its rows.
///
/// # Errors
/// When it cannot be read.
pub fn read_segment(
    disk: Arc<dyn Disk>,
    root: &Path,
    tenant: &TenantId,
    id: u64,
) -> Result<u64, StoreError> {
    let blobs: &dyn Blobs = &LocalBlobs::new(disk, root.to_owned());
    let segment = Segment::open(blobs, tenant, id)?;
    let names = segment.names(blobs);
    let verified = segment.verify(blobs);
    let (all, mut survey, mut merge) = (Services::default(), Survey::default(), Merge::default());
    let (surveyed, added) = (survey.add(blobs, &segment), merge.add(blobs, &segment, &all));
    let _ = survey.ranges(0);
    let merged = merge.finish(&Names::default());
    names.and(verified).and(surveyed)?;
    added?;
    let windows = merged.map(|merged| merged.windows).unwrap_or_default();
    Ok(windows.iter().map(|held| held.rows.len() as u64).sum())
}
