//! What the worker process gives up before it reads its first file.

use rustix::io;
use rustix::process::{
    Resource, Rlimit, Signal, set_parent_process_death_signal, setpriority_process, setrlimit,
};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities, set_no_new_privs};

/// Most heap of the worker. This bounds what a file can make it take: maps of files are not heap.
pub(super) const HEAP_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Most address space. Files are mapped whole, and debug information of a gigabyte is not rare.
const ADDRESS_SPACE_BYTES_MAX: u64 = 8 * 1024 * 1024 * 1024;
/// Longest file that the worker can write; the vdso, in memory, is all that it ever writes.
const WRITTEN_BYTES_MAX: u64 = 256 * 1024;
/// Most open files.
const OPEN_FILES_MAX: u64 = 512;
/// The lowest priority there is.
const NICE: i32 = 19;

/// Gives up what is not needed. The worker runs on where a step is refused: a right that could
/// not be dropped is one that its parent has.
pub(super) fn give_up() -> io::Result<()> {
    let steps = [
        set_parent_process_death_signal(Some(Signal::KILL)),
        set_no_new_privs(true),
        setpriority_process(None, NICE),
        limit(Resource::Core, 0),
        limit(Resource::Data, HEAP_BYTES_MAX),
        limit(Resource::As, ADDRESS_SPACE_BYTES_MAX),
        limit(Resource::Fsize, WRITTEN_BYTES_MAX),
        limit(Resource::Nofile, OPEN_FILES_MAX),
        drop_capabilities(),
    ];
    steps.into_iter().collect()
}

fn limit(resource: Resource, most: u64) -> io::Result<()> {
    setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })
}

/// Keeps, of what it has, what reads debug files and the kernel's symbols.
fn drop_capabilities() -> io::Result<()> {
    let wanted = CapabilitySet::DAC_READ_SEARCH | CapabilitySet::SYSLOG;
    let held = rustix::thread::capabilities(None)?;
    let kept = CapabilitySets {
        effective: held.effective & wanted,
        permitted: held.permitted & wanted,
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, kept)
}
