//! Samples one by one, as detailed recordings have them: beside the rows that count them, at the raw
//! level only. Summing up drops them, and nothing that sums rows looks at them.

use std::ops::ControlFlow;

use stoker_dag::{LabelIx, NodeIx, ProfileType, SampleRow, UnixNanos};
use stoker_wire::{BatchBody, CpuId, Dictionary, ThreadId};

use super::api::{DictionaryId, TimeRange};

/// One sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DetailedRow {
    /// As of the row that counts it.
    pub series: LabelIx,
    /// Likewise.
    pub attributes: LabelIx,
    /// Likewise.
    pub node: NodeIx,
    /// The thread that ran.
    pub thread: ThreadId,
    /// Where it ran.
    pub cpu: CpuId,
    /// When, in microseconds since the start of the window.
    pub offset_us: u32,
    /// What it is worth, in the profile type's unit.
    pub value: u64,
}

impl DetailedRow {
    /// The sample as a row that counts it alone.
    #[must_use]
    pub const fn row(&self) -> SampleRow {
        let Self { series, attributes, node, value, .. } = *self;
        SampleRow { series, attributes, node, value, count: 1 }
    }

    /// When it was taken, by the window that it stands in.
    #[must_use]
    pub const fn at(&self, window: UnixNanos) -> UnixNanos {
        UnixNanos(window.0.saturating_add(self.offset_us as u64 * 1000))
    }
}

/// Samples of one window and profile type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowDetails {
    /// When the window starts.
    pub window: UnixNanos,
    /// What values count.
    pub profile_type: ProfileType,
    /// In no promised order.
    pub samples: Vec<DetailedRow>,
}

/// Samples over a dictionary.
#[derive(Debug, Clone, Copy)]
pub struct DetailsView<'a> {
    /// What samples refer to.
    pub dictionary: &'a Dictionary,
    /// Which dictionary that is.
    pub dictionary_id: DictionaryId,
    /// In order of profile type, then window.
    pub windows: &'a [WindowDetails],
}

/// Looks at one part after another, and may break off.
pub type DetailsVisitor<'a> = dyn FnMut(DetailsView<'_>) -> ControlFlow<()> + 'a;

/// The samples of a batch, by group of rows.
pub(super) fn of_batch(body: &BatchBody) -> impl Iterator<Item = WindowDetails> {
    let window = body.start.window_start();
    body.details.iter().filter_map(move |details| {
        let group = body.rows.get(details.group)?;
        let samples = details.samples.iter().filter_map(|sample| {
            let row = group.rows.get(sample.row as usize)?;
            Some(DetailedRow {
                series: row.series,
                attributes: row.attributes,
                node: row.node,
                thread: sample.thread,
                cpu: sample.cpu,
                offset_us: sample.offset_us,
                value: group.period,
            })
        });
        let samples: Vec<DetailedRow> = samples.collect();
        let profile_type = group.profile_type.clone();
        (!samples.is_empty()).then_some(WindowDetails { window, profile_type, samples })
    })
}

/// Adds samples to windows that are in order of (profile type, window).
pub(crate) fn insert(windows: &mut Vec<WindowDetails>, more: WindowDetails) {
    let key = |held: &WindowDetails| {
        (held.profile_type.as_str(), held.window).cmp(&(more.profile_type.as_str(), more.window))
    };
    match windows.binary_search_by(key) {
        Ok(at) => windows[at].samples.extend(more.samples),
        Err(at) => windows.insert(at, more),
    }
}

/// The windows of one profile type that lie in the range.
pub(super) fn within(windows: &[WindowDetails], range: TimeRange) -> &[WindowDetails] {
    let from = windows.partition_point(|held| held.window < range.from());
    let until = windows.partition_point(|held| held.window < range.until());
    windows.get(from..until).unwrap_or_default()
}

/// How many samples they are.
pub(super) fn count(windows: &[WindowDetails]) -> u64 {
    windows.iter().map(|held| held.samples.len() as u64).sum()
}
