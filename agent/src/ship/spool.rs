//! The bounded disk spool: batches that no server has acknowledged yet.
//!
//! Each file holds one batch with its own dictionary, so that it can be sent on any stream, and any
//! file can go without hurting another. Past the bound the oldest go and are counted. Files are not
//! synced: the spool guards against a server that is away and an agent that restarts, and a host
//! that loses power loses the seconds that were not yet written back.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use prost::Message;
use stoker_wire::{BatchBody, Decoder, Dictionary, Encoder, Rebase, proto};

/// Where the spool lives and how large it may grow.
#[derive(Debug, Clone)]
pub struct SpoolConfig {
    /// Its folder, which belongs to one agent.
    pub dir: PathBuf,
    /// All files together.
    pub max_bytes: u64,
}

/// A batch with its own dictionary.
#[derive(Debug, Clone)]
pub struct SelfContained {
    /// What the rows refer to.
    pub dictionary: Dictionary,
    /// The batch.
    pub body: BatchBody,
}

/// Why the spool cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The file system said no.
    #[error("cannot {doing} {path}: {source}; give the agent a folder it may write (--state-dir)")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another agent has it.
    #[error("{path} is in use by another agent; give each agent its own --state-dir")]
    InUse {
        /// The lock.
        path: PathBuf,
    },
    /// The spool's own files make no sense.
    #[error(
        "{path} is damaged ({why}); remove the folder to start afresh, which loses what it holds"
    )]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        why: &'static str,
    },
}

/// What went when the spool was full.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Evicted {
    /// Batches.
    pub batches: u64,
    /// Samples in them.
    pub samples: u64,
}

const MAGIC: [u8; 8] = *b"STKSPL01";
const HEADER_BYTES: usize = 8 + 4 + 8;
/// Sequences are reserved in blocks, so that not each batch rewrites the counter. Gaps are legal.
const SEQUENCE_BLOCK: u64 = 1000;

/// The spool. Files are named by sequence.
#[derive(Debug)]
pub struct Spool {
    config: SpoolConfig,
    id: [u8; 16],
    /// Sequence to (bytes, samples).
    held: BTreeMap<u64, (u64, u64)>,
    bytes: u64,
    next: u64,
    reserved: u64,
    /// Held for its lock.
    _lock: fs::File,
}

impl Spool {
    /// Opens a spool or makes a new one. Files that make no sense are set aside and counted by
    /// the caller's log, never sent.
    ///
    /// # Errors
    /// When the folder cannot be used or another agent uses it.
    pub fn open(config: SpoolConfig) -> Result<Self, SpoolError> {
        fs::create_dir_all(&config.dir).map_err(io_error("create", &config.dir))?;
        let lock = lock(&config.dir.join("lock"))?;
        let id = spool_id(&config.dir.join("spool-id"))?;
        let reserved = read_sequence(&config.dir.join("sequence"))?;
        let mut spool = Self {
            config,
            id,
            held: BTreeMap::new(),
            bytes: 0,
            next: reserved + 1,
            reserved,
            _lock: lock,
        };
        spool.scan()?;
        Ok(spool)
    }

    /// The spool's id: with the sequence, what makes a batch count once.
    #[must_use]
    pub fn id(&self) -> [u8; 16] {
        self.id
    }

    /// Writes a batch and says what had to go for it.
    ///
    /// # Errors
    /// When the file cannot be written; the batch is not held then.
    pub fn push(
        &mut self,
        dictionary: &Dictionary,
        body: &BatchBody,
    ) -> Result<Evicted, SpoolError> {
        let sequence = self.take_sequence()?;
        let numbered = BatchBody { sequence, ..body.clone() };
        let encoded = Encoder::default().encode(dictionary, &numbered, &mut Rebase::default());
        let bytes = encode_file(&encoded.batch, body.samples());
        let evicted = self.make_room(bytes.len() as u64)?;
        let path = self.path(sequence);
        let partial = path.with_extension("partial");
        fs::write(&partial, &bytes).map_err(io_error("write", &partial))?;
        fs::rename(&partial, &path).map_err(io_error("name", &path))?;
        self.hold(sequence, bytes.len() as u64, body.samples());
        Ok(evicted)
    }

    /// Reads a batch back; `None` when it is damaged, which sets it aside.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(&mut self, sequence: u64) -> Result<Option<SelfContained>, SpoolError> {
        let path = self.path(sequence);
        let bytes = fs::read(&path).map_err(io_error("read", &path))?;
        let decoded = decode_file(&bytes);
        if decoded.is_none() {
            tracing::error!(path = %path.display(), "damaged spool file set aside");
            self.forget(sequence);
            let aside = path.with_extension("damaged");
            fs::rename(&path, &aside).map_err(io_error("set aside", &path))?;
        }
        Ok(decoded)
    }

    /// Removes a batch that is safe elsewhere, or refused for good.
    pub fn remove(&mut self, sequence: u64) {
        if self.forget(sequence).is_some() {
            let path = self.path(sequence);
            if let Err(error) = fs::remove_file(&path) {
                tracing::warn!(path = %path.display(), %error, "cannot remove a spool file");
            }
        }
    }

    /// Removes all that the server says it has.
    pub fn remove_through(&mut self, sequence: u64) {
        let safe: Vec<u64> = self.held.range(..=sequence).map(|(held, _)| *held).collect();
        safe.into_iter().for_each(|held| self.remove(held));
    }

    /// The first batch after `sequence` that waits.
    #[must_use]
    pub fn next_after(&self, sequence: u64) -> Option<u64> {
        self.held.range(sequence + 1..).next().map(|(held, _)| *held)
    }

    /// How many samples a waiting batch holds.
    #[must_use]
    pub fn samples(&self, sequence: u64) -> u64 {
        self.held.get(&sequence).map_or(0, |(_, samples)| *samples)
    }

    /// How many batches wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// The size of all that waits.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    fn path(&self, sequence: u64) -> PathBuf {
        self.config.dir.join(format!("{sequence:020}.batch"))
    }

    fn hold(&mut self, sequence: u64, bytes: u64, samples: u64) {
        self.held.insert(sequence, (bytes, samples));
        self.bytes += bytes;
    }

    fn forget(&mut self, sequence: u64) -> Option<(u64, u64)> {
        let gone = self.held.remove(&sequence)?;
        self.bytes -= gone.0;
        Some(gone)
    }

    fn take_sequence(&mut self) -> Result<u64, SpoolError> {
        if self.next > self.reserved {
            let reserved = self.next + SEQUENCE_BLOCK - 1;
            write_atomically(&self.config.dir.join("sequence"), &reserved.to_le_bytes())?;
            self.reserved = reserved;
        }
        self.next += 1;
        Ok(self.next - 1)
    }

    fn make_room(&mut self, bytes: u64) -> Result<Evicted, SpoolError> {
        let mut evicted = Evicted::default();
        while self.bytes + bytes > self.config.max_bytes {
            let Some((&oldest, &(_, samples))) = self.held.iter().next() else { break };
            let path = self.path(oldest);
            fs::remove_file(&path).map_err(io_error("remove", &path))?;
            self.forget(oldest);
            evicted.batches += 1;
            evicted.samples += samples;
        }
        Ok(evicted)
    }

    fn scan(&mut self) -> Result<(), SpoolError> {
        let dir = self.config.dir.clone();
        for entry in fs::read_dir(&dir).map_err(io_error("list", &dir))? {
            let path = entry.map_err(io_error("list", &dir))?.path();
            let extension = path.extension().and_then(|e| e.to_str());
            if extension == Some("partial") {
                fs::remove_file(&path).map_err(io_error("remove", &path))?;
            }
            let stem = path.file_stem().and_then(|s| s.to_str());
            let sequence = stem.and_then(|s| s.parse::<u64>().ok());
            let (Some("batch"), Some(sequence)) = (extension, sequence) else { continue };
            let bytes = fs::read(&path).map_err(io_error("read", &path))?;
            let samples = header(&bytes).map_or(0, |(_, samples)| samples);
            self.hold(sequence, bytes.len() as u64, samples);
            self.next = self.next.max(sequence + 1);
        }
        Ok(())
    }
}

fn encode_file(batch: &proto::Batch, samples: u64) -> Vec<u8> {
    let payload = batch.encode_to_vec();
    let mut bytes = Vec::with_capacity(HEADER_BYTES + payload.len());
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&crc32c::crc32c(&payload).to_le_bytes());
    bytes.extend_from_slice(&samples.to_le_bytes());
    bytes.extend_from_slice(&payload);
    bytes
}

/// Checksum and number of samples.
fn header(bytes: &[u8]) -> Option<(u32, u64)> {
    let rest = bytes.strip_prefix(&MAGIC)?;
    let (crc, rest) = rest.split_first_chunk()?;
    let (samples, _) = rest.split_first_chunk()?;
    Some((u32::from_le_bytes(*crc), u64::from_le_bytes(*samples)))
}

fn decode_file(bytes: &[u8]) -> Option<SelfContained> {
    let (crc, _) = header(bytes)?;
    let payload = bytes.get(HEADER_BYTES..)?;
    if crc32c::crc32c(payload) != crc {
        return None;
    }
    let batch = proto::Batch::decode(payload).ok()?;
    let mut decoder = Decoder::default();
    let body = decoder.decode(&batch).ok()?;
    Some(SelfContained { dictionary: decoder.into_dictionary(), body })
}

fn lock(path: &Path) -> Result<fs::File, SpoolError> {
    let file = fs::File::options().create(true).append(true).open(path);
    let file = file.map_err(io_error("open", path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(SpoolError::InUse { path: path.into() }),
        Err(fs::TryLockError::Error(source)) => Err(io_error("lock", path)(source)),
    }
}

fn spool_id(path: &Path) -> Result<[u8; 16], SpoolError> {
    match fs::read(path) {
        Ok(bytes) => bytes
            .try_into()
            .map_err(|_| SpoolError::Damaged { path: path.into(), why: "a spool id has 16 bytes" }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let id = fastrand::u128(1..).to_le_bytes();
            write_atomically(path, &id)?;
            Ok(id)
        }
        Err(error) => Err(io_error("read", path)(error)),
    }
}

fn read_sequence(path: &Path) -> Result<u64, SpoolError> {
    match fs::read(path) {
        Ok(bytes) => bytes
            .try_into()
            .map(u64::from_le_bytes)
            .map_err(|_| SpoolError::Damaged { path: path.into(), why: "a sequence has 8 bytes" }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(io_error("read", path)(error)),
    }
}

/// Small files that must be whole or absent, power loss included.
fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), SpoolError> {
    let partial = path.with_extension("partial");
    let write = || {
        let mut file = fs::File::create(&partial)?;
        io::Write::write_all(&mut file, bytes)?;
        file.sync_all()?;
        fs::rename(&partial, path)
    };
    write().map_err(io_error("write", path))
}

fn io_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SpoolError {
    let path = path.to_path_buf();
    move |source| SpoolError::Io { doing, path, source }
}
