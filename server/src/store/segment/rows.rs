//! Rows as columns, by stack and then by time: for each pair of series and attributes, for each node,
//! the windows in which it was seen. A stack that is hot is hot in most windows, so most steps in
//! time are one window and most counts are small, which compresses far better than windows of nodes.

use std::io;

use stoker_dag::{LabelIx, NodeIx, ProfileType, SampleRow, UnixNanos, WINDOW_NS};

use super::super::api::WindowRows;
use super::columns::{ColumnWriter, Reader, columns, put, unzigzag, zigzag};

/// A row with the window that it is of, counted in windows since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimedRow {
    /// The window.
    pub window: u64,
    /// The row.
    pub row: SampleRow,
}

impl TimedRow {
    /// What rows are in order of.
    pub fn key(&self) -> (LabelIx, LabelIx, NodeIx, u64) {
        (self.row.series, self.row.attributes, self.row.node, self.window)
    }

    /// Adds a row of the same key; a sum beyond 64 bits stays two rows.
    pub fn add(&mut self, next: &Self) -> bool {
        if self.key() != next.key() {
            return false;
        }
        let (kept, next) = (&mut self.row, &next.row);
        let sums = (kept.value.checked_add(next.value), kept.count.checked_add(next.count));
        let (Some(value), Some(count)) = sums else { return false };
        (kept.value, kept.count) = (value, count);
        true
    }
}

/// Columns of a block: head, runs, nodes, rows per node, steps in time, counts, what values differ
/// by from counts at the block's period.
pub const COLUMNS: usize = 7;
/// The column of steps in time.
pub const STEPS: usize = 4;

/// A block of rows that are in order of [`TimedRow::key`], and its length when decompressed.
///
/// # Errors
/// When compression fails for want of memory.
pub fn write_rows(rows: &[TimedRow], level: i32) -> io::Result<(Vec<u8>, u64)> {
    let [mut head, mut runs, mut nodes, mut lengths, mut steps, mut counts, mut rest] =
        [const { Vec::new() }; COLUMNS];
    let first_window = rows.iter().map(|timed| timed.window).min().unwrap_or(0);
    let period = period(rows);
    [first_window, period, rows.len() as u64].iter().for_each(|n| put(&mut head, *n));
    let mut last_series = 0;
    let pair = |timed: &TimedRow| (timed.row.series, timed.row.attributes);
    for run in rows.chunk_by(|a, b| pair(a) == pair(b)) {
        let (series, attributes) = pair(&run[0]);
        put(&mut runs, u64::from(series.0 - last_series));
        put(&mut runs, attributes.0.into());
        last_series = series.0;
        let (mut keys, mut last_node) = (0, 0);
        for of_node in run.chunk_by(|a, b| a.row.node == b.row.node) {
            keys += 1;
            let node = of_node[0].row.node.0;
            put(&mut nodes, u64::from(node - last_node));
            last_node = node;
            put(&mut lengths, of_node.len() as u64);
            let mut last = first_window;
            for timed in of_node {
                put(&mut steps, timed.window - last);
                last = timed.window;
            }
        }
        put(&mut runs, keys);
    }
    for TimedRow { row, .. } in rows {
        put(&mut counts, row.count);
        let usual = row.count.wrapping_mul(period);
        put(&mut rest, zigzag(row.value.wrapping_sub(usual).cast_signed()));
    }
    if rest.iter().all(|byte| *byte == 0) {
        rest.clear();
    }
    let mut writer = ColumnWriter::default();
    for column in [head, runs, nodes, lengths, steps, counts, rest] {
        writer.push(&column, level)?;
    }
    Ok(writer.finish())
}

/// What most samples are worth: the first row's, which is every row's where a host kept its
/// frequency.
fn period(rows: &[TimedRow]) -> u64 {
    rows.first().and_then(|timed| timed.row.value.checked_div(timed.row.count)).unwrap_or(0)
}

/// Bounds that a block's indexes are held to.
#[derive(Debug, Clone, Copy)]
pub struct RowBounds {
    /// Label sets of the dictionary.
    pub labels: usize,
    /// Its nodes.
    pub nodes: usize,
    /// Rows of the block, as the footer has it.
    pub rows: u64,
    /// Bytes of the block when decompressed, as the footer has it.
    pub raw_length: u64,
}

/// Rows of a block in their order; nothing where the block contradicts itself or its footer.
pub fn read_timed(block: &[u8], bounds: RowBounds) -> Option<Vec<TimedRow>> {
    let all = columns::<COLUMNS>(block, bounds.raw_length)?;
    let [mut head, mut runs, mut nodes, mut lengths, mut steps, mut counts, mut rest] =
        std::array::from_fn(|at| Reader::new(&all[at]));
    let (first_window, period, count) = (head.get()?, head.get()?, head.get()?);
    // Each row has a byte at least in two columns, so the count is bounded by what is there.
    if count != bounds.rows || count > counts.remaining() as u64 {
        return None;
    }
    let mut rows = Vec::with_capacity(usize::try_from(count).ok()?);
    let no_rest = rest.is_at_end();
    let mut series = 0u32;
    while !runs.is_at_end() {
        series = series.checked_add(runs.get32()?)?;
        let attributes = runs.get32()?;
        if series as usize >= bounds.labels || attributes as usize >= bounds.labels {
            return None;
        }
        let mut node = 0u32;
        for _ in 0..runs.get()? {
            node = node.checked_add(nodes.get32()?).filter(|n| (*n as usize) < bounds.nodes)?;
            let mut window = first_window;
            for _ in 0..lengths.get()? {
                window = window.checked_add(steps.get()?).filter(|w| *w <= LAST_WINDOW)?;
                let count = counts.get()?;
                let usual = count.wrapping_mul(period);
                let rest = if no_rest { 0 } else { unzigzag(rest.get()?) };
                let value = usual.wrapping_add(rest.cast_unsigned());
                let (series, attributes) = (LabelIx(series), LabelIx(attributes));
                let row = SampleRow { series, attributes, node: NodeIx(node), value, count };
                rows.push(TimedRow { window, row });
            }
        }
    }
    let columns = [head, nodes, lengths, steps, counts, rest];
    (rows.len() as u64 == count && columns.iter().all(Reader::is_at_end)).then_some(rows)
}

/// The last window that can be said in nanoseconds.
pub const LAST_WINDOW: u64 = u64::MAX / WINDOW_NS;

/// Rows by window, in order of time.
pub fn by_window(rows: &[TimedRow], profile_type: &ProfileType) -> Vec<WindowRows> {
    let Some(first) = rows.iter().map(|timed| timed.window).min() else { return Vec::new() };
    let last = rows.iter().map(|timed| timed.window).max().unwrap_or(first);
    // Blocks span an hour; one that says otherwise must not make us take memory for it.
    if last - first > MAX_SPAN_WINDOWS {
        return by_sorting(rows, profile_type);
    }
    let at = |timed: &TimedRow| usize::try_from(timed.window - first).unwrap_or(0);
    let mut lengths = vec![0usize; usize::try_from(last - first).unwrap_or(0) + 1];
    rows.iter().for_each(|timed| lengths[at(timed)] += 1);
    let mut windows: Vec<Vec<SampleRow>> = lengths.into_iter().map(Vec::with_capacity).collect();
    rows.iter().for_each(|timed| windows[at(timed)].push(timed.row));
    let windows = (first..).zip(windows).filter(|(_, rows)| !rows.is_empty());
    windows.map(|(window, rows)| window_rows(window, profile_type, rows)).collect()
}

const MAX_SPAN_WINDOWS: u64 = 1 << 16;

fn by_sorting(rows: &[TimedRow], profile_type: &ProfileType) -> Vec<WindowRows> {
    let mut rows = rows.to_vec();
    rows.sort_by_key(|timed| timed.window);
    let windows = rows.chunk_by(|a, b| a.window == b.window);
    let of = |run: &[TimedRow]| run.iter().map(|timed| timed.row).collect();
    windows.map(|run| window_rows(run[0].window, profile_type, of(run))).collect()
}

fn window_rows(window: u64, profile_type: &ProfileType, rows: Vec<SampleRow>) -> WindowRows {
    let window = UnixNanos(window * WINDOW_NS);
    WindowRows { window, profile_type: profile_type.clone(), rows }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn row() -> impl Strategy<Value = TimedRow> {
        let value = prop_oneof![Just(None), any::<u64>().prop_map(Some)];
        let window = prop_oneof![0..400u64, Just(LAST_WINDOW)];
        (0..5u32, 0..3u32, 0..40u32, window, any::<u16>(), value).prop_map(
            |(series, attributes, node, window, count, value)| {
                let count = u64::from(count);
                let value = value.unwrap_or(count * 1000);
                let (series, attributes) = (LabelIx(series), LabelIx(attributes));
                let row = SampleRow { series, attributes, node: NodeIx(node), value, count };
                TimedRow { window, row }
            },
        )
    }

    proptest! {
        #[test]
        fn rows_are_read_back_or_refused(
            mut rows in prop::collection::vec(row(), 1..200),
            flips in prop::collection::vec((any::<prop::sample::Index>(), 1..=255u8), 1..4),
        ) {
            rows.sort_by_key(TimedRow::key);
            let (mut block, raw_length) = write_rows(&rows, 3).unwrap();
            let bounds =
                RowBounds { labels: 5, nodes: 40, rows: rows.len() as u64, raw_length };
            prop_assert_eq!(read_timed(&block, bounds).unwrap(), rows.clone());
            let windows = by_window(&rows, &ProfileType::cpu());
            prop_assert_eq!(windows.iter().map(|w| w.rows.len()).sum::<usize>(), rows.len());
            prop_assert!(windows.is_sorted_by(|a, b| a.window < b.window));
            for (at, flip) in flips {
                let at = at.index(block.len());
                block[at] ^= flip;
            }
            // What it says then, if anything, is within bounds.
            for timed in read_timed(&block, bounds).unwrap_or_default() {
                prop_assert!(timed.row.node.0 < 40 && timed.row.series.0 < 5);
            }
        }
    }
}
