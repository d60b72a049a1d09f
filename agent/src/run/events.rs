//! From the kernel's events to what the process table wants to hear.

use crate::kernel::{KernelEvent, Mmap};
use crate::process::{Inode, MmapEvent, ProcessEvent, device_number};

/// The change that an event means; `None` for samples and for what concerns single threads.
#[must_use]
pub fn process_event(event: &KernelEvent<'_>) -> Option<ProcessEvent> {
    match event {
        KernelEvent::Exec { pid, comm, .. } => {
            Some(ProcessEvent::Exec { pid: *pid, comm: comm.to_string_lossy().into_owned() })
        }
        KernelEvent::Comm { pid, tid, comm, .. } if pid == tid => {
            Some(ProcessEvent::Comm { pid: *pid, comm: comm.to_string_lossy().into_owned() })
        }
        KernelEvent::Fork { pid, parent_pid, .. } if pid != parent_pid => {
            Some(ProcessEvent::Fork { pid: *pid, parent: *parent_pid })
        }
        KernelEvent::Mmap(mmap) => Some(ProcessEvent::Mmap(mapped(mmap))),
        KernelEvent::Exit { pid, tid, .. } if pid == tid => Some(ProcessEvent::Exit { pid: *pid }),
        _ => None,
    }
}

fn mapped(mmap: &Mmap) -> MmapEvent {
    let inode = mmap
        .file
        .map(|file| Inode { device: device_number(file.major, file.minor), number: file.inode });
    MmapEvent {
        pid: mmap.pid,
        start: mmap.start,
        len: mmap.len,
        file_offset: mmap.pgoff,
        path: mmap.path.to_path_buf(),
        inode,
    }
}
