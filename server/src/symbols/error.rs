//! Why a pushed file is not kept. An error is data: a stable code, a sentence, what to do.

use std::io;
use std::path::{Path, PathBuf};

use stoker_dag::BuildId;
use stoker_symbols::elf::ElfError;

use super::MAX_FILE_BYTES;

/// Why a pushed file is not kept, or the folder not opened.
#[derive(Debug, thiserror::Error)]
pub enum SymbolsError {
    /// No ELF file, a truncated one, or one of a kind that holds no code.
    #[error("the file holds no debug information: {0}")]
    Elf(#[from] ElfError),
    /// The file is another build.
    #[error("the file has the build id {found}, not {wanted}")]
    OtherBuild {
        /// What it was pushed for.
        wanted: BuildId,
        /// What it is.
        found: BuildId,
    },
    /// There is nothing in it to make names of.
    #[error("the file has neither debug information nor a symbol table: it is stripped")]
    Stripped,
    /// Larger than a file may be.
    #[error("the file has more than {limit} bytes, and {what}")]
    TooLarge {
        /// The bound.
        limit: u64,
        /// Whose bound it is.
        what: &'static str,
    },
    /// Too many uploads at a time.
    #[error("{0} files are being taken already")]
    Busy(usize),
    /// The disk.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was being done.
        what: &'static str,
        /// To what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl SymbolsError {
    pub(super) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { what, path, source }
    }

    pub(super) fn too_large(max_bytes: u64) -> Self {
        if max_bytes < MAX_FILE_BYTES {
            let what = "this server keeps no more of all files (--max-symbols)";
            return Self::TooLarge { limit: max_bytes, what };
        }
        Self::TooLarge { limit: MAX_FILE_BYTES, what: "no single file may have more" }
    }

    /// What to do.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Elf(ElfError::Truncated) => "it broke off: push the whole file again",
            Self::Elf(_) => "push the binary before it is stripped, or its .debug file",
            Self::OtherBuild { .. } => {
                "push the file of the very build that was profiled: `readelf -n FILE` shows its id"
            }
            Self::Stripped => {
                "push the binary before it is stripped, or what `objcopy --only-keep-debug` made"
            }
            Self::TooLarge { .. } => {
                "strip what is no debug information with `objcopy --only-keep-debug`, compress with \
                 `--compress-debug-sections`, or start the server with a larger --max-symbols"
            }
            Self::Busy(_) => "push it again in a moment",
            Self::Io { .. } => "look at the server's disk and at its log",
        }
    }

    /// A stable word for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Elf(ElfError::Truncated) => "truncated",
            Self::Elf(_) => "not_elf",
            Self::OtherBuild { .. } => "other_build",
            Self::Stripped => "no_symbols",
            Self::TooLarge { .. } => "too_large",
            Self::Busy(_) => "busy",
            Self::Io { .. } => "not_stored",
        }
    }
}
