//! Reads segments. Nothing in the file is believed before its checksum was right, and nothing it
//! says can make the reader panic.

use std::ops::ControlFlow;
use std::sync::Arc;

use stoker_dag::{Definition, FrameIx, LabelSet, ProfileType, UnixNanos};
use stoker_wire::{Decoder, Dictionary, proto};

use super::super::api::{PartView, TenantId, TimeRange, WindowRows};
use super::super::blobs::Blobs;
use super::super::cache::Cache;
use super::super::details::count;
use super::super::error::StoreError;
use super::super::head::{facts_in, windows_in};
use super::super::level::Level;
use super::super::messages::{BlockEntry, Footer};
use super::super::names::{NamesGrowth, builds};
use super::BlockKind;
use super::definitions::read_definitions;
use super::series::Series;

/// A segment that can be read.
#[derive(Debug, Clone)]
pub struct Segment {
    /// What it holds.
    pub footer: Footer,
    /// Its bytes.
    pub length: u64,
    pub(super) name: String,
}

/// What is wanted of a segment.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    /// Of which time.
    pub range: TimeRange,
    /// Of which type; of all where there is none.
    pub profile_type: Option<&'a ProfileType>,
    /// Whether rows of a series may be wanted. Rows of others may come all the same.
    pub series: Option<&'a (dyn Fn(&LabelSet) -> bool + Sync)>,
    /// Whether sums do in the place of rows and of facts, of blocks that lie within the range.
    pub sums: bool,
}

impl Wanted<'_> {
    /// Everything.
    pub const ALL: Wanted<'static> =
        Wanted { range: TimeRange::ALL, profile_type: None, series: None, sums: false };
}

/// A segment's dictionary.
#[derive(Debug)]
pub enum SegmentDictionary {
    /// Version 1: rows go through the decoder.
    Wire(Decoder),
    /// Rows' numbers are the dictionary's.
    Columns(Dictionary),
}

impl SegmentDictionary {
    pub(super) fn get(&self) -> &Dictionary {
        match self {
            Self::Wire(decoder) => decoder.dictionary(),
            Self::Columns(dictionary) => dictionary,
        }
    }
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

    /// The segment's id.
    pub fn id(&self) -> u64 {
        self.footer.id
    }

    /// Its name among blobs.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How finely it has its rows.
    pub fn level(&self) -> Level {
        Level::from_code(self.footer.level).unwrap_or_default()
    }

    /// How many nodes its stacks have; of version 1, where that is not said, none.
    pub fn nodes(&self) -> u64 {
        let kinds = [BlockKind::StackColumns, BlockKind::Stacks].map(BlockKind::code);
        let stacks = self.footer.blocks.iter().filter(|entry| kinds.contains(&entry.kind));
        stacks.map(|entry| entry.rows).sum()
    }

    /// What it teaches of names, and the builds of its frames. Reads no stack and no row.
    ///
    /// # Errors
    /// When the block cannot be read.
    pub fn names(&self, blobs: &dyn Blobs) -> Result<(NamesGrowth, Vec<String>), StoreError> {
        let mut names = NamesGrowth::default();
        let (dictionary, definitions) = self.definitions(blobs)?;
        names.learn_definitions(&dictionary, &definitions);
        names.modules.merge(&dictionary.modules);
        Ok((names, builds(&dictionary)))
    }

    /// What it says of frames, over a dictionary of its names: without stacks.
    ///
    /// # Errors
    /// When the block cannot be read.
    pub fn definitions(
        &self,
        blobs: &dyn Blobs,
    ) -> Result<(Dictionary, Vec<(FrameIx, Definition)>), StoreError> {
        let mut decoder = Decoder::default();
        let batch: proto::Batch = self.message(blobs, self.only(blobs, BlockKind::Names)?)?;
        let mut definitions = self.decode(blobs, &mut decoder, &batch)?.definitions;
        let dictionary = decoder.into_dictionary();
        if let Ok(entry) = self.only(blobs, BlockKind::Definitions) {
            let block = self.stored(blobs, entry)?;
            let read = read_definitions(&block, entry.raw_length, &dictionary.frames);
            definitions = read.ok_or_else(|| self.contradicts(blobs, entry))?;
        }
        Ok((dictionary, definitions))
    }

    /// Reads everything once.
    ///
    /// # Errors
    /// When something cannot be read, or is not as much as the footer says.
    pub fn verify(&self, blobs: &dyn Blobs) -> Result<(), StoreError> {
        let mut rows = 0;
        let visited = self.visit(blobs, &Cache::new(0), Wanted::ALL, &mut |part| {
            rows += part.windows.iter().map(|held| held.rows.len() as u64).sum::<u64>();
            ControlFlow::Continue(())
        });
        let _ = visited?;
        let mut samples = 0;
        let visited = self.visit_details(blobs, &Cache::new(0), Wanted::ALL, &mut |view| {
            samples += count(view.windows);
            ControlFlow::Continue(())
        });
        let _ = visited?;
        let Footer { rows: all_rows, detailed_samples, .. } = self.footer;
        if rows == all_rows && samples == detailed_samples {
            return Ok(());
        }
        let what = format!(
            "it holds {rows} rows, not {all_rows}, and {samples} samples one by one, not \
             {detailed_samples}"
        );
        Err(StoreError::damaged(blobs.path(&self.name), what))
    }

    /// Calls `visit` with what is wanted, if anything is. Other blocks are not read.
    ///
    /// # Errors
    /// When a block cannot be read: the first such failure, after all that can be read was visited.
    pub fn visit(
        &self,
        blobs: &dyn Blobs,
        cache: &Cache,
        wanted: Wanted<'_>,
        visit: &mut dyn FnMut(PartView<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, StoreError> {
        let within = |entry: &BlockEntry| {
            wanted.range.overlaps(UnixNanos(entry.first_window), UnixNanos(entry.last_window))
        };
        let rows = self.row_blocks(wanted.profile_type).into_iter();
        let rows: Vec<(usize, &BlockEntry)> = rows.filter(|(_, entry)| within(entry)).collect();
        let mut failure = None;
        let all_facts = self.facts(blobs, cache, wanted).unwrap_or_else(|error| {
            failure = Some(error);
            Arc::default()
        });
        let mut facts = facts_in(&all_facts, wanted.range);
        if rows.is_empty() && facts.is_empty() {
            return failure.map_or(Ok(ControlFlow::Continue(())), Err);
        }
        let held = self.dictionary(blobs, cache)?;
        let (dictionary, dictionary_id) = (held.get(), self.id());
        let level = self.level();
        let mut series = Series::new(dictionary, wanted);
        for (at, entry) in rows {
            if !series.may_be_in(entry) {
                continue;
            }
            let within = wanted.range.holds(UnixNanos(entry.first_window))
                && wanted.range.holds(UnixNanos(entry.last_window));
            let sums = (wanted.sums && within).then(|| self.sums(blobs, cache, (at, entry), &held));
            let windows = match sums.transpose().map(Option::flatten) {
                Ok(Some(sums)) => {
                    let none = PartView::raw(dictionary, dictionary_id, &[], facts);
                    if visit(PartView { level, sums: Some(&sums), ..none }).is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                    facts = &[];
                    continue;
                }
                Ok(None) => self.rows(blobs, cache, (at, entry), &held),
                Err(error) => Err(error),
            };
            let windows = match windows {
                Ok(windows) => windows,
                Err(error) => {
                    failure = failure.or(Some(error));
                    continue;
                }
            };
            let windows = windows_in(&windows, wanted.range);
            if windows.is_empty() {
                continue;
            }
            let none: &[WindowRows] = &[];
            let (windows, totals) = match entry.kind == BlockKind::FunctionTotals.code() {
                true => (none, windows),
                false => (windows, none),
            };
            let raw = PartView::raw(dictionary, dictionary_id, windows, facts);
            let part = PartView { level, totals, ..raw };
            if visit(part).is_break() {
                return Ok(ControlFlow::Break(()));
            }
            facts = &[];
        }
        let rest = PartView { level, ..PartView::raw(dictionary, dictionary_id, &[], facts) };
        let flow = if facts.is_empty() { ControlFlow::Continue(()) } else { visit(rest) };
        failure.map_or(Ok(flow), Err)
    }

    /// Blocks of rows of a type, or of all types.
    pub(super) fn row_blocks(
        &self,
        profile_type: Option<&ProfileType>,
    ) -> Vec<(usize, &BlockEntry)> {
        let kinds = [BlockKind::Rows, BlockKind::WireRows, BlockKind::FunctionTotals];
        self.blocks_of(&kinds, profile_type)
    }

    /// Blocks of some kinds that are of a type, or of any.
    pub(super) fn blocks_of(
        &self,
        kinds: &[BlockKind],
        profile_type: Option<&ProfileType>,
    ) -> Vec<(usize, &BlockEntry)> {
        let types = &self.footer.profile_types;
        let of_type = |entry: &BlockEntry| {
            let name = types.get(entry.profile_type as usize);
            profile_type.is_none_or(|wanted| name.is_some_and(|name| name == wanted.as_str()))
        };
        let is_of = |entry: &BlockEntry| kinds.iter().any(|kind| kind.code() == entry.kind);
        let all = self.footer.blocks.iter().enumerate();
        all.filter(|(_, entry)| is_of(entry) && of_type(entry)).collect()
    }

    /// What the values of a block count.
    pub(super) fn profile_type(&self, entry: &BlockEntry) -> Option<ProfileType> {
        let name = self.footer.profile_types.get(entry.profile_type as usize);
        name.and_then(|name| ProfileType::parse(name).ok())
    }
}
