//! Reads segments. Nothing in the file is believed before its checksum was right, and nothing it
//! says can make the reader panic.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use stoker_dag::{Definition, FrameIx, FrameTable, LabelSet, ProfileType};
use stoker_wire::{Decoder, Dictionary, proto};

use super::super::api::{PartView, TenantId, TimeRange, WindowFacts};
use super::super::blobs::Blobs;
use super::super::cache::Cache;
use super::super::details::count;
use super::super::error::StoreError;
use super::super::footprint::BYTES_PER_FACTS;
use super::super::level::Level;
use super::super::messages::{BlockEntry, Footer, Slice};
use super::super::names::{NamesGrowth, builds};
use super::definitions::read_definitions;
use super::{BlockKind, FIRST_LABEL, SliceIx};

/// How many times as much memory as bytes of the block facts take.
const DECODED_FACTS: u64 = 3;
/// Blocks of rows.
pub(super) const ROWS: [BlockKind; 3] =
    [BlockKind::Rows, BlockKind::WireRows, BlockKind::FunctionTotals];

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

/// A slice's dictionary.
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

    /// Forgets which labels it has, which the index knows: of all that a segment says they take most memory.
    pub fn forget_labels(&mut self) {
        self.footer.labels = Vec::new();
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

    /// How many nodes the stacks of all slices have; of version 1, where that is not said, none.
    pub fn nodes(&self) -> u64 {
        self.slices().map(|slice| self.nodes_of(slice)).sum()
    }

    /// What its bytes take in memory, and what hosts said in it, decoded.
    pub fn held_bytes(&self) -> u64 {
        let of = |kind: BlockKind| {
            self.footer.blocks.iter().filter(move |entry| entry.kind == kind.code())
        };
        let messages =
            of(BlockKind::Facts).map(|entry| entry.raw_length.saturating_mul(DECODED_FACTS));
        let columns = of(BlockKind::FactColumns)
            .map(|entry| entry.rows.saturating_mul(BYTES_PER_FACTS as u64));
        messages.chain(columns).fold(self.length, u64::saturating_add)
    }

    /// Its slices.
    pub fn slices(&self) -> impl Iterator<Item = SliceIx> + use<> {
        let count = u32::try_from(self.footer.slices.len()).unwrap_or(u32::MAX);
        (0..count.max(1)).map(SliceIx)
    }

    /// Whether it was written with little time for few bytes.
    pub fn is_quickly_written(&self) -> bool {
        self.footer.blocks.iter().any(|entry| entry.kind == BlockKind::StackColumns.code())
    }

    /// What it teaches of names, and the builds of its frames. Reads no stack and no row.
    ///
    /// # Errors
    /// When a block cannot be read.
    pub fn names(&self, blobs: &dyn Blobs) -> Result<(NamesGrowth, Vec<String>), StoreError> {
        let (mut names, mut all) = (NamesGrowth::default(), BTreeSet::new());
        for slice in self.slices() {
            let (dictionary, definitions) = self.definitions(blobs, slice)?;
            names.learn_definitions(&dictionary, &definitions);
            names.modules.merge(&dictionary.modules);
            all.extend(builds(&dictionary));
        }
        Ok((names, all.into_iter().collect()))
    }

    /// What a slice says of frames, over a dictionary of its names: without stacks.
    ///
    /// # Errors
    /// When a block cannot be read.
    pub fn definitions(
        &self,
        blobs: &dyn Blobs,
        slice: SliceIx,
    ) -> Result<(Dictionary, Vec<(FrameIx, Definition)>), StoreError> {
        let mut decoder = Decoder::default();
        let names = self.only(blobs, BlockKind::Names, slice)?;
        let batch: proto::Batch = self.message(blobs, names)?;
        let mut definitions = self.decode(blobs, &mut decoder, &batch)?.definitions;
        let dictionary = decoder.into_dictionary();
        if self.only(blobs, BlockKind::Definitions, slice).is_ok() {
            definitions = self.definitions_of(blobs, slice, &dictionary.frames)?;
        }
        Ok((dictionary, definitions))
    }

    /// What a slice says of frames, over the frames of its dictionary, which was read before.
    ///
    /// # Errors
    /// When the block cannot be read.
    pub fn definitions_of(
        &self,
        blobs: &dyn Blobs,
        slice: SliceIx,
        frames: &FrameTable,
    ) -> Result<Vec<(FrameIx, Definition)>, StoreError> {
        let Ok(entry) = self.only(blobs, BlockKind::Definitions, slice) else {
            return Ok(self.definitions(blobs, slice)?.1);
        };
        let block = self.stored(blobs, entry)?;
        let read = read_definitions(&block, entry.raw_length, frames);
        read.ok_or_else(|| self.contradicts(blobs, entry))
    }

    /// Whether a slice has any rows.
    pub fn has_rows(&self, slice: SliceIx) -> bool {
        let rows = self.blocks_of(&ROWS, None);
        rows.iter().any(|(_, entry)| entry.slice == slice.0)
    }

    /// All that hosts said.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn all_facts(&self, blobs: &dyn Blobs) -> Result<Arc<Vec<WindowFacts>>, StoreError> {
        self.facts(blobs, &Cache::new(0), Wanted::ALL)
    }

    /// Reads everything once.
    ///
    /// # Errors
    /// When something cannot be read, or is not as much as the footer says.
    pub fn verify(&self, blobs: &dyn Blobs) -> Result<(), StoreError> {
        let (mut rows, mut strays) = (0, 0);
        let visited = self.visit(blobs, &Cache::new(0), Wanted::ALL, &mut |part| {
            rows += part.windows.iter().map(|held| held.rows.len() as u64).sum::<u64>();
            strays += self.strays(part);
            ControlFlow::Continue(())
        });
        let _ = visited?;
        if strays > 0 {
            let what = format!("{strays} rows are of services that their slices do not have");
            return Err(StoreError::damaged(blobs.path(&self.name), what));
        }
        let mut samples = 0;
        let visited = self.visit_details(blobs, &Cache::new(0), (None, Wanted::ALL), &mut |view| {
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

    /// How many rows of a part are of services that its slice does not have by the footer: who reads some
    /// services of it would not find them.
    fn strays(&self, part: PartView<'_>) -> usize {
        let slice = self.footer.slices.get(part.dictionary_id.slice as usize);
        let Some(Slice { first_service, last_service }) = slice else { return 0 };
        let within = |series: &LabelSet| {
            (&**first_service..=&**last_service).contains(&series.get(FIRST_LABEL))
        };
        let within: Vec<bool> = part.dictionary.labels.iter().map(within).collect();
        let all = part.windows.iter().chain(part.totals).flat_map(|held| &held.rows);
        all.filter(|row| !within[row.series.at()]).count()
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
