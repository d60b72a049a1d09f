//! The vdso: a small ELF image that the kernel maps into every process.
//!
//! It is the same for all 64-bit processes of one kernel, so our own copy stands for theirs. It is
//! read through `/proc/self/mem`, which needs no unsafe code. (The other image that 32-bit
//! processes get is not known here; their vdso frames are of an unknown mapping.)

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::binary::{Binary, Origin};
use super::elf::ElfInfo;
use super::maps::Backing;
use super::proc_maps::parse_maps;

/// Largest vdso that is read; it has 8 KiB on x86-64.
pub const VDSO_BYTES_MAX: usize = 256 * 1024;

/// The module of vdso frames.
pub const VDSO_MODULE: &str = "[vdso]";

/// The first address that no 32-bit process can have.
const FIRST_64_BIT: u64 = 1 << 32;

/// This process's vdso image.
///
/// # Errors
/// When there is none or it cannot be read.
pub fn vdso_image() -> io::Result<Vec<u8>> {
    let (table, _) = parse_maps(&std::fs::read("/proc/self/maps")?);
    let missing = || io::Error::new(io::ErrorKind::NotFound, "this process has no vdso");
    let vdso = table.iter().find(|m| matches!(m.backing, Backing::Vdso)).ok_or_else(missing)?;
    let size = usize::try_from(vdso.end - vdso.start).unwrap_or(usize::MAX).min(VDSO_BYTES_MAX);
    let mut image = vec![0; size];
    File::open("/proc/self/mem")?.read_exact_at(&mut image, vdso.start)?;
    Ok(image)
}

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
