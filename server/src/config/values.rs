//! Values of settings: durations, sizes, labels. Each error says which setting, what is wrong and what
//! to write.

use std::sync::Arc;
use std::time::Duration;

use super::ConfigError;
use crate::query::time;
use crate::store::GROUP_LABEL;

pub(super) fn positive(setting: &'static str, text: &str) -> Result<Duration, ConfigError> {
    let wrong = |message: String, hint: String| ConfigError::Value { setting, message, hint };
    let duration = time::duration(text).map_err(|error| wrong(error.message, error.hint))?;
    match duration.is_zero() {
        true => Err(wrong("it must be more than 0".into(), "write it like 30s or 7d".into())),
        false => Ok(duration),
    }
}

/// How long a rollup is kept; zero is never.
pub(super) fn retention(
    setting: &'static str,
    text: &str,
) -> Result<Option<Duration>, ConfigError> {
    match text.trim() {
        "forever" => Ok(None),
        "0" => Ok(Some(Duration::ZERO)),
        text => positive(setting, text).map(Some),
    }
}

/// The most labels that rollups may keep beside the usual ones.
const MAX_ROLLUP_LABELS: usize = 16;

pub(super) fn rollup_labels(labels: &[String]) -> Result<Vec<Arc<str>>, ConfigError> {
    let wrong = |message: String| {
        let hint = "name labels of few values, such as team".to_owned();
        ConfigError::Value { setting: "rollup_labels", message, hint }
    };
    if labels.len() > MAX_ROLLUP_LABELS {
        return Err(wrong(format!("more than {MAX_ROLLUP_LABELS} labels")));
    }
    match labels.iter().find(|label| ["", "host", GROUP_LABEL].contains(&label.trim())) {
        Some(label) => Err(wrong(format!("{label:?} cannot be kept"))),
        None => Ok(labels.iter().map(|label| label.trim().into()).collect()),
    }
}

/// The least that a quota may be: a log of the usual size and the segment that it becomes.
pub(super) const MIN_DISK_BYTES: u64 = 256 << 20;

/// The least that ingest gets: less, and a log would hold a handful of batches.
pub(super) const MIN_INGEST_MEMORY: u64 = 64 << 20;

/// The least that a query gets: what a small answer takes.
pub(super) const MIN_QUERY_MEMORY: u64 = 16 << 20;

pub(super) fn size(setting: &'static str, text: &str, least: u64) -> Result<usize, ConfigError> {
    bytes(setting, text, least).map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX))
}

/// Reads a number of bytes, as `500MiB`, `20GiB`, `1TiB`; a bare number is bytes.
pub(super) fn bytes(setting: &'static str, text: &str, least: u64) -> Result<u64, ConfigError> {
    const UNITS: [(&str, u32); 7] =
        [("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40), ("K", 10), ("M", 20), ("G", 30)];
    let trimmed = text.trim();
    let unit = UNITS.iter().find_map(|(unit, shift)| Some((trimmed.strip_suffix(unit)?, *shift)));
    let (number, shift) = unit.unwrap_or((trimmed, 0));
    let number: Option<u64> = number.trim().parse().ok();
    let bytes = number.and_then(|number| number.checked_mul(1 << shift));
    let wrong = |message: String| {
        let hint = match least >> 20 {
            0 => "write it like 20GiB".to_owned(),
            mib => format!("write it like 20GiB, at least {mib}MiB"),
        };
        ConfigError::Value { setting, message, hint }
    };
    match bytes {
        None => Err(wrong(format!("{text:?} is no number of bytes"))),
        Some(bytes) if bytes < least => Err(wrong(format!("{text:?} is too little"))),
        Some(bytes) => Ok(bytes),
    }
}
