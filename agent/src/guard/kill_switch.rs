//! A file that stops sampling while it exists.
//!
//! For the moment when somebody suspects the profiler: `touch` works without knowing anything
//! about it, from configuration management too, and outlasts a restart. SIGUSR1 makes the file,
//! SIGUSR2 removes it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Its name in the state folder, unless told otherwise.
pub const KILL_SWITCH_FILE: &str = "off";

/// The file.
#[derive(Debug, Clone)]
pub struct KillSwitch(PathBuf);

impl KillSwitch {
    /// The switch at `path`.
    #[must_use]
    pub fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// The usual one of an agent with this state folder.
    #[must_use]
    pub fn of_state_dir(dir: &Path) -> Self {
        Self(dir.join(KILL_SWITCH_FILE))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Whether sampling is to be off. What cannot be looked at is taken for absent: a file system
    /// that hangs must not silence a fleet.
    #[must_use]
    pub fn is_on(&self) -> bool {
        fs::symlink_metadata(&self.0).is_ok()
    }

    /// Makes the file, or removes it.
    ///
    /// # Errors
    /// When the file system says no.
    pub fn set(&self, on: bool) -> io::Result<()> {
        match on {
            true => fs::File::options().create(true).append(true).open(&self.0).map(drop),
            false => match fs::remove_file(&self.0) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                other => other,
            },
        }
    }
}
