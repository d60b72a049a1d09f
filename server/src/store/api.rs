//! What callers of the store give and get.

use std::fmt;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use stoker_dag::{DefinitionMap, ModuleMap, ProfileType, SampleRow, UnixNanos, WINDOW_NS};
use stoker_wire::{Dictionary, HostFacts};

use super::error::StoreError;
use super::level::Level;
use super::segment::Sums;

/// Whose data. It comes from the credential, never from the body of a request.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TenantId(Arc<str>);

impl TenantId {
    /// The one tenant that there is today.
    #[must_use]
    pub fn default_tenant() -> Self {
        Self("default".into())
    }

    /// The tenant of this name, which is also the name of its folders.
    ///
    /// # Errors
    /// When the name is empty, long, or has other characters than `a-z`, `0-9`, `-`, `_`.
    pub fn parse(name: &str) -> Result<Self, StoreError> {
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
        if name.is_empty() || name.len() > 64 || !name.bytes().all(fits) {
            return Err(StoreError::TenantName(name.chars().take(80).collect()));
        }
        Ok(Self(name.into()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names an agent's spool; it survives restarts of the agent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpoolId(pub [u8; 16]);

impl fmt::Debug for SpoolId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Where a batch comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchSource {
    /// The spool: half of the dedup key.
    pub spool_id: SpoolId,
    /// Names the host for as long as its machine id lasts.
    pub host_id: [u8; 16],
    /// What the host calls itself.
    pub host_name: Arc<str>,
}

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// It is on disk.
    Durable,
    /// It, or a later one of its spool, was on disk already; nothing was added.
    Duplicate,
}

/// A half-open range of time, widened to whole windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeRange {
    from: UnixNanos,
    until: UnixNanos,
}

impl TimeRange {
    /// All time.
    pub const ALL: Self = Self { from: UnixNanos(0), until: UnixNanos(u64::MAX) };

    /// `[from, until)`, widened outwards to windows.
    #[must_use]
    pub fn new(from: UnixNanos, until: UnixNanos) -> Self {
        let last = UnixNanos(until.0.saturating_add(WINDOW_NS - 1)).window_start();
        Self { from: from.window_start(), until: last }
    }

    /// The first window's start.
    #[must_use]
    pub fn from(&self) -> UnixNanos {
        self.from
    }

    /// The end of the last window.
    #[must_use]
    pub fn until(&self) -> UnixNanos {
        self.until
    }

    /// Whether a window that starts here lies within.
    #[must_use]
    pub fn holds(&self, window: UnixNanos) -> bool {
        self.from <= window && window < self.until
    }

    /// Whether any window from `first` to `last` lies within.
    #[must_use]
    pub fn overlaps(&self, first: UnixNanos, last: UnixNanos) -> bool {
        self.from <= last && first < self.until
    }
}

/// Tells dictionaries apart: within one visit, equal ones are one dictionary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DictionaryId {
    /// The segment, log or whatever has it.
    pub part: u64,
    /// Which of its slices.
    pub slice: u32,
}

impl DictionaryId {
    /// The only dictionary of a part.
    #[must_use]
    pub const fn of(part: u64) -> Self {
        Self { part, slice: 0 }
    }
}

/// One part of the answer to [`Store::visit`](super::Store::visit): rows and facts over a
/// dictionary. Calls that follow one another may share a dictionary (a segment of several blocks), and
/// one segment may have several (its slices).
#[derive(Debug, Clone, Copy)]
pub struct PartView<'a> {
    /// What rows refer to.
    pub dictionary: &'a Dictionary,
    /// Which dictionary that is.
    pub dictionary_id: DictionaryId,
    /// In order of profile type, then window.
    pub windows: &'a [WindowRows],
    /// In order of window.
    pub facts: &'a [WindowFacts],
    /// How finely all of it was kept.
    pub level: Level,
    /// At [`Level::Functions`], in parts without windows: for each function the value and the count
    /// of all samples that it has a part in. Each function is a node below the root.
    pub totals: &'a [WindowRows],
    /// Rows of a block summed over its windows, in parts without windows, where that was asked for.
    pub sums: Option<&'a Sums>,
}

/// Looks at one part after another, and may break off.
pub type PartVisitor<'a> = dyn FnMut(PartView<'_>) -> ControlFlow<()> + 'a;

impl<'a> PartView<'a> {
    /// Rows and facts as they came.
    #[must_use]
    pub const fn raw(
        dictionary: &'a Dictionary,
        dictionary_id: DictionaryId,
        windows: &'a [WindowRows],
        facts: &'a [WindowFacts],
    ) -> Self {
        Self {
            dictionary,
            dictionary_id,
            windows,
            facts,
            level: Level::Raw,
            totals: &[],
            sums: None,
        }
    }
}

/// Rows of one window and profile type. One (series, attributes, node) may stand in several rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowRows {
    /// When the window starts.
    pub window: UnixNanos,
    /// What values count.
    pub profile_type: ProfileType,
    /// In no promised order.
    pub rows: Vec<SampleRow>,
}

/// What one batch said of its host's time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowFacts {
    /// The window that holds the batch.
    pub window: UnixNanos,
    /// Which host.
    pub host_id: [u8; 16],
    /// What it calls itself.
    pub host_name: Arc<str>,
    /// What it said.
    pub facts: HostFacts,
}

/// What is known of frames and builds, tenant-wide: the winners over all that was ever stored.
#[derive(Debug, Default)]
pub struct Names {
    /// What frames mean.
    pub definitions: DefinitionMap,
    /// The files behind build ids.
    pub modules: ModuleMap,
}

/// How a store is set up.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// The data folder; it is made when it is not there.
    pub dir: PathBuf,
    /// A log with data is sealed when it is this old.
    pub seal_after: Duration,
    /// A log is sealed when it has this many bytes.
    pub seal_bytes: u64,
    /// A log is sealed when it has this many rows: they are held in memory until then.
    pub seal_rows: u64,
    /// Logs that may wait to be sealed before appends have to wait.
    pub max_waiting_logs: usize,
    /// Bytes of batches that may wait for the disk, if [`Self::ingest_memory`] allows for so many.
    pub max_queued_bytes: u32,
    /// Bytes of memory that ingest may take: streams, batches that wait, logs that are not sealed, sealing
    /// and merging.
    pub ingest_memory: u64,
    /// How long sealing waits after it failed; each time twice as long, up to 128 times.
    pub retry_after: Duration,
    /// How long an append waits for room before it is [`StoreError::Busy`].
    pub busy_after: Duration,
    /// Bytes of decoded segments that are kept in memory.
    pub cache_bytes: usize,
    /// Distinct series that a tenant may have in use, in one log and the one before it.
    pub max_series: usize,
    /// Distinct sets of attributes that it may have in use; rows beyond are stored without theirs.
    pub max_attribute_sets: usize,
    /// Whether there is an index. Without one every start reads the ends of all segments.
    pub index: bool,
    /// How often it is looked for what can be merged or removed; zero leaves all as it is.
    pub maintain_every: Duration,
    /// Small segments of one hour beyond which sealing waits for merging.
    pub most_unmerged: usize,
    /// Rows of a merged segment at most, if [`Self::ingest_memory`] allows for so many: its bytes are held
    /// in memory while it is made, slice by slice.
    pub compact_rows: u64,
    /// How long rows are kept as they came; forever where it is not said.
    pub retain_raw: Option<Duration>,
    /// How long stacks are kept by the hour, counted from when they were taken; zero makes none.
    pub retain_hourly: Option<Duration>,
    /// How long functions are kept by the hour, counted likewise; zero makes no such tables.
    pub retain_functions: Option<Duration>,
    /// Labels and attributes that rollups keep beside [`ROLLUP_KEYS`](super::ROLLUP_KEYS).
    pub rollup_labels: Vec<Arc<str>>,
    /// Bytes of logs and segments at most: the oldest go before there are more.
    pub max_disk: Option<u64>,
    /// Bytes of the disk that stay free: with less no batch is taken. Unless said, a twentieth of the
    /// disk, at most 1 GiB.
    pub min_free_disk: Option<u64>,
    /// The wall clock, in Unix nanoseconds. Where it jumps it is not believed at once.
    pub wall_clock: fn() -> u64,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            dir: PathBuf::from("stoker-data"),
            seal_after: Duration::from_secs(300),
            seal_bytes: 64 << 20,
            seal_rows: 4 << 20,
            max_waiting_logs: 2,
            max_queued_bytes: 64 << 20,
            ingest_memory: 1 << 30,
            retry_after: Duration::from_millis(50),
            busy_after: Duration::from_secs(10),
            cache_bytes: 256 << 20,
            max_series: 100_000,
            max_attribute_sets: 500_000,
            index: true,
            maintain_every: Duration::from_secs(10),
            most_unmerged: 256,
            compact_rows: 32 << 20,
            retain_raw: Some(Duration::from_secs(7 * 24 * 3600)),
            retain_hourly: Some(Duration::from_secs(90 * 24 * 3600)),
            retain_functions: Some(Duration::from_secs(400 * 24 * 3600)),
            rollup_labels: Vec::new(),
            max_disk: None,
            min_free_disk: None,
            wall_clock: super::shared::now,
        }
    }
}

/// What the store counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoreMetrics {
    /// Batches that were made durable.
    pub batches: u64,
    /// Their rows.
    pub rows: u64,
    /// Batches that had been stored before.
    pub duplicates: u64,
    /// Bytes written to logs.
    pub log_bytes: u64,
    /// Syncs of logs; batches divided by this is the size of a group.
    pub log_syncs: u64,
    /// Logs that could not be written or synced.
    pub log_failures: u64,
    /// Logs that wait to be sealed.
    pub logs_waiting: u64,
    /// Logs that could not be sealed and wait for the next start: their rows are missing from answers.
    pub logs_left: u64,
    /// Segments that were written.
    pub segments_sealed: u64,
    /// Attempts to write a segment that failed.
    pub seal_failures: u64,
    /// Logs that were sealed later because merging was far behind.
    pub seals_held_up: u64,
    /// Segments that there are.
    pub segments: u64,
    /// Their bytes.
    pub segment_bytes: u64,
    /// Rows that they hold.
    pub segment_rows: u64,
    /// Segments that could not be read when asked.
    pub read_failures: u64,
    /// Files that were set aside as damaged when the store was opened.
    pub set_aside: u64,
    /// Times that segments were merged into one.
    pub compactions: u64,
    /// Segments that were removed because their time was over or the disk's share used up.
    pub segments_expired: u64,
    /// Their rows.
    pub rows_expired: u64,
    /// Segments that were summed up by the hour or by function.
    pub segments_rolled: u64,
    /// Their rows.
    pub rows_rolled: u64,
    /// Attempts to merge or remove that failed.
    pub maintenance_failures: u64,
    /// Bytes of logs and segments.
    pub disk_used_bytes: u64,
    /// Frames that have a definition.
    pub definitions: u64,
    /// Bytes that the disk has left; 0 where that is not known.
    pub disk_free_bytes: u64,
    /// Batches that could not be decoded and were set aside.
    pub batches_quarantined: u64,
    /// Rows that were stored without their attributes, because there were too many sets of them.
    pub attributes_dropped: u64,
    /// 1 where nothing can be written.
    pub is_read_only: u64,
    /// Bytes of memory of logs that are not sealed yet.
    pub logs_memory_bytes: u64,
}
