//! From a target as a person names it to what the programs compare.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use stoker_ebpf_abi::{Config, FRAMES_MAX, TARGET_PIDS_MAX, target};

use super::{error::KernelError, event::Target};

const MAX_STACK: &str = "/proc/sys/kernel/perf_event_max_stack";

/// The programs' configuration for a target.
pub fn config(wanted: &Target) -> Result<Config, KernelError> {
    let frames_limit = frames_limit();
    let config = Config { frames_limit, ..Config::default() };
    Ok(match wanted {
        Target::All => Config { target: target::ALL, ..config },
        Target::Pids(pids) => {
            check_count(pids.len())?;
            Config { target: target::PIDS, ..config }
        }
        Target::Cgroup(path) => {
            Config { target: target::CGROUP, cgroup_id: cgroup_id(path)?, ..config }
        }
    })
}

/// An error where there are more pids than the programs can hold.
pub fn check_count(pids: usize) -> Result<(), KernelError> {
    match u32::try_from(pids) {
        Ok(count) if count <= TARGET_PIDS_MAX => Ok(()),
        _ => Err(KernelError::TooManyPids { max: TARGET_PIDS_MAX }),
    }
}

/// The id by which the kernel knows a cgroup (version 2): on 64-bit machines, the inode number of
/// its folder (`kernfs_ino` and `kernfs_id` in include/linux/kernfs.h).
fn cgroup_id(path: &Path) -> Result<u64, KernelError> {
    let refuse = |reason| KernelError::Cgroup { path: PathBuf::from(path), reason };
    let folder = fs::metadata(path).map_err(|_| refuse("there is no such folder"))?;
    if !path.join("cgroup.procs").exists() {
        return Err(refuse("this is not the folder of a cgroup"));
    }
    // Only version 2 has this file, in every cgroup, the root included.
    if !path.join("cgroup.controllers").exists() {
        return Err(refuse("this is a cgroup of version 1; name one of version 2"));
    }
    Ok(folder.ino())
}

/// How long a stack can become before it is cut: by the kernel's sysctl or by the record.
pub fn frames_limit() -> u32 {
    let here = u32::try_from(FRAMES_MAX).unwrap_or(u32::MAX);
    let sysctl = fs::read_to_string(MAX_STACK).ok().and_then(|text| text.trim().parse().ok());
    sysctl.unwrap_or(here).min(here)
}
