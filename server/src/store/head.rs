//! A log's content in memory: its dictionary, and the rows and facts of its durable batches.
//!
//! While the log is written the dictionary is that of the log's own encoder, so that the bytes of
//! the log and the head can not differ in what an id means. After a restart it is the decoder's.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, RwLockReadGuard};
use std::time::Instant;

use rustc_hash::FxHashMap;
use stoker_dag::{DefinitionMap, ProfileType, SampleRow, UnixNanos};
use stoker_wire::{BatchBody, Decoder, Dictionary, Encoded, Encoder, HostFacts, WireError, limits};

use super::api::{
    BatchSource, DictionaryId, PartView, SpoolId, TimeRange, WindowFacts, WindowRows,
};
use super::details::{self, DetailsView, WindowDetails};
use super::footprint::{BYTES_PER_STRING, batch_bytes, dictionary_bytes};
use super::line::StreamRebase;
use super::losses::Loss;
use super::told::{Bounds, Size, Told};

/// The content of one log.
#[derive(Debug)]
pub struct Head {
    /// The log's id.
    pub log: u64,
    /// When the first batch was encoded for the log.
    pub since: OnceLock<Instant>,
    dictionary: RwLock<HeadDictionary>,
    rows: RwLock<HeadRows>,
    told: Mutex<Told>,
    /// Bytes in the log.
    pub log_bytes: AtomicU64,
    /// About how much memory it takes.
    pub memory: AtomicU64,
    /// Rows encoded for the log, durable or not yet.
    pub encoded_rows: AtomicU64,
    /// Whether the log takes no more because writing it failed.
    pub failed: Arc<AtomicBool>,
    /// Whether the log's file is damaged and must be kept for people to look at.
    pub damaged: AtomicBool,
    /// Whether the log's file has batches that were stored elsewhere.
    pub overlaps: AtomicBool,
}

/// Where the head's dictionary comes from.
#[derive(Debug)]
enum HeadDictionary {
    /// The log is being written.
    Written(Box<Encoder>),
    /// The log was replayed; what it says of frames.
    Replayed(Box<Decoder>, Box<DefinitionMap>),
}

impl HeadDictionary {
    fn get(&self) -> &Dictionary {
        match self {
            Self::Written(encoder) => encoder.dictionary(),
            Self::Replayed(decoder, _) => decoder.dictionary(),
        }
    }
}

/// Durable rows and facts.
#[derive(Debug, Default)]
pub struct HeadRows {
    /// In order of (profile type, window).
    pub windows: Vec<WindowRows>,
    /// Samples one by one, where they came so; in order of (profile type, window).
    pub details: Vec<WindowDetails>,
    /// In order of window.
    pub facts: Vec<WindowFacts>,
    /// The highest sequence of each spool.
    pub watermarks: FxHashMap<SpoolId, u64>,
}

/// What a replay gives.
#[derive(Debug, Default)]
pub struct ReplayedLog {
    /// The log's dictionary.
    pub decoder: Decoder,
    /// Its batches.
    pub rows: HeadRows,
    /// What the dictionary came to.
    pub size: Size,
    /// What it says of frames.
    pub learned: DefinitionMap,
}

/// What [`Head::encode`] gives.
#[derive(Debug)]
pub enum Encode {
    /// To be written, and how many of its rows have lost their attributes.
    Encoded(Box<Encoded>, u64),
    /// The log's dictionary would exceed a limit: the log must not take this batch nor any other.
    Full(WireError),
    /// More series than one log may have.
    TooManySeries,
}

impl Head {
    /// The empty head of a new log.
    pub fn new(log: u64) -> Self {
        Self::of(log, HeadDictionary::Written(Box::default()), HeadRows::default())
    }

    /// The empty head of the log that follows this one. What this one told of keeps its place among
    /// those that are bounded in number.
    pub fn next(&self, log: u64) -> Self {
        let next = Self::new(log);
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner).next();
        *next.told.lock().unwrap_or_else(PoisonError::into_inner) = told;
        next
    }

    /// The head of a log that was read.
    pub fn replayed(log: u64, replayed: ReplayedLog, log_bytes: u64) -> Self {
        let ReplayedLog { decoder, rows, size, learned } = replayed;
        let dictionary = HeadDictionary::Replayed(Box::new(decoder), Box::new(learned));
        let head = Self::of(log, dictionary, rows);
        head.told.lock().unwrap_or_else(PoisonError::into_inner).size = size;
        head.log_bytes.store(log_bytes, Ordering::Relaxed);
        head
    }

    fn of(log: u64, dictionary: HeadDictionary, rows: HeadRows) -> Self {
        Self {
            log,
            since: OnceLock::new(),
            dictionary: RwLock::new(dictionary),
            rows: RwLock::new(rows),
            told: Mutex::default(),
            log_bytes: AtomicU64::new(0),
            memory: AtomicU64::new(0),
            encoded_rows: AtomicU64::new(0),
            failed: Arc::default(),
            damaged: AtomicBool::new(false),
            overlaps: AtomicBool::new(false),
        }
    }

    /// Encodes a batch for the log. After [`Encode::Full`] the dictionary has entries that no record
    /// tells of; the head can still be read and sealed.
    pub fn encode(
        &self,
        source: &Dictionary,
        body: &BatchBody,
        rebase: &mut StreamRebase,
        bounds: Bounds,
    ) -> Encode {
        if rebase.log != self.log {
            rebase.begin(self.log);
        }
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if !told.take_series(source, body, &mut rebase.series, bounds.series) {
            return Encode::TooManySeries;
        }
        let (body, dropped) = told.bound_attributes(source, body, &mut rebase.attributes, bounds);
        let body = &*body;
        let mut dictionary = self.dictionary.write().unwrap_or_else(PoisonError::into_inner);
        let HeadDictionary::Written(encoder) = &mut *dictionary else {
            return Encode::Full(WireError::Malformed("the log is closed"));
        };
        let encoded = encoder.encode(source, body, &mut rebase.rebase);
        if let Err(error) = told.size.grow(&encoded.batch, encoder.dictionary()) {
            return Encode::Full(error);
        }
        self.since.get_or_init(Instant::now);
        told.batch_bytes += batch_bytes(body);
        let names = told.size.string_bytes * 2 + told.size.strings * BYTES_PER_STRING;
        let memory = told.batch_bytes + names + dictionary_bytes(encoder.dictionary());
        self.memory.store(memory as u64, Ordering::Relaxed);
        self.encoded_rows.fetch_add(body.row_count() as u64, Ordering::Relaxed);
        Encode::Encoded(Box::new(encoded), dropped)
    }

    /// Adds a batch that is durable.
    pub fn add(&self, source: &BatchSource, body: BatchBody) {
        self.rows.write().unwrap_or_else(PoisonError::into_inner).add(source, body);
    }

    /// Rows and facts as they are now.
    pub fn rows(&self) -> RwLockReadGuard<'_, HeadRows> {
        self.rows.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// All that it holds, as something that is missing.
    pub fn loss(&self, what: String) -> Loss {
        let held = self.rows();
        let windows = || held.windows.iter().map(|held| held.window);
        let windows = windows().min().zip(windows().max());
        let rows = held.windows.iter().map(|held| held.rows.len() as u64).sum();
        Loss { what, windows, rows: Some(rows) }
    }

    /// Calls `look` with the dictionary.
    pub fn with_dictionary<R>(&self, look: impl FnOnce(&Dictionary) -> R) -> R {
        look(self.dictionary.read().unwrap_or_else(PoisonError::into_inner).get())
    }

    /// What the log itself says of frames.
    pub fn learned(&self) -> DefinitionMap {
        match &*self.dictionary.read().unwrap_or_else(PoisonError::into_inner) {
            HeadDictionary::Written(encoder) => encoder.definitions().clone(),
            HeadDictionary::Replayed(_, learned) => DefinitionMap::clone(learned),
        }
    }

    /// Whether so many more strings of so many bytes fit the limits of one dictionary.
    pub fn has_room_for(&self, strings: usize, bytes: usize) -> bool {
        let size = self.told.lock().unwrap_or_else(PoisonError::into_inner).size;
        size.strings.saturating_add(strings) < limits::MAX_STREAM_STRINGS
            && size.string_bytes.saturating_add(bytes) < limits::MAX_STREAM_STRING_BYTES
    }

    /// Calls `visit` with what lies in the range, if anything does.
    pub fn visit<B>(
        &self,
        range: TimeRange,
        profile_type: Option<&ProfileType>,
        mut visit: impl FnMut(PartView<'_>) -> std::ops::ControlFlow<B>,
    ) -> std::ops::ControlFlow<B> {
        let rows = self.rows();
        let facts = facts_in(&rows.facts, range);
        let all = rows.windows.chunk_by(|a, b| a.profile_type == b.profile_type);
        let wanted = all.filter(|run| profile_type.is_none_or(|t| run[0].profile_type == *t));
        let parts: Vec<&[WindowRows]> =
            wanted.map(|run| windows_in(run, range)).filter(|part| !part.is_empty()).collect();
        let dictionary_id = DictionaryId::of(self.log);
        self.with_dictionary(|dictionary| {
            let first = parts.first().copied().unwrap_or_default();
            if !(first.is_empty() && facts.is_empty()) {
                visit(PartView::raw(dictionary, dictionary_id, first, facts))?;
            }
            for windows in parts.iter().skip(1) {
                visit(PartView::raw(dictionary, dictionary_id, windows, &[]))?;
            }
            std::ops::ControlFlow::Continue(())
        })
    }
}

impl Head {
    /// Calls `visit` with the samples of the range that came one by one, if there are any.
    pub fn visit_details<B>(
        &self,
        range: TimeRange,
        profile_type: Option<&ProfileType>,
        mut visit: impl FnMut(DetailsView<'_>) -> std::ops::ControlFlow<B>,
    ) -> std::ops::ControlFlow<B> {
        let rows = self.rows();
        if rows.details.is_empty() {
            return std::ops::ControlFlow::Continue(());
        }
        let dictionary_id = DictionaryId::of(self.log);
        let all = rows.details.chunk_by(|a, b| a.profile_type == b.profile_type);
        let all = all.filter(|run| profile_type.is_none_or(|t| run[0].profile_type == *t));
        self.with_dictionary(|dictionary| {
            for windows in all.map(|run| details::within(run, range)).filter(|run| !run.is_empty())
            {
                visit(DetailsView { dictionary, dictionary_id, windows })?;
            }
            std::ops::ControlFlow::Continue(())
        })
    }
}

impl HeadRows {
    /// Adds a batch that is durable.
    pub fn add(&mut self, source: &BatchSource, body: BatchBody) {
        let window = body.start.window_start();
        let held = self.watermarks.entry(source.spool_id).or_default();
        *held = body.sequence.max(*held);
        details::of_batch(&body).for_each(|more| details::insert(&mut self.details, more));
        for group in body.rows.into_iter().filter(|group| !group.rows.is_empty()) {
            self.window(group.profile_type, window, group.rows);
        }
        let at = self.facts.partition_point(|facts| facts.window <= window);
        let (host_id, host_name) = (source.host_id, Arc::clone(&source.host_name));
        // Whoever lists agents has counted these; no query reads them.
        let facts = HostFacts { broken: Vec::new(), nameless: Vec::new(), ..body.facts };
        self.facts.insert(at, WindowFacts { window, host_id, host_name, facts });
    }

    fn window(&mut self, profile_type: ProfileType, window: UnixNanos, rows: Vec<SampleRow>) {
        let key = |held: &WindowRows| {
            (held.profile_type.as_str(), held.window).cmp(&(profile_type.as_str(), window))
        };
        match self.windows.binary_search_by(key) {
            Ok(at) => self.windows[at].rows.extend(rows),
            Err(at) => self.windows.insert(at, WindowRows { window, profile_type, rows }),
        }
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.watermarks.is_empty()
    }
}

/// The windows of one profile type that lie in the range.
pub fn windows_in(windows: &[WindowRows], range: TimeRange) -> &[WindowRows] {
    let from = windows.partition_point(|held| held.window < range.from());
    let until = windows.partition_point(|held| held.window < range.until());
    windows.get(from..until).unwrap_or_default()
}

/// The facts that lie in the range.
pub fn facts_in(facts: &[WindowFacts], range: TimeRange) -> &[WindowFacts] {
    let from = facts.partition_point(|held| held.window < range.from());
    let until = facts.partition_point(|held| held.window < range.until());
    facts.get(from..until).unwrap_or_default()
}
