//! Stores of benchmarks.

use std::path::Path;
use std::time::Duration;

use stoker_server::store::StoreConfig;

/// A store that keeps everything, and merges only when it is told to.
#[must_use]
pub fn config(dir: &Path) -> StoreConfig {
    StoreConfig {
        dir: dir.to_owned(),
        retain_raw: None,
        maintain_every: Duration::ZERO,
        ..StoreConfig::default()
    }
}
