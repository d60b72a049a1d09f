//! The store: batches become durable here, and stay readable.
//!
//! It promises that what was acknowledged is there exactly once, whatever is killed when; that what
//! cannot be read is named, not served as nothing; and that bytes on disk are believed only after
//! their checksum was right. A batch goes into a write-ahead log and its head in memory
//! (`log`, `head`), is made durable with its neighbours by one sync (`writer`), and later moves
//! into an immutable segment (`sealer`, `segment`). Truth is in logs and segments only; the index
//! (`catalogue`) is rebuilt from them. Every file goes through the `Disk` seam except the index's.
//! In the background small segments are merged (`compact`), old ones are summed up by the hour and
//! later by function (`roll`), and removed (`expire`, `quota`).
//!
//! Not here yet: deletion by selector.

mod ahead;
mod alone;
mod api;
mod append;
mod aside;
mod blobs;
mod cache;
mod catalogue;
mod catalogue_sled;
mod check;
mod clock;
mod compact;
mod cut;
mod debt;
mod details;
mod disk;
mod error;
mod expire;
mod folder;
mod footprint;
mod functions;
mod guarded;
mod handle;
mod head;
pub mod inspect;
mod late;
mod level;
mod line;
mod log;
mod losses;
mod maintain;
mod merge;
pub mod messages;
mod names;
mod open;
mod publish;
mod quarantine;
mod quota;
mod records;
mod recover_logs;
mod recover_segments;
mod reduce;
mod replicate;
mod retired;
mod roll;
mod rollups;
mod sealer;
mod segment;
mod shared;
mod tenant;
mod told;
mod version;
mod writer;

pub use alone::{AloneContent, AloneRows, AloneSegments};
pub use api::{
    Appended, BatchSource, DictionaryId, Names, PartView, PartVisitor, SpoolId, StoreConfig,
    StoreMetrics, TenantId, TimeRange, WindowFacts, WindowRows,
};
pub use append::InLine;
pub use blobs::{Blobs, LocalBlobs};
pub use catalogue::{Added, Catalogue, Change, Entry};
pub use catalogue_sled::SledCatalogue;
pub use check::{CheckReport, HeldBytes, Problem, check, repair};
pub(crate) use details::insert as insert_details;
pub use details::{DetailedRow, DetailsView, DetailsVisitor, WindowDetails};
pub use disk::{Disk, DiskFile, Free, RealDisk};
pub use error::StoreError;
pub use folder::FOLDER_FORMAT;
pub use guarded::guarded;
pub use handle::Store;
pub use late::LateNames;
pub use level::{HOUR_NS, Level};
pub use line::StreamRebase;
pub use log::LOG_VERSION;
pub use losses::Loss;
pub use reduce::ROLLUP_KEYS;
pub use replicate::{GROUP_LABEL, REPLICATE_GROUPS, ReplicateGroup};
pub use rollups::Rollups;
pub use segment::{SEGMENT_VERSION, SumRun, Sums, Wanted};
pub use version::DataVersion;
