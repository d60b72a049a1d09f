//! Blocks of samples one by one. They stand host by host and CPU by CPU in order of time, because a
//! sampler is a clock: the next moment is one usual gap later, give or take microseconds. What a sample
//! is of is a place in a table of the block's distinct rows, its thread a place in a table of threads.

use std::collections::BTreeMap;
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

use stoker_dag::{LabelIx, NodeIx, ProfileType, UnixNanos, WINDOW_NS};
use stoker_wire::{CpuId, Dictionary, ThreadId, WINDOW_US};

use super::super::blobs::Blobs;
use super::super::cache::{Cache, Cached, Key, Place};
use super::super::details::{DetailedRow, DetailsView, WindowDetails, within};
use super::super::error::StoreError;
use super::super::messages::BlockEntry;
use super::columns::{ColumnWriter, Reader, columns, put, unzigzag, zigzag};
use super::rows::{LAST_WINDOW, RowBounds};
use super::{BlockKind, MAX_BLOCK_BYTES, Segment, SegmentDictionary, SliceIx, Wanted};

/// Columns of a block: head; series, attributes, nodes and values of distinct rows; threads; runs; times;
/// places of threads, places of rows.
const COLUMNS: usize = 10;

/// A sample with the window that it is of, counted in windows since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimedDetail {
    /// The window.
    pub window: u64,
    /// The sample.
    pub sample: DetailedRow,
}

impl TimedDetail {
    fn at_us(&self, first_window: u64) -> u64 {
        (self.window - first_window) * u64::from(WINDOW_US) + u64::from(self.sample.offset_us)
    }

    fn distinct(&self) -> Distinct {
        let DetailedRow { series, attributes, node, value, .. } = self.sample;
        (series, attributes, node, value)
    }
}

/// What samples are of.
type Distinct = (LabelIx, LabelIx, NodeIx, u64);

/// A block of samples, and its length when decompressed. Samples of one host and CPU that follow one
/// another are in order of time.
///
/// # Errors
/// When compression fails for want of memory.
pub fn write_details(samples: &[TimedDetail], level: i32) -> io::Result<(Vec<u8>, u64)> {
    let [mut head, mut series, mut attributes, mut nodes, mut values] = [const { Vec::new() }; 5];
    let [mut threads, mut runs, mut times, mut thread_places, mut rows] = [const { Vec::new() }; 5];
    let first_window = samples.iter().map(|timed| timed.window).min().unwrap_or(0);
    let distinct = places(samples.iter().map(TimedDetail::distinct));
    let thread_table = places(samples.iter().map(|timed| timed.sample.thread));
    let sizes = [first_window, samples.len() as u64, distinct.len() as u64];
    sizes.iter().for_each(|n| put(&mut head, *n));
    let mut last = (LabelIx(0), LabelIx(0), NodeIx(0), 0u64);
    for row in distinct.keys() {
        put(&mut series, u64::from(row.0.0 - last.0.0));
        put(&mut attributes, row.1.0.into());
        put(&mut nodes, zigzag(i64::from(row.2.0) - i64::from(last.2.0)));
        put(&mut values, zigzag(row.3.wrapping_sub(last.3).cast_signed()));
        last = *row;
    }
    let mut before = 0;
    for thread in thread_table.keys() {
        put(&mut threads, u64::from(thread.0 - before));
        before = thread.0;
    }
    let follows = |a: &TimedDetail, b: &TimedDetail| {
        a.sample.cpu == b.sample.cpu && a.at_us(first_window) <= b.at_us(first_window)
    };
    // By thread: the place of its last sample's row.
    let mut last_rows = vec![0i64; thread_table.len()];
    for run in samples.chunk_by(follows) {
        let interval = usual_gap(run, first_window);
        let about = [u64::from(run[0].sample.cpu.0), run.len() as u64, interval];
        about.iter().for_each(|n| put(&mut runs, *n));
        let (mut time, mut thread) = (0, None);
        for timed in run {
            let at = timed.at_us(first_window);
            put(&mut times, zigzag((at - time).wrapping_sub(interval).cast_signed()));
            time = at;
            let place = thread_table[&timed.sample.thread];
            let is_same = thread.replace(place) == Some(place);
            put(&mut thread_places, if is_same { 0 } else { place + 1 });
            let row = distinct[&timed.distinct()].cast_signed();
            let last = &mut last_rows[usize::try_from(place).expect("a place of the table")];
            put(&mut rows, zigzag(row - *last));
            *last = row;
        }
    }
    let mut writer = ColumnWriter::default();
    let table = [head, series, attributes, nodes, values];
    for column in table.into_iter().chain([threads, runs, times, thread_places, rows]) {
        writer.push(&column, level)?;
    }
    Ok(writer.finish())
}

/// Each in order, with its place.
fn places<T: Ord>(all: impl Iterator<Item = T>) -> BTreeMap<T, u64> {
    let mut places: BTreeMap<T, u64> = all.map(|one| (one, 0)).collect();
    (0..).zip(places.values_mut()).for_each(|(at, place)| *place = at);
    places
}

/// The median of the gaps between samples.
fn usual_gap(run: &[TimedDetail], first_window: u64) -> u64 {
    let pairs = run.windows(2);
    let mut gaps: Vec<u64> =
        pairs.map(|pair| pair[1].at_us(first_window) - pair[0].at_us(first_window)).collect();
    if gaps.is_empty() {
        return 0;
    }
    let middle = gaps.len() / 2;
    *gaps.select_nth_unstable(middle).1
}

/// Samples of a block in their order; nothing where the block contradicts itself or its footer.
pub fn read_details(block: &[u8], bounds: RowBounds) -> Option<Vec<TimedDetail>> {
    let all = columns::<COLUMNS>(block, bounds.raw_length)?;
    let [
        mut head,
        series,
        attributes,
        nodes,
        values,
        threads,
        mut runs,
        mut times,
        mut thread_places,
        mut rows,
    ] = std::array::from_fn(|at| Reader::new(&all[at]));
    let (first_window, count, distinct) = (head.get()?, head.get()?, head.get()?);
    // Each has a byte at least in a column of its own, so both numbers are bounded by what is there.
    if count != bounds.rows
        || count > rows.remaining() as u64
        || distinct > nodes.remaining() as u64
    {
        return None;
    }
    let distinct = read_distinct([series, attributes, nodes, values], distinct, bounds)?;
    let threads = read_threads(threads)?;
    let mut last_rows = vec![0i64; threads.len()];
    let mut samples = Vec::with_capacity(usize::try_from(count).ok()?);
    while !runs.is_at_end() {
        let (cpu, length, interval) = (CpuId(runs.get32()?), runs.get()?, runs.get()?);
        let (mut time, mut place) = (0u64, None);
        for _ in 0..length {
            let gap = interval.wrapping_add(unzigzag(times.get()?).cast_unsigned());
            time = time.checked_add(gap)?;
            let window = first_window.checked_add(time / u64::from(WINDOW_US))?;
            let offset_us = u32::try_from(time % u64::from(WINDOW_US)).ok()?;
            if let Some(told) = thread_places.get()?.checked_sub(1) {
                place = usize::try_from(told).ok();
            }
            let thread = *threads.get(place?)?;
            let row = last_rows[place?].checked_add(unzigzag(rows.get()?))?;
            last_rows[place?] = row;
            let (series, attributes, node, value) = *distinct.get(usize::try_from(row).ok()?)?;
            let sample = DetailedRow { series, attributes, node, thread, cpu, offset_us, value };
            samples
                .push(TimedDetail { window: Some(window).filter(|w| *w <= LAST_WINDOW)?, sample });
        }
    }
    let columns = [head, times, thread_places, rows];
    (samples.len() as u64 == count && columns.iter().all(Reader::is_at_end)).then_some(samples)
}

fn read_distinct(
    [mut series, mut attributes, mut nodes, mut values]: [Reader<'_>; 4],
    count: u64,
    bounds: RowBounds,
) -> Option<Vec<Distinct>> {
    let mut distinct = Vec::with_capacity(usize::try_from(count).ok()?);
    let mut last = (0u32, 0u32, 0u64);
    for _ in 0..count {
        let series = last.0.checked_add(series.get32()?)?;
        let attributes = attributes.get32()?;
        let node = i64::from(last.1).checked_add(unzigzag(nodes.get()?))?;
        let node = u32::try_from(node).ok()?;
        let value = last.2.wrapping_add(unzigzag(values.get()?).cast_unsigned());
        let is_known = |ix: u32, bound: usize| (ix as usize) < bound;
        if !is_known(series, bounds.labels)
            || !is_known(attributes, bounds.labels)
            || !is_known(node, bounds.nodes)
        {
            return None;
        }
        last = (series, node, value);
        distinct.push((LabelIx(series), LabelIx(attributes), NodeIx(node), value));
    }
    let columns = [series, attributes, nodes, values];
    columns.iter().all(Reader::is_at_end).then_some(distinct)
}

fn read_threads(mut column: Reader<'_>) -> Option<Vec<ThreadId>> {
    let (mut threads, mut before) = (Vec::new(), 0u32);
    while !column.is_at_end() {
        before = before.checked_add(column.get32()?)?;
        threads.push(ThreadId(before));
    }
    Some(threads)
}

/// Samples by window, in order of time.
fn by_window(mut samples: Vec<TimedDetail>, profile_type: &ProfileType) -> Vec<WindowDetails> {
    samples.sort_by_key(|timed| timed.window);
    let runs = samples.chunk_by(|a, b| a.window == b.window);
    let of = |run: &[TimedDetail]| WindowDetails {
        window: UnixNanos(run[0].window * WINDOW_NS),
        profile_type: profile_type.clone(),
        samples: run.iter().map(|timed| timed.sample).collect(),
    };
    runs.map(of).collect()
}

impl Segment {
    /// Calls `visit` with the samples of one slice, or of all, that are wanted, if there are any. Other blocks are not read.
    ///
    /// # Errors
    /// When a block cannot be read: the first such failure, after all that can be read was visited.
    pub fn visit_details(
        &self,
        blobs: &dyn Blobs,
        cache: &Cache,
        (only, wanted): (Option<SliceIx>, Wanted<'_>),
        visit: &mut dyn FnMut(DetailsView<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, StoreError> {
        let mut failure = None;
        for slice in self.slices().filter(|slice| only.is_none_or(|only| only == *slice)) {
            let kinds = [BlockKind::Details];
            let (blocks, held) = match self.wanted_blocks(blobs, cache, (slice, wanted), &kinds) {
                Ok(Some(found)) => found,
                Ok(None) => continue,
                Err(error) => {
                    failure = failure.or(Some(error));
                    continue;
                }
            };
            let (dictionary, dictionary_id) = (held.dictionary.get(), held.id(self));
            for (at, entry) in blocks {
                match self.details(blobs, cache, (at, entry), &held.dictionary) {
                    Ok(windows) => {
                        let windows = within(&windows, wanted.range);
                        let view = DetailsView { dictionary, dictionary_id, windows };
                        if !windows.is_empty() && visit(view).is_break() {
                            return Ok(ControlFlow::Break(()));
                        }
                    }
                    Err(error) => failure = failure.or(Some(error)),
                }
            }
        }
        failure.map_or(Ok(ControlFlow::Continue(())), Err)
    }

    fn details(
        &self,
        blobs: &dyn Blobs,
        cache: &Cache,
        (at, entry): (usize, &BlockEntry),
        dictionary: &SegmentDictionary,
    ) -> Result<Arc<Vec<WindowDetails>>, StoreError> {
        let key = Key { segment: self.id(), place: Place::Block(at) };
        if let Some(Cached::Details(held)) = cache.get(key) {
            return Ok(held);
        }
        let SegmentDictionary::Columns(dictionary) = dictionary else {
            return Err(self.contradicts(blobs, entry));
        };
        let read = self.read_details(blobs, entry, dictionary)?;
        let windows = Arc::new(read.ok_or_else(|| self.contradicts(blobs, entry))?);
        let bytes = windows.iter().map(|held| size_of_val(held.samples.as_slice())).sum();
        cache.put(key, Cached::Details(Arc::clone(&windows)), bytes);
        Ok(windows)
    }

    fn read_details(
        &self,
        blobs: &dyn Blobs,
        entry: &BlockEntry,
        dictionary: &Dictionary,
    ) -> Result<Option<Vec<WindowDetails>>, StoreError> {
        let block = self.stored(blobs, entry)?;
        let bounds = RowBounds {
            labels: dictionary.labels.len(),
            nodes: dictionary.nodes.len(),
            rows: entry.rows,
            raw_length: entry.raw_length.min(MAX_BLOCK_BYTES),
        };
        let name = self.footer.profile_types.get(entry.profile_type as usize);
        let profile_type = name.and_then(|name| ProfileType::parse(name).ok());
        let read = profile_type.zip(read_details(&block, bounds));
        Ok(read.map(|(profile_type, samples)| by_window(samples, &profile_type)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> impl Strategy<Value = TimedDetail> {
        let moment = (0..400u64, 0..WINDOW_US);
        let of = (0..5u32, 0..3u32, 0..40u32, prop_oneof![Just(1000), any::<u64>()]);
        (moment, of, any::<u32>(), 0..3u32).prop_map(|((window, offset_us), of, thread, cpu)| {
            let (series, attributes, node, value) = of;
            let sample = DetailedRow {
                series: LabelIx(series),
                attributes: LabelIx(attributes),
                node: NodeIx(node),
                thread: ThreadId(thread % 7),
                cpu: CpuId(cpu),
                offset_us,
                value,
            };
            TimedDetail { window, sample }
        })
    }

    proptest! {
        #[test]
        fn samples_are_read_back_or_refused(
            mut samples in prop::collection::vec(sample(), 1..200),
            is_sorted in any::<bool>(),
            flips in prop::collection::vec((any::<prop::sample::Index>(), 1..=255u8), 1..4),
        ) {
            if is_sorted {
                samples.sort_by_key(|timed| (timed.sample.cpu, timed.window, timed.sample.offset_us));
            }
            let (mut block, raw_length) = write_details(&samples, 3).unwrap();
            let bounds =
                RowBounds { labels: 5, nodes: 40, rows: samples.len() as u64, raw_length };
            prop_assert_eq!(read_details(&block, bounds).unwrap(), samples.clone());
            let windows = by_window(samples.clone(), &ProfileType::cpu());
            prop_assert_eq!(windows.iter().map(|w| w.samples.len()).sum::<usize>(), samples.len());
            prop_assert!(windows.is_sorted_by(|a, b| a.window < b.window));
            for (at, flip) in flips {
                let at = at.index(block.len());
                block[at] ^= flip;
            }
            for timed in read_details(&block, bounds).unwrap_or_default() {
                let sample = timed.sample;
                prop_assert!(sample.node.0 < 40 && sample.series.0 < 5 && sample.offset_us < WINDOW_US);
            }
        }
    }
}
