//! Opens files by paths that others chose, within a root that the parent chose.
//!
//! Links cannot lead out of the root (`openat2` with `RESOLVE_IN_ROOT`, openat2(2)), no magic link is
//! followed, and nothing but a regular file is opened for reading: it is looked at first through
//! `O_PATH`, which touches neither FIFOs nor devices.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, open, openat2};
use rustix::io::Errno;

/// Opens `path` as a process sees it whose root folder is `root`.
///
/// # Errors
/// The system's, and `INVAL` for anything but a regular file.
pub(crate) fn open_inside(root: &impl AsFd, path: &Path) -> Result<File, Errno> {
    let inside = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let found = openat2(root, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), inside)?;
    if FileType::from_raw_mode(fstat(&found)?.st_mode) != FileType::RegularFile {
        return Err(Errno::INVAL);
    }
    let own = format!("/proc/self/fd/{}", found.as_raw_fd());
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    Ok(File::from(open(own, flags, Mode::empty())?))
}
