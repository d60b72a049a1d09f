//! The ends of a segment and its blocks as bytes: checked before anything in them is believed.

use std::path::Path;

use prost::Message;
use stoker_wire::{Decoder, proto};

use super::super::api::{TenantId, WindowFacts};
use super::super::blobs::Blobs;
use super::super::error::StoreError;
use super::super::level::Level;
use super::super::messages::{BlockEntry, Footer, LogRecord};
use super::{
    BlockKind, HEADER_BYTES, MAGIC, MAX_BLOCK_BYTES, SEGMENT_VERSION, Segment, SliceIx,
    TRAILER_BYTES,
};

impl Segment {
    /// Reads the ends of a segment.
    ///
    /// # Errors
    /// When the file cannot be read, is damaged, or is of a later version.
    pub fn open(blobs: &dyn Blobs, tenant: &TenantId, id: u64) -> Result<Self, StoreError> {
        let name = Self::name_of(tenant, id);
        let path = blobs.path(&name);
        let wrong = |what: &str| StoreError::damaged(&path, what);
        let length = blobs.len(&name)?;
        let ends = (HEADER_BYTES + TRAILER_BYTES) as u64;
        let room = length.checked_sub(ends).ok_or_else(|| wrong("it is too short"))?;
        check_header(&blobs.get_range(&name, 0, HEADER_BYTES)?, &path)?;
        let trailer = blobs.get_range(&name, length - TRAILER_BYTES as u64, TRAILER_BYTES)?;
        let word = |at: usize| {
            u32::from_le_bytes([trailer[at], trailer[at + 1], trailer[at + 2], trailer[at + 3]])
        };
        if &trailer[8..] != MAGIC || u64::from(word(0)) > room {
            return Err(wrong("it does not end as a segment does"));
        }
        let start = length - TRAILER_BYTES as u64 - u64::from(word(0));
        let footer = blobs.get_range(&name, start, word(0) as usize)?;
        if crc32c::crc32c(&footer) != word(4) {
            return Err(wrong("the checksum of its footer is wrong"));
        }
        let footer = Footer::decode(&*footer).map_err(|e| StoreError::damaged(&path, e))?;
        if footer.id != id || footer.tenant != tenant.as_str() {
            return Err(wrong("its footer is another segment's"));
        }
        if Level::from_code(footer.level).is_none() {
            return Err(wrong("its footer has a level that no version has"));
        }
        Ok(Self { footer, length, name })
    }

    /// An error where the segment is of a later version, or does not begin as a segment does.
    ///
    /// # Errors
    /// As said, and when it cannot be read.
    pub fn check_version(blobs: &dyn Blobs, tenant: &TenantId, id: u64) -> Result<(), StoreError> {
        let name = Self::name_of(tenant, id);
        check_header(&blobs.get_range(&name, 0, HEADER_BYTES)?, &blobs.path(&name))
    }

    pub(super) fn contradicts(&self, blobs: &dyn Blobs, entry: &BlockEntry) -> StoreError {
        let what = format!("the block at byte {} contradicts itself", entry.offset);
        StoreError::damaged(blobs.path(&self.name), what)
    }

    pub(super) fn window_facts(
        &self,
        blobs: &dyn Blobs,
        record: &LogRecord,
    ) -> Result<WindowFacts, StoreError> {
        let wrong = |what: &str| StoreError::damaged(blobs.path(&self.name), what);
        let host_id = record.host_id.as_slice().try_into();
        let batch = record.batch.as_ref().ok_or_else(|| wrong("facts without a batch"))?;
        let body = self.decode(blobs, &mut Decoder::default(), batch)?;
        Ok(WindowFacts {
            window: body.start,
            host_id: host_id.map_err(|_| wrong("a host id of another length"))?,
            host_name: record.host_name.as_str().into(),
            facts: body.facts,
        })
    }

    pub(super) fn decode(
        &self,
        blobs: &dyn Blobs,
        decoder: &mut Decoder,
        batch: &proto::Batch,
    ) -> Result<stoker_wire::BatchBody, StoreError> {
        decoder.decode(batch).map_err(|e| StoreError::damaged(blobs.path(&self.name), e))
    }

    /// The only block of a kind that a slice has.
    pub(super) fn only(
        &self,
        blobs: &dyn Blobs,
        kind: BlockKind,
        slice: SliceIx,
    ) -> Result<&BlockEntry, StoreError> {
        let is_it = |entry: &&BlockEntry| entry.kind == kind.code() && entry.slice == slice.0;
        let entry = self.footer.blocks.iter().find(is_it);
        let missing = || StoreError::damaged(blobs.path(&self.name), format!("no {kind:?} block"));
        entry.ok_or_else(missing)
    }

    /// The bytes of a block, whose checksum is right.
    pub(super) fn stored(
        &self,
        blobs: &dyn Blobs,
        entry: &BlockEntry,
    ) -> Result<Vec<u8>, StoreError> {
        let wrong = |what: &str| StoreError::damaged(blobs.path(&self.name), what);
        let length = usize::try_from(entry.length).map_err(|_| wrong("a block is too long"))?;
        let stored = blobs.get_range(&self.name, entry.offset, length)?;
        if crc32c::crc32c(&stored) != entry.crc32c {
            let what = format!("the checksum of the block at byte {} is wrong", entry.offset);
            return Err(wrong(&what));
        }
        if entry.raw_length > MAX_BLOCK_BYTES {
            return Err(wrong("a block is too long"));
        }
        Ok(stored)
    }

    pub(super) fn message<M: Message + Default>(
        &self,
        blobs: &dyn Blobs,
        entry: &BlockEntry,
    ) -> Result<M, StoreError> {
        let wrong =
            |what: &dyn std::fmt::Display| StoreError::damaged(blobs.path(&self.name), what);
        let stored = self.stored(blobs, entry)?;
        let length = usize::try_from(entry.raw_length).map_err(|e| wrong(&e))?;
        let raw = zstd::bulk::decompress(&stored, length).map_err(|e| wrong(&e))?;
        M::decode(&*raw).map_err(|e| wrong(&e))
    }
}

fn check_header(bytes: &[u8], path: &Path) -> Result<(), StoreError> {
    let version = u32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]);
    if !bytes.starts_with(MAGIC) {
        return Err(StoreError::damaged(path, "it does not begin as a segment does"));
    }
    if version > SEGMENT_VERSION && bytes == super::header(version) {
        let (path, found) = (path.to_owned(), version);
        return Err(StoreError::NewerFormat { path, found, supported: SEGMENT_VERSION });
    }
    if version == 0 || bytes != super::header(version) {
        return Err(StoreError::damaged(path, "its header contradicts itself"));
    }
    Ok(())
}
