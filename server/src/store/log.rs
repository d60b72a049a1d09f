//! The write-ahead log: a file that is a stream of its own, from the first string to the last row.
//!
//! A log is written by one encoder and read by one decoder, the same as a stream between agent and
//! server. It is never continued after a restart: it is replayed, sealed and removed, and a new one
//! begins. So a torn end needs no repair, and a damaged one is kept beside as it was found.

use std::io;
use std::path::{Path, PathBuf};

use prost::Message;
use stoker_dag::UnixNanos;

use super::api::SpoolId;
use super::disk::{Disk, DiskFile};
use super::error::StoreError;
use super::guarded::guarded;
use super::head::{Head, ReplayedLog};
use super::messages::LogRecord;
use super::names::NamesGrowth;
use super::records::{Found, next_sound, read_record, write_record};

/// The first bytes of every log.
const MAGIC: &[u8; 8] = b"STKRLOG\n";
/// The version of logs that is written, and the newest that is read.
pub const LOG_VERSION: u32 = 1;
/// Magic, version, and four bytes that are 0.
pub const HEADER_BYTES: usize = 16;

/// The first bytes of a log.
pub fn header() -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..12].copy_from_slice(&LOG_VERSION.to_le_bytes());
    bytes
}

/// Adds a record to what will be written to a log.
pub fn push_record(record: &LogRecord, out: &mut Vec<u8>) {
    write_record(&record.encode_to_vec(), out);
}

/// A log that is being written.
#[derive(Debug)]
pub struct LogFile {
    file: Box<dyn DiskFile>,
}

impl LogFile {
    /// A new log; its name is durable when this returns.
    pub fn create(disk: &dyn Disk, path: &Path) -> Result<Self, StoreError> {
        let create = || -> io::Result<Box<dyn DiskFile>> {
            let mut file = disk.create_new(path)?;
            file.append(&header())?;
            file.sync()?;
            disk.sync_dir(path.parent().unwrap_or(path))?;
            Ok(file)
        };
        Ok(Self { file: create().map_err(StoreError::io("create log", path))? })
    }

    /// Appends records and makes them durable.
    pub fn commit(&mut self, path: &Path, records: &[u8]) -> Result<(), StoreError> {
        self.file.append(records).map_err(StoreError::io("append to log", path))?;
        self.file.sync().map_err(StoreError::io("sync log", path))
    }
}

/// What was not sound in a log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogDamage {
    /// Where the sound part ends.
    pub at: u64,
    /// Bytes from there to the end.
    pub bytes: u64,
    /// Batches that stand behind the damage, sound themselves but over a dictionary that is lost:
    /// spool, sequence and number of samples where they can be told.
    pub behind: Vec<(SpoolId, u64, Option<u64>)>,
    /// Whether sound records stand behind: then it is no torn end.
    pub in_the_middle: bool,
    /// The first and the last window of those.
    pub windows: Option<(UnixNanos, UnixNanos)>,
}

/// A log as it was found.
#[derive(Debug)]
pub struct Replayed {
    /// Its content.
    pub head: Head,
    /// What it teaches of names.
    pub names: NamesGrowth,
    /// Batches that were stored in earlier logs or segments already.
    pub duplicates: u64,
    /// What could not be read.
    pub damage: Option<LogDamage>,
}

/// Reads a whole log. `stored` says how far a spool's batches are stored elsewhere.
///
/// # Errors
/// When the file cannot be read, has no header (then nothing in it was ever acknowledged, or all of
/// it is lost), or is of a later version.
pub fn replay(
    disk: &dyn Disk,
    path: &Path,
    id: u64,
    stored: impl Fn(SpoolId) -> u64,
) -> Result<Replayed, StoreError> {
    let bytes = read_all(disk, path)?;
    check_header(path, &bytes)?;
    let mut replay = Replay::default();
    let mut at = HEADER_BYTES;
    let damaged = loop {
        match read_record(&bytes, at) {
            Found::End => break false,
            Found::Unsound => break true,
            Found::Record(payload) => {
                let taken = guarded("replay a record", || replay.take(payload, &stored));
                if !taken.unwrap_or(false) {
                    break true;
                }
                at += super::records::HEAD_BYTES + payload.len();
            }
        }
    };
    let Replay { mut log, mut names, duplicates } = replay;
    names.modules.merge(&log.decoder.dictionary().modules);
    for (frame, definition) in &names.definitions {
        log.learned.learn(*frame, definition.clone());
    }
    let head = Head::replayed(id, log, at as u64);
    let damage = damaged.then(|| damage(&bytes, at));
    Ok(Replayed { head, names, duplicates, damage })
}

/// All bytes of a log.
pub fn read_all(disk: &dyn Disk, path: &Path) -> Result<Vec<u8>, StoreError> {
    let length = disk.len(path).map_err(StoreError::io("read log", path))?;
    let length = usize::try_from(length).map_err(|e| StoreError::damaged(path, e))?;
    disk.read(path, 0, length).map_err(StoreError::io("read log", path))
}

fn check_header(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let Some(head) = bytes.get(..HEADER_BYTES).filter(|head| head.starts_with(MAGIC)) else {
        return Err(StoreError::damaged(path, "it does not begin as a log does"));
    };
    let found = u32::from_le_bytes([head[8], head[9], head[10], head[11]]);
    if found > LOG_VERSION {
        let path = PathBuf::from(path);
        return Err(StoreError::NewerFormat { path, found, supported: LOG_VERSION });
    }
    if head != header() {
        return Err(StoreError::damaged(path, "its header contradicts itself"));
    }
    Ok(())
}

#[derive(Default)]
struct Replay {
    log: ReplayedLog,
    names: NamesGrowth,
    duplicates: u64,
}

impl Replay {
    /// Takes one record; says whether it could.
    fn take(&mut self, payload: &[u8], stored: &impl Fn(SpoolId) -> u64) -> bool {
        let Ok(record) = LogRecord::decode(payload) else { return false };
        let (Some(source), Some(batch)) = (record.source(), record.batch) else { return false };
        let Ok(body) = self.log.decoder.decode(&batch) else { return false };
        let dictionary = self.log.decoder.dictionary();
        // A log that was written is within the limits.
        let _ = self.log.size.grow(&batch, dictionary);
        self.names.learn_definitions(dictionary, &body.definitions);
        let here = self.log.rows.watermarks.get(&source.spool_id).copied().unwrap_or(0);
        if body.sequence <= stored(source.spool_id).max(here) {
            self.duplicates += 1;
        } else {
            self.log.rows.add(&source, body);
        }
        true
    }
}

fn damage(bytes: &[u8], at: usize) -> LogDamage {
    let mut damage = LogDamage {
        at: at as u64,
        bytes: bytes.len().saturating_sub(at) as u64,
        ..LogDamage::default()
    };
    let mut from = at;
    while let Some(found) = next_sound(bytes, from) {
        let Found::Record(payload) = read_record(bytes, found) else { break };
        from = found + super::records::HEAD_BYTES + payload.len();
        damage.in_the_middle = true;
        if let Ok(record) = LogRecord::decode(payload)
            && let (Some(source), Some(batch)) = (record.source(), &record.batch)
        {
            let samples = samples_of(batch);
            damage.behind.push((source.spool_id, batch.sequence, samples));
            let window = UnixNanos(batch.start_unix_ns).window_start();
            let (first, last) = damage.windows.unwrap_or((window, window));
            damage.windows = Some((first.min(window), last.max(window)));
        }
    }
    damage
}

fn samples_of(batch: &stoker_wire::proto::Batch) -> Option<u64> {
    let counts = batch
        .rows
        .iter()
        .flat_map(|rows| if rows.period == 0 { rows.count.iter() } else { rows.value.iter() });
    counts.copied().try_fold(0u64, u64::checked_add)
}
