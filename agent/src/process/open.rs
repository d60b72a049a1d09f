//! Opens what other processes have mapped, without doing harm.
//!
//! Whoever maps a file also chooses its path. So a path is resolved inside the process's own root
//! (`openat2` with `RESOLVE_IN_ROOT`, openat2(2)), no magic link is followed on the way, and
//! nothing but a regular file is opened for reading: it is looked at first through `O_PATH`, which
//! touches neither FIFOs nor devices. What remains: a file on a hung network or FUSE mount can
//! block the caller for as long as the mount hangs. Where that is the thread that drains samples,
//! the kernel's rings bridge short stalls, and what they cannot hold is counted as lost.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, open, openat, openat2};
use rustix::io::Errno;

use super::event::Inode;

/// A regular file, open for reading.
#[derive(Debug)]
pub struct OpenFile {
    /// The file.
    pub file: File,
    /// Which version of which file it was when it was opened.
    pub key: FileKey,
    /// Its owner.
    pub owner: u32,
}

/// Tells one version of a file from another and from other files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileKey {
    /// Where it is.
    pub inode: Inode,
    /// Its length in bytes.
    pub size: u64,
    /// When its content last changed, since the Unix epoch.
    pub modified: Duration,
}

/// Opens the file at `path`, following links.
///
/// # Errors
/// The system's, and `INVAL` for anything but a regular file.
pub fn open_regular(path: &Path) -> Result<OpenFile, Errno> {
    let found = openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    reopen(&found)
}

/// Opens `path` as a process sees it whose root is `root`; links cannot lead out of it.
///
/// # Errors
/// The system's, and `INVAL` for anything but a regular file.
pub fn open_in_root(root: &Path, path: &Path) -> Result<OpenFile, Errno> {
    let root = open(root, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let inside = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    reopen(&openat2(&root, path, flags, Mode::empty(), inside)?)
}

/// The file behind the mapping `start..end` of a process, even one that has been unlinked.
#[must_use]
pub fn map_file_path(process: &Path, start: u64, end: u64) -> PathBuf {
    process.join(format!("map_files/{start:x}-{end:x}"))
}

/// Opens for reading what an `O_PATH` descriptor stands for, if it is a regular file.
fn reopen(found: &OwnedFd) -> Result<OpenFile, Errno> {
    file_key(found)?;
    let own = format!("/proc/self/fd/{}", found.as_raw_fd());
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = open(own, flags, Mode::empty())?;
    let (key, owner) = file_key(&file)?;
    Ok(OpenFile { file: File::from(file), key, owner })
}

fn file_key(file: &impl AsFd) -> Result<(FileKey, u32), Errno> {
    let stat = fstat(file)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(Errno::INVAL);
    }
    let inode = Inode { device: stat.st_dev, number: stat.st_ino };
    let seconds = u64::try_from(stat.st_mtime).unwrap_or(0);
    let nanoseconds = u32::try_from(stat.st_mtime_nsec).unwrap_or(0);
    let modified = Duration::new(seconds, nanoseconds);
    let size = u64::try_from(stat.st_size).unwrap_or(0);
    Ok((FileKey { inode, size, modified }, stat.st_uid))
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_do_not_lead_out_of_the_root() {
        let outside = tempfile::tempdir().expect("a folder");
        let root = outside.path().join("root");
        std::fs::create_dir_all(root.join("etc")).expect("makes folders");
        std::fs::write(outside.path().join("secret"), "outside").expect("writes");
        std::fs::write(root.join("etc/secret"), "inside").expect("writes");
        symlink("/etc/secret", root.join("absolute")).expect("links");
        symlink("../../../secret", root.join("etc/upwards")).expect("links");
        symlink("/proc/self/root/secret", root.join("magic")).expect("links");
        let content = |path: &str| {
            let mut text = String::new();
            let opened = open_in_root(&root, Path::new(path))?;
            opened.file.take(64).read_to_string(&mut text).expect("reads");
            Ok::<_, Errno>(text)
        };
        assert_eq!(content("/absolute"), Ok("inside".to_owned()));
        assert_eq!(content("/../secret"), Err(Errno::NOENT));
        assert_eq!(content("/etc/upwards"), Err(Errno::NOENT));
        assert_eq!(content("/magic"), Err(Errno::NOENT));
        assert_eq!(content("/etc"), Err(Errno::INVAL));
    }

    #[test]
    fn a_changed_file_has_another_key() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        std::fs::write(&path, "a").expect("writes");
        let before = open_regular(&path).expect("opens").key;
        assert_eq!(open_regular(&path).expect("opens").key, before);
        std::fs::write(&path, "ab").expect("writes");
        assert_ne!(open_regular(&path).expect("opens").key, before);
    }
}
