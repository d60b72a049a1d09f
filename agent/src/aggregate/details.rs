//! Samples one by one, for detailed recordings: moment, thread and CPU of each, beside the counts.

use stoker_dag::{LabelIx, NodeIx, SampleRow, UnixNanos};
use stoker_wire::{CpuId, DetailedSample, ThreadId};

/// Samples of one window that are kept one by one until the next flush, 28 bytes each: ten seconds of 250
/// busy CPUs at 99 Hz. What comes beyond is counted in its row and has no moment, which whoever asks for
/// moments is told.
pub(super) const MAX_DETAILS: usize = 256 << 10;

/// Where a sample was taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Place {
    /// The thread that ran.
    pub thread: ThreadId,
    /// The CPU.
    pub cpu: CpuId,
}

/// What a row is counted under.
pub(super) type RowKey = (LabelIx, LabelIx, NodeIx);

/// Samples of one window and period.
#[derive(Debug, Default)]
pub(super) struct Moments(Vec<(RowKey, u32, Place)>);

impl Moments {
    /// Keeps a sample, unless there are too many.
    pub(super) fn add(&mut self, key: RowKey, at: UnixNanos, place: Place) {
        if self.0.len() < MAX_DETAILS {
            let offset_us = (at.0 - at.window_start().0) / 1000;
            // A window has ten million of them.
            self.0.push((key, u32::try_from(offset_us).unwrap_or(0), place));
        }
    }

    /// The samples of these rows, which are in order of their keys and of which each was counted.
    pub(super) fn of(&self, rows: &[SampleRow]) -> Vec<DetailedSample> {
        let place_of = |key: RowKey| {
            let at = rows.binary_search_by_key(&key, |row| (row.series, row.attributes, row.node));
            at.ok().and_then(|at| u32::try_from(at).ok())
        };
        let sample = |&(key, offset_us, place): &(RowKey, u32, Place)| {
            let Place { thread, cpu } = place;
            place_of(key).map(|row| DetailedSample { cpu, offset_us, thread, row })
        };
        let mut samples: Vec<DetailedSample> = self.0.iter().filter_map(sample).collect();
        samples.sort_unstable();
        samples
    }
}
