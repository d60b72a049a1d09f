//! Debug information that was given to the server: kept, and turned into names when somebody asks.
//!
//! A pushed file is kept as it came, under the build id that it carries. Nothing that is stored of
//! samples changes: a query that has folded its stacks asks here for the meaning of its frames, so
//! that yesterday's addresses have names today. Reading the files is a worker process's work
//! ([`stoker_symbols`]): a hostile file costs a bounded time once and is then left alone.
//!
//! Promises: a file is stored only under the build id that it has; it is on disk when it is
//! acknowledged; all files together stay below a bound, past which those go that were used longest
//! ago, and are counted; what a query cannot get named in its time stays an address, and is counted.

mod check;
mod error;
mod files;
mod naming;
mod parts;
mod upload;

use std::sync::Arc;
use std::time::{Duration, Instant};

use stoker_dag::{BuildId, Definition, Frame, FrameId};
use stoker_symbols::WorkerConfig;

use crate::store::{LateNames, TenantId};
use files::Files;
use naming::Naming;

pub use error::SymbolsError;
pub use files::{SymbolFile, Symbolled};
pub use naming::QUERY_NAMING_MAX;
pub use parts::NamedParts;
pub use upload::Upload;

/// Most time that a rollup spends on names; functions that are not named by then never will be.
const ROLLUP_NAMING_MAX: Duration = Duration::from_secs(60);

/// Where files are kept, and within which bounds.
#[derive(Debug, Clone)]
pub struct SymbolsConfig {
    /// Most bytes of all files; 0 takes none.
    pub max_bytes: u64,
    /// How workers are started.
    pub worker: WorkerConfig,
}

impl Default for SymbolsConfig {
    fn default() -> Self {
        Self { max_bytes: DEFAULT_MAX_BYTES, worker: WorkerConfig::default() }
    }
}

/// Most bytes of all files, unless told otherwise.
pub const DEFAULT_MAX_BYTES: u64 = 4 << 30;
/// Most bytes of one file.
pub const MAX_FILE_BYTES: u64 = 2 << 30;

/// What was counted, and what there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SymbolCounts {
    /// Files that are kept.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files that were taken.
    pub pushed: u64,
    /// Files that were refused.
    pub refused: u64,
    /// Files that went because the bound was reached.
    pub evicted: u64,
    /// Files that could not be read when the server started.
    pub unreadable: u64,
    /// Frames that got a name.
    pub named: u64,
    /// Frames that have none in the file of their build.
    pub nameless: u64,
    /// Frames that were not looked up in the time of their query.
    pub unanswered: u64,
    /// Frames of files that are left alone because they killed workers.
    pub quarantined: u64,
    /// Workers that died over a file, or did not answer in time.
    pub worker_failures: u64,
}

/// Debug information of all tenants. Clones are handles to the same.
#[derive(Debug, Clone)]
pub struct Symbols {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    files: Files,
    naming: Naming,
}

impl Symbols {
    /// Opens the folder, which is made when a file is pushed. Starts nothing: a worker starts with the
    /// first frame.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn open(dir: &std::path::Path, config: SymbolsConfig) -> Result<Self, SymbolsError> {
        let files = Files::open(dir, config.max_bytes)?;
        Ok(Self { inner: Arc::new(Inner { files, naming: Naming::new(config.worker) }) })
    }

    /// Begins to take a file for this build; see [`Upload`].
    ///
    /// # Errors
    /// When it cannot be taken: no room for so many bytes (where they are known), or the disk.
    pub fn upload(
        &self,
        tenant: &TenantId,
        build_id: &BuildId,
        bytes: Option<u64>,
    ) -> Result<Upload, SymbolsError> {
        self.inner.files.begin(tenant, build_id, bytes)
    }

    /// Keeps what was uploaded if it is what it is said to be; durable when it returns. Blocks.
    ///
    /// # Errors
    /// When it is not, or cannot be kept.
    pub fn keep(&self, upload: &Upload) -> Result<SymbolFile, SymbolsError> {
        let (image, kept) = (naming::image(&upload.build_id), self.inner.files.keep(upload)?);
        self.inner.naming.forget(&image);
        Ok(kept)
    }

    /// Counts a push that was refused.
    pub fn refused(&self) {
        self.inner.files.refused();
    }

    /// Every file of a tenant, by build id.
    #[must_use]
    pub fn list(&self, tenant: &TenantId) -> Vec<(BuildId, SymbolFile)> {
        self.inner.files.list(tenant)
    }

    /// What pushed files say of these frames. Blocks, until `deadline` at the latest.
    pub fn definitions<'a>(
        &self,
        tenant: &TenantId,
        frames: impl Iterator<Item = (FrameId, &'a Frame)>,
        deadline: Instant,
    ) -> Vec<(FrameId, Definition)> {
        self.inner.naming.definitions(&self.inner.files, tenant, frames, deadline)
    }

    /// What was counted, and what there is.
    #[must_use]
    pub fn counts(&self) -> SymbolCounts {
        let mut counts = self.inner.naming.counts();
        self.inner.files.count_into(&mut counts);
        counts
    }

    /// The bound on the bytes of all files.
    #[must_use]
    pub fn max_bytes(&self) -> u64 {
        self.inner.files.max_bytes()
    }
}

impl LateNames for Symbols {
    fn of_frames(
        &self,
        tenant: &TenantId,
        frames: &mut dyn Iterator<Item = (FrameId, &Frame)>,
    ) -> Vec<(FrameId, Definition)> {
        self.definitions(tenant, frames, Instant::now() + ROLLUP_NAMING_MAX)
    }
}
