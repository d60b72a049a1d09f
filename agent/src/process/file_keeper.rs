//! Keeps a few binaries open, so that they can be named after their process, or their path, is
//! gone.
//!
//! An open file holds its disk space and its mount. So there are few, and one that nobody asked
//! for in [`IDLE_MAX`] is closed.

use std::fs::File;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;
use stoker_dag::BuildId;

/// Most files that are held open.
pub const OPEN_FILES_MAX: usize = 128;

/// How long a file is held that nobody asks for.
pub const IDLE_MAX: Duration = Duration::from_secs(60);

#[derive(Debug)]
struct Kept {
    file: Arc<File>,
    used: Instant,
}

/// Open files by build.
#[derive(Debug, Default)]
pub(super) struct FileKeeper {
    kept: FxHashMap<BuildId, Kept>,
}

impl FileKeeper {
    /// Holds `file` open; at the bound the one that was used longest ago is closed.
    pub(super) fn keep(&mut self, build_id: &BuildId, file: File, now: Instant) -> Arc<File> {
        if self.kept.len() >= OPEN_FILES_MAX {
            let oldest = self.kept.iter().min_by_key(|(_, kept)| kept.used);
            if let Some(oldest) = oldest.map(|(build_id, _)| build_id.clone()) {
                self.kept.remove(&oldest);
            }
        }
        let file = Arc::new(file);
        self.kept.insert(build_id.clone(), Kept { file: Arc::clone(&file), used: now });
        file
    }

    pub(super) fn get(&mut self, build_id: &BuildId, now: Instant) -> Option<Arc<File>> {
        let kept = self.kept.get_mut(build_id)?;
        kept.used = now;
        Some(Arc::clone(&kept.file))
    }

    pub(super) fn close_idle(&mut self, now: Instant) {
        self.kept.retain(|_, kept| now.saturating_duration_since(kept.used) < IDLE_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(number: usize) -> BuildId {
        format!("{number:08x}").parse().expect("hexadecimal")
    }

    #[test]
    fn few_files_stay_open_and_idle_ones_are_closed() {
        let mut keeper = FileKeeper::default();
        let start = Instant::now();
        for number in 0..=OPEN_FILES_MAX {
            let file = File::open("/dev/null").expect("there is /dev/null");
            keeper.keep(&build(number), file, start + Duration::from_millis(number as u64));
        }
        assert_eq!(keeper.kept.len(), OPEN_FILES_MAX);
        assert!(keeper.get(&build(0), start).is_none());
        assert!(keeper.get(&build(5), start + IDLE_MAX).is_some());
        keeper.close_idle(start + IDLE_MAX + Duration::from_secs(1));
        assert_eq!(keeper.kept.len(), 1);
    }
}
