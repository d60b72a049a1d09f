//! What can go wrong in the store. Every error says what was being done to which file.

use std::io;
use std::path::PathBuf;

use stoker_wire::WireError;

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The operating system refused.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The folder was written by a later version.
    #[error(
        "data folder {} has format {found}, this version reads up to {supported}: use the newer \
         version of Stoker or another --data-dir",
        path.display()
    )]
    NewerFormat {
        /// The folder or file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format that is understood.
        supported: u32,
    },
    /// The folder holds something else.
    #[error(
        "{} is not empty and has no FORMAT file, so it is no data folder of Stoker: choose another \
         --data-dir",
        path.display()
    )]
    NotAStore {
        /// The folder.
        path: PathBuf,
    },
    /// Another process has the folder.
    #[error(
        "data folder {} is in use by process {pid}: stop it or choose another --data-dir",
        path.display()
    )]
    Locked {
        /// The folder.
        path: PathBuf,
        /// The process, as it wrote itself down.
        pid: String,
    },
    /// Bytes that do not say what they should.
    #[error("{} is damaged: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The index could not be used; it is rebuilt from segments.
    #[error("the index of segments failed while trying to {doing}: {what}")]
    Index {
        /// What was being done.
        doing: &'static str,
        /// What the index said.
        what: String,
    },
    /// A batch that no log could ever take.
    #[error("the batch is too large to be stored: {0}")]
    TooLarge(WireError),
    /// A label explosion: this many distinct series are the limit of a tenant.
    #[error("the tenant has {limit} series, its limit, and the batch would add more")]
    TooManySeries {
        /// The limit.
        limit: usize,
    },
    /// The batch would be removed as soon as it was stored.
    #[error(
        "the batch is {age_s} s old, and data are kept for {retain_s} s (--retain-raw): it was not \
         stored"
    )]
    BeyondRetention {
        /// How long ago it began.
        age_s: u64,
        /// How long data are kept.
        retain_s: u64,
    },
    /// The disk's share is used up by what cannot be removed.
    #[error("the store uses {used} bytes of the {max} that it may (--max-disk)")]
    Full {
        /// Bytes in use.
        used: u64,
        /// Bytes that may be.
        max: u64,
    },
    /// The disk itself is nearly full.
    #[error("the disk has {free} bytes left, and {floor} are kept free (--min-free-disk)")]
    DiskFull {
        /// Bytes that are free.
        free: u64,
        /// Bytes that stay free.
        floor: u64,
    },
    /// The disk cannot be written to.
    #[error(
        "data folder {} is on a disk that is read-only: what it holds is served, nothing is stored",
        path.display()
    )]
    ReadOnly {
        /// The folder.
        path: PathBuf,
    },
    /// An error in this program came up over what it was given.
    #[error("an error in this server: to {doing} ended in: {message}")]
    Crashed {
        /// What was being done.
        doing: &'static str,
        /// What the panic said.
        message: String,
    },
    /// Sealing cannot keep up, or the disk cannot take more.
    #[error("the store cannot take more now: {waiting} logs wait to be sealed")]
    Busy {
        /// How many.
        waiting: usize,
    },
    /// The batch's log could not be written; it is not durable.
    #[error("the batch could not be made durable: {0}")]
    NotDurable(String),
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// The name cannot be a folder's.
    #[error("{0:?} is no tenant: use 1 to 64 of a-z, 0-9, '-' and '_'")]
    TenantName(String),
}

impl StoreError {
    /// Whether it is an error in this server, or in what it has just written: the same the next time.
    pub(super) fn is_ours(&self) -> bool {
        matches!(self, Self::Crashed { .. } | Self::Damaged { .. })
    }

    pub(crate) fn io(
        doing: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { doing, path, source }
    }

    pub(crate) fn damaged(path: impl Into<PathBuf>, what: impl std::fmt::Display) -> Self {
        Self::Damaged { path: path.into(), what: format!("{what}") }
    }
}
