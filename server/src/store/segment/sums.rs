//! Rows of a block summed over its windows: what questions are made of that do not ask when. A stack
//! that was seen in each of an hour's 360 windows is one number here, so this is both what is fastest
//! to read (steps in time are not even decompressed) and what is worth keeping in memory.

use std::ops::Range;
use std::sync::Arc;

use stoker_dag::{LabelIx, NodeIx, ProfileType, UnixNanos};
use stoker_wire::Dictionary;

use super::super::blobs::Blobs;
use super::super::cache::{Cache, Cached, Key, Place};
use super::super::error::StoreError;
use super::super::level::HOUR_NS;
use super::super::messages::BlockEntry;
use super::BlockKind;
use super::columns::{Reader, columns_but, unzigzag};
use super::decoded::row_bounds;
use super::read::{Segment, SegmentDictionary};
use super::rows::{COLUMNS, RowBounds, STEPS};

/// A block without its times, which are of one hour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sums {
    /// The first window that has a row.
    pub first_window: UnixNanos,
    /// What values count.
    pub profile_type: ProfileType,
    /// Pairs of series and attributes; one pair may stand in several runs.
    pub runs: Vec<SumRun>,
    /// Stacks of all runs. None stands twice in one run.
    pub nodes: Vec<NodeIx>,
    /// The sum of each one's values.
    pub values: Vec<u64>,
    /// The sum of its counts.
    pub counts: Vec<u64>,
}

/// One pair of series and attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SumRun {
    /// The series.
    pub series: LabelIx,
    /// The attributes.
    pub attributes: LabelIx,
    /// How many rows were summed.
    pub rows: u64,
    /// Where its stacks are.
    pub stacks: Range<usize>,
}

impl Sums {
    /// About how much memory it takes.
    pub fn bytes(&self) -> usize {
        self.nodes.len() * (size_of::<NodeIx>() + 2 * size_of::<u64>())
            + size_of_val(self.runs.as_slice())
    }
}

impl Segment {
    /// The sums of a block of rows; nothing where it must be read row by row.
    ///
    /// # Errors
    /// When the block cannot be read.
    pub(super) fn sums(
        &self,
        blobs: &dyn Blobs,
        cache: &Cache,
        (at, entry): (usize, &BlockEntry),
        dictionary: &SegmentDictionary,
    ) -> Result<Option<Arc<Sums>>, StoreError> {
        let SegmentDictionary::Columns(dictionary) = dictionary else { return Ok(None) };
        let is_of_an_hour = entry.first_window / HOUR_NS == entry.last_window / HOUR_NS;
        if entry.kind != BlockKind::Rows.code() || !is_of_an_hour {
            return Ok(None);
        }
        let key = Key { segment: self.id(), place: Place::Sums(at) };
        if let Some(Cached::Sums(held)) = cache.get(key) {
            return Ok(held);
        }
        let summed = self.read_sums(blobs, entry, dictionary)?;
        let held = match summed {
            Summed::Sums(sums) => Some(Arc::new(sums)),
            Summed::TooLarge => None,
        };
        let bytes = held.as_ref().map_or(0, |sums| sums.bytes());
        cache.put(key, Cached::Sums(held.clone()), bytes);
        Ok(held)
    }

    fn read_sums(
        &self,
        blobs: &dyn Blobs,
        entry: &BlockEntry,
        dictionary: &Dictionary,
    ) -> Result<Summed, StoreError> {
        let block = self.stored(blobs, entry)?;
        let profile_type = self.profile_type(entry);
        let first_window = UnixNanos(entry.first_window);
        let summed = profile_type.and_then(|profile_type| {
            read_sums(&block, row_bounds(entry, dictionary), first_window, profile_type)
        });
        summed.ok_or_else(|| self.contradicts(blobs, entry))
    }
}

/// What came of summing a block.
#[derive(Debug)]
pub enum Summed {
    /// Its sums.
    Sums(Sums),
    /// Some sum has more than 64 bits: what such rows come to is for those who add them to say.
    TooLarge,
}

/// The sums of a block; nothing where it contradicts itself or its footer. Steps in time are not looked
/// at.
pub fn read_sums(
    block: &[u8],
    bounds: RowBounds,
    first_window: UnixNanos,
    profile_type: ProfileType,
) -> Option<Summed> {
    let all = columns_but::<COLUMNS>(block, bounds.raw_length, STEPS)?;
    let [mut head, mut runs, mut nodes, mut lengths, _, mut counts, mut rest] =
        std::array::from_fn(|at| Reader::new(&all[at]));
    let (_, period, count) = (head.get()?, head.get()?, head.get()?);
    if count != bounds.rows || count > counts.remaining() as u64 {
        return None;
    }
    let stacks = nodes.remaining();
    let mut sums = Sums {
        first_window,
        profile_type,
        runs: Vec::new(),
        nodes: Vec::with_capacity(stacks),
        values: Vec::with_capacity(stacks),
        counts: Vec::with_capacity(stacks),
    };
    let no_rest = rest.is_at_end();
    let (mut series, mut rows) = (0u32, 0u64);
    while !runs.is_at_end() {
        series = series.checked_add(runs.get32()?)?;
        let attributes = runs.get32()?;
        if series as usize >= bounds.labels || attributes as usize >= bounds.labels {
            return None;
        }
        let (mut node, start, rows_before) = (0u32, sums.nodes.len(), rows);
        for _ in 0..runs.get()? {
            node = node.checked_add(nodes.get32()?).filter(|n| (*n as usize) < bounds.nodes)?;
            let length = lengths.get()?;
            let sum = match no_rest {
                true => usual(&mut counts, length, period)?,
                false => unusual(&mut counts, &mut rest, length, period)?,
            };
            let Some((value, count)) = sum else { return Some(Summed::TooLarge) };
            rows += length;
            sums.nodes.push(NodeIx(node));
            sums.values.push(value);
            sums.counts.push(count);
        }
        sums.runs.push(SumRun {
            series: LabelIx(series),
            attributes: LabelIx(attributes),
            rows: rows - rows_before,
            stacks: start..sums.nodes.len(),
        });
    }
    let columns = [head, nodes, lengths, counts, rest];
    (rows == count && columns.iter().all(Reader::is_at_end)).then_some(Summed::Sums(sums))
}

/// Value and count of some rows whose samples are worth the block's period each. The outer nothing is a
/// column that ends too soon, the inner one a sum of more than 64 bits.
#[expect(clippy::option_option, reason = "two different nothings, told apart at once")]
fn usual(counts: &mut Reader<'_>, rows: u64, period: u64) -> Option<Option<(u64, u64)>> {
    let rows = usize::try_from(rows).ok().filter(|rows| *rows <= counts.remaining())?;
    let count = match counts.sum_small(rows) {
        Some(sum) => Some(sum),
        None => {
            let mut sum = Some(0u64);
            for _ in 0..rows {
                let next = counts.get()?;
                sum = sum.and_then(|sum| sum.checked_add(next));
            }
            sum
        }
    };
    // Where the product of the sum fits, so did that of each row.
    Some(count.and_then(|count| Some((count.checked_mul(period)?, count))))
}

/// As [`usual`], where samples are worth different values.
#[expect(clippy::option_option, reason = "two different nothings, told apart at once")]
fn unusual(
    counts: &mut Reader<'_>,
    rest: &mut Reader<'_>,
    rows: u64,
    period: u64,
) -> Option<Option<(u64, u64)>> {
    let mut sums = Some((0u64, 0u64));
    for _ in 0..rows {
        let count = counts.get()?;
        let rest = unzigzag(rest.get()?).cast_unsigned();
        let value = count.wrapping_mul(period).wrapping_add(rest);
        sums = sums.and_then(|(values, counts)| {
            Some((values.checked_add(value)?, counts.checked_add(count)?))
        });
    }
    Some(sums)
}
