//! Reads segments. Nothing in the file is believed before its checksum was right, and nothing it
//! says can make the reader panic.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use prost::Message;
use stoker_dag::{ProfileType, UnixNanos};
use stoker_wire::{Decoder, Dictionary, proto};

use super::super::api::{PartView, TenantId, TimeRange, WindowFacts, WindowRows};
use super::super::blobs::Blobs;
use super::super::cache::{Cache, Cached};
use super::super::error::StoreError;
use super::super::head::{facts_in, windows_in};
use super::super::messages::{BlockEntry, FactsBlock, Footer, RowsBlock};
use super::super::names::{NamesGrowth, builds};
use super::{BlockKind, HEADER_BYTES, MAGIC, MAX_BLOCK_BYTES, SEGMENT_VERSION, TRAILER_BYTES};

/// A segment that can be read.
#[derive(Debug, Clone)]
pub struct Segment {
    /// What it holds.
    pub footer: Footer,
    /// Its bytes.
    pub length: u64,
    name: String,
}

impl Segment {
    /// The name of a segment among blobs.
    pub fn name_of(tenant: &TenantId, id: u64) -> String {
        format!("segments/{tenant}/{id:016x}.seg")
    }

    /// A segment whose footer is known, from the index or because it was just written.
    pub fn of(tenant: &TenantId, footer: Footer, length: u64) -> Self {
        let name = Self::name_of(tenant, footer.id);
        Self { footer, length, name }
    }

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
        Ok(Self { footer, length, name })
    }

    /// The segment's id.
    pub fn id(&self) -> u64 {
        self.footer.id
    }

    /// What it teaches of names, and the builds of its frames. Reads no stack and no row.
    ///
    /// # Errors
    /// When the block cannot be read.
    pub fn names(&self, blobs: &dyn Blobs) -> Result<(NamesGrowth, Vec<String>), StoreError> {
        let mut decoder = Decoder::default();
        let mut names = NamesGrowth::default();
        let batch: proto::Batch = self.only_block(blobs, BlockKind::Names)?;
        let body = self.decode(blobs, &mut decoder, &batch)?;
        names.learn_definitions(decoder.dictionary(), &body.definitions);
        names.modules.merge(&decoder.dictionary().modules);
        Ok((names, builds(decoder.dictionary())))
    }

    /// Reads everything once.
    ///
    /// # Errors
    /// When something cannot be read, or is not as much as the footer says.
    pub fn verify(&self, blobs: &dyn Blobs) -> Result<(), StoreError> {
        let mut rows = 0;
        let visited = self.visit(blobs, &Cache::new(0), TimeRange::ALL, None, &mut |part| {
            rows += part.windows.iter().map(|held| held.rows.len() as u64).sum::<u64>();
            ControlFlow::Continue(())
        });
        let _ = visited?;
        if rows == self.footer.rows {
            return Ok(());
        }
        let what = format!("it holds {rows} rows, not {}", self.footer.rows);
        Err(StoreError::damaged(blobs.path(&self.name), what))
    }

    /// Calls `visit` with what lies in the range, if anything does. Blocks outside are not read.
    ///
    /// # Errors
    /// When a block cannot be read.
    pub fn visit(
        &self,
        blobs: &dyn Blobs,
        cache: &Cache,
        range: TimeRange,
        profile_type: Option<&ProfileType>,
        visit: &mut dyn FnMut(PartView<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, StoreError> {
        let footer = &self.footer;
        let within = |entry: &BlockEntry| {
            range.overlaps(UnixNanos(entry.first_window), UnixNanos(entry.last_window))
        };
        let of_type = |entry: &BlockEntry| {
            let name = footer.profile_types.get(entry.profile_type as usize);
            profile_type.is_none_or(|wanted| name.is_some_and(|name| name == wanted.as_str()))
        };
        let rows = (0..).zip(&footer.blocks).filter(|(_, entry)| {
            entry.kind == BlockKind::Rows.code() && within(entry) && of_type(entry)
        });
        let rows: Vec<(usize, &BlockEntry)> = rows.collect();
        let all_facts = self.facts(blobs, cache, within)?;
        let mut facts = facts_in(&all_facts, range);
        if rows.is_empty() && facts.is_empty() {
            return Ok(ControlFlow::Continue(()));
        }
        let decoder = self.dictionary(blobs, cache)?;
        let dictionary = decoder.dictionary();
        for (at, entry) in rows {
            let windows = self.rows(blobs, cache, (at, entry), &decoder)?;
            let windows = windows_in(&windows, range);
            if windows.is_empty() {
                continue;
            }
            if visit(PartView { dictionary, windows, facts }).is_break() {
                return Ok(ControlFlow::Break(()));
            }
            facts = &[];
        }
        let rest = PartView { dictionary, windows: &[], facts };
        Ok(if facts.is_empty() { ControlFlow::Continue(()) } else { visit(rest) })
    }

    fn dictionary(&self, blobs: &dyn Blobs, cache: &Cache) -> Result<Arc<Decoder>, StoreError> {
        // Blocks have their own places in the cache; the dictionary, of two blocks, has the last.
        let key = (self.id(), usize::MAX);
        if let Some(Cached::Dictionary(held)) = cache.get(key) {
            return Ok(held);
        }
        let mut decoder = Decoder::default();
        for kind in [BlockKind::Names, BlockKind::Stacks] {
            let batch = self.only_block(blobs, kind)?;
            self.decode(blobs, &mut decoder, &batch)?;
        }
        let decoder = Arc::new(decoder);
        let bytes = dictionary_bytes(decoder.dictionary());
        cache.put(key, Cached::Dictionary(Arc::clone(&decoder)), bytes);
        Ok(decoder)
    }

    fn rows(
        &self,
        blobs: &dyn Blobs,
        cache: &Cache,
        (at, entry): (usize, &BlockEntry),
        decoder: &Decoder,
    ) -> Result<Arc<Vec<WindowRows>>, StoreError> {
        let key = (self.id(), at);
        if let Some(Cached::Rows(held)) = cache.get(key) {
            return Ok(held);
        }
        let block: RowsBlock = self.block(blobs, entry)?;
        let mut windows = Vec::with_capacity(block.windows.len());
        for held in block.windows {
            let groups = held.rows.as_slice();
            let groups = decoder.row_groups(groups);
            for group in groups.map_err(|e| StoreError::damaged(blobs.path(&self.name), e))? {
                let (window, profile_type) = (UnixNanos(held.window), group.profile_type);
                windows.push(WindowRows { window, profile_type, rows: group.rows });
            }
        }
        let bytes = windows.iter().map(|w| size_of_val(w.rows.as_slice())).sum();
        let windows = Arc::new(windows);
        cache.put(key, Cached::Rows(Arc::clone(&windows)), bytes);
        Ok(windows)
    }

    fn facts(
        &self,
        blobs: &dyn Blobs,
        cache: &Cache,
        within: impl Fn(&BlockEntry) -> bool,
    ) -> Result<Arc<Vec<WindowFacts>>, StoreError> {
        let is_wanted =
            |entry: &&BlockEntry| entry.kind == BlockKind::Facts.code() && within(entry);
        let Some(at) = self.footer.blocks.iter().position(|entry| is_wanted(&entry)) else {
            return Ok(Arc::default());
        };
        let key = (self.id(), at);
        if let Some(Cached::Facts(held)) = cache.get(key) {
            return Ok(held);
        }
        let entry = &self.footer.blocks[at];
        let block: FactsBlock = self.block(blobs, entry)?;
        let facts: Result<Vec<_>, _> =
            block.records.iter().map(|record| self.window_facts(blobs, record)).collect();
        let facts = Arc::new(facts?);
        let bytes = usize::try_from(entry.raw_length).unwrap_or(usize::MAX);
        cache.put(key, Cached::Facts(Arc::clone(&facts)), bytes.saturating_mul(2));
        Ok(facts)
    }

    fn window_facts(
        &self,
        blobs: &dyn Blobs,
        record: &super::super::messages::LogRecord,
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

    fn decode(
        &self,
        blobs: &dyn Blobs,
        decoder: &mut Decoder,
        batch: &proto::Batch,
    ) -> Result<stoker_wire::BatchBody, StoreError> {
        decoder.decode(batch).map_err(|e| StoreError::damaged(blobs.path(&self.name), e))
    }

    fn only_block<M: Message + Default>(
        &self,
        blobs: &dyn Blobs,
        kind: BlockKind,
    ) -> Result<M, StoreError> {
        let entry = self.footer.blocks.iter().find(|entry| entry.kind == kind.code());
        let missing = || StoreError::damaged(blobs.path(&self.name), format!("no {kind:?} block"));
        self.block(blobs, entry.ok_or_else(missing)?)
    }

    fn block<M: Message + Default>(
        &self,
        blobs: &dyn Blobs,
        entry: &BlockEntry,
    ) -> Result<M, StoreError> {
        let path = || blobs.path(&self.name);
        let wrong = |what: &str| StoreError::damaged(path(), what);
        let length = usize::try_from(entry.length).map_err(|_| wrong("a block is too long"))?;
        let stored = blobs.get_range(&self.name, entry.offset, length)?;
        if crc32c::crc32c(&stored) != entry.crc32c {
            let what = format!("the checksum of the block at byte {} is wrong", entry.offset);
            return Err(wrong(&what));
        }
        if entry.raw_length > MAX_BLOCK_BYTES {
            return Err(wrong("a block is too long"));
        }
        let raw_length = usize::try_from(entry.raw_length).map_err(|_| wrong("a long block"))?;
        let raw = zstd::bulk::decompress(&stored, raw_length)
            .map_err(|e| StoreError::damaged(path(), e))?;
        M::decode(&*raw).map_err(|e| StoreError::damaged(path(), e))
    }
}

fn check_header(bytes: &[u8], path: &PathBuf) -> Result<(), StoreError> {
    let version = u32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]);
    if !bytes.starts_with(MAGIC) {
        return Err(StoreError::damaged(path, "it does not begin as a segment does"));
    }
    if version > SEGMENT_VERSION {
        let (path, found) = (path.clone(), version);
        return Err(StoreError::NewerFormat { path, found, supported: SEGMENT_VERSION });
    }
    if bytes != super::header() {
        return Err(StoreError::damaged(path, "its header contradicts itself"));
    }
    Ok(())
}

/// About how much memory a decoded dictionary takes: columns, indexes, and the decoder's own.
fn dictionary_bytes(dictionary: &Dictionary) -> usize {
    dictionary.nodes.len() * 48 + dictionary.frames.len() * 192 + dictionary.labels.len() * 512
}
