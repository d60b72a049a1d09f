//! What is known to be missing: named in the log when it is found, and in answers ever after, until
//! its time is over.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use stoker_dag::{UnixNanos, WINDOW_NS};

use super::api::TimeRange;
use super::messages::Footer;

/// Losses that are kept; with more, answers say that there are more.
const MAX_LOSSES: usize = 1000;

/// Data that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Loss {
    /// Which file, and what is wrong with it.
    pub what: String,
    /// The first and the last window that it may have had, where that is known.
    #[serde(with = "window_numbers")]
    pub windows: Option<(UnixNanos, UnixNanos)>,
    /// Rows that it had, where that is known.
    pub rows: Option<u64>,
}

/// All of a tenant's, by file.
#[derive(Debug, Default)]
pub struct Losses {
    held: Mutex<BTreeMap<String, Loss>>,
    changes: AtomicU64,
}

impl Loss {
    /// A segment that cannot be read, and what its footer said, where that is known.
    pub fn of(what: String, footer: Option<&Footer>) -> Self {
        let windows = footer.map(|f| (UnixNanos(f.first_window), UnixNanos(f.last_window)));
        Self { what, windows, rows: footer.map(|footer| footer.rows) }
    }
}

impl Loss {
    /// As it is written down.
    pub fn to_note(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|_| self.what.clone())
    }

    /// What was written down; a note that cannot be read is still a loss.
    pub fn from_note(note: &[u8]) -> Self {
        serde_json::from_slice(note).unwrap_or_else(|_| {
            let what = String::from_utf8_lossy(note).chars().take(200).collect();
            Self { what, windows: None, rows: None }
        })
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if let Some(rows) = self.rows {
            write!(f, ", {rows} rows")?;
        }
        if let Some((first, last)) = self.windows {
            let end = last.0.saturating_add(WINDOW_NS);
            write!(f, ", Unix time {} s to {} s", first.0 / 1_000_000_000, end / 1_000_000_000)?;
        }
        Ok(())
    }
}

/// Windows as two numbers.
mod window_numbers {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use stoker_dag::UnixNanos;

    type Windows = Option<(UnixNanos, UnixNanos)>;

    pub fn serialize<S: Serializer>(windows: &Windows, to: S) -> Result<S::Ok, S::Error> {
        windows.map(|(first, last)| (first.0, last.0)).serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Windows, D::Error> {
        let windows = Option::<(u64, u64)>::deserialize(from)?;
        Ok(windows.map(|(first, last)| (UnixNanos(first), UnixNanos(last))))
    }
}

impl Losses {
    /// Something of `file` is missing; says whether that is news.
    pub fn add(&self, file: &str, loss: Loss) -> bool {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.len() >= MAX_LOSSES && !held.contains_key(file) {
            return false;
        }
        if held.get(file) == Some(&loss) {
            return false;
        }
        self.changes.fetch_add(1, Ordering::AcqRel);
        held.insert(file.to_owned(), loss).is_none()
    }

    /// A file that could not be read can be.
    pub fn read_again(&self, file: &str) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if !held.is_empty() && held.remove(file).is_some() {
            self.changes.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// How often they have changed.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// What may be missing in a range.
    pub fn within(&self, range: TimeRange) -> Vec<Loss> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let touches =
            |loss: &&Loss| loss.windows.is_none_or(|(first, last)| range.overlaps(first, last));
        held.values().filter(touches).cloned().collect()
    }
}
