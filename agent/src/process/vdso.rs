//! The vdso: a small ELF image that the kernel maps into every process.
//!
//! It is the same for all 64-bit processes of one kernel, so our own copy stands for theirs. (The
//! other image that 32-bit processes get is not known here; their vdso frames are of an unknown
//! mapping.)

use std::path::{Path, PathBuf};
use std::sync::Arc;

use stoker_symbols::elf::ElfInfo;
use stoker_symbols::vdso_image;

use super::binary::{Binary, Origin};

/// The module of vdso frames.
pub const VDSO_MODULE: &str = "[vdso]";

/// The first address that no 32-bit process can have.
const FIRST_64_BIT: u64 = 1 << 32;

/// The vdso as a binary, if it can be read.
pub(super) fn vdso_binary() -> Option<Arc<Binary>> {
    let image = vdso_image().ok()?;
    let info = ElfInfo::read(image.as_slice()).ok()?;
    let path: Arc<Path> = Path::new(VDSO_MODULE).into();
    let origin =
        Origin { process: PathBuf::new(), ancestor: None, range: (0, 0), path: Arc::clone(&path) };
    let mut binary = Binary::new(info, &path, origin);
    binary.module = VDSO_MODULE.into();
    binary.main_executable = false;
    Some(Arc::new(binary))
}

/// Whether a vdso mapped here is the 64-bit one.
pub(super) fn is_native(start: u64) -> bool {
    start >= FIRST_64_BIT
}
