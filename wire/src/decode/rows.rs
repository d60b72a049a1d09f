//! Rows, and the window that they lie in.

use stoker_dag::{NodeIx, ProfileType, SampleRow, UnixNanos};

use super::{Decoder, WireError, known, lookup, within};
use crate::body::RowGroup;
use crate::limits;
use crate::proto;

impl Decoder {
    /// Rows over what was told so far. Storage keeps dictionary and rows in blocks of their own.
    ///
    /// # Errors
    /// As [`Self::decode`], but the decoder remains usable: rows define nothing.
    pub fn row_groups(&self, groups: &[proto::Rows]) -> Result<Vec<RowGroup>, WireError> {
        let rows = groups.iter().map(|group| group.node_delta.len()).sum();
        within("rows of a batch", rows, limits::MAX_BATCH_ROWS)?;
        groups.iter().map(|group| self.row_group(group)).collect()
    }

    fn row_group(&self, from: &proto::Rows) -> Result<RowGroup, WireError> {
        let profile_type = ProfileType::parse(&self.string(from.profile_type)?)
            .map_err(|_| WireError::Malformed("unknown profile type"))?;
        check_row_columns(from)?;
        let mut rows = Vec::with_capacity(from.node_delta.len());
        for run in 0..from.run_length.len() {
            let series = *lookup(&self.labels, "label set", from.run_series[run])?;
            let attributes = *lookup(&self.labels, "label set", from.run_attributes[run])?;
            let (mut node, nodes) = (0u32, self.depths.len());
            for _ in 0..from.run_length[run] {
                let at = rows.len();
                node = node
                    .checked_add(from.node_delta[at])
                    .ok_or(WireError::Malformed("a node beyond 32 bits"))?;
                let (value, count) = value_and_count(from, at)?;
                let node = NodeIx(known("node", node, nodes)?);
                rows.push(SampleRow { series, attributes, node, value, count });
            }
        }
        Ok(RowGroup { profile_type, period: from.period, rows })
    }
}

fn check_row_columns(from: &proto::Rows) -> Result<(), WireError> {
    let (runs, rows) = (from.run_length.len(), from.node_delta.len());
    let counts = if from.period == 0 { rows } else { 0 };
    let lengths_fit = from.run_series.len() == runs
        && from.run_attributes.len() == runs
        && from.value.len() == rows
        && from.count.len() == counts;
    let in_runs = from.run_length.iter().map(|&length| u64::from(length)).sum::<u64>();
    if !lengths_fit || in_runs != rows as u64 {
        return Err(WireError::Malformed("the columns of rows differ in length"));
    }
    Ok(())
}

fn value_and_count(from: &proto::Rows, at: usize) -> Result<(u64, u64), WireError> {
    if from.period == 0 {
        return Ok((from.value[at], from.count[at]));
    }
    let count = from.value[at];
    let value = count.checked_mul(from.period);
    Ok((value.ok_or(WireError::Malformed("a value beyond 64 bits"))?, count))
}

/// When a batch begins and how long it is, if it lies within one window.
pub(super) fn window(batch: &proto::Batch) -> Result<(UnixNanos, u64), WireError> {
    let start = UnixNanos(batch.start_unix_ns);
    let last = batch.start_unix_ns.checked_add(batch.duration_ns.saturating_sub(1));
    let last = UnixNanos(last.ok_or(WireError::Malformed("a time beyond 64 bits"))?);
    if last.window_start() != start.window_start() {
        return Err(WireError::Malformed("a batch spans more than one window of 10 s"));
    }
    Ok((start, batch.duration_ns))
}
