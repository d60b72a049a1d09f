//! The programs as bytes, and loading them.
//!
//! The object is part of the binary, so that an agent is one file. `STOKER_BPF_OBJECT` names
//! another one to load in its place: for tests of a fresh build, and for measuring.

use std::{borrow::Cow, env, fs, path::PathBuf};

use aya::{
    Ebpf, EbpfLoader,
    programs::{PerfEvent, ProgramFd, RawTracePoint},
};
use stoker_ebpf_abi::{TARGET_PIDS_MAX, names, target};

use super::{error::KernelError, unwind::UnwindRoom};

/// Environment variable that names an object to load instead of the embedded one.
const OVERRIDE: &str = "STOKER_BPF_OBJECT";

/// Fires in the process that runs another program (include/trace/events/sched.h).
const EXEC_TRACEPOINT: &str = "sched_process_exec";

#[cfg(not(target_arch = "x86_64"))]
compile_error!(
    "the kernel-side programs read x86-64 registers; other machines need their own object"
);

static EMBEDDED: &[u8] = aya::include_bytes_aligned!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../ebpf/prebuilt/stoker.bpf.o"
));

/// Loads the maps, for a kind of target, with a sample ring of `ring_bytes` and room for unwinding
/// tables, and the programs.
///
/// They are loaded before the caller takes a map away: loading needs all maps open.
pub fn load(
    program_name: &str,
    target: u32,
    ring_bytes: u32,
    room: UnwindRoom,
) -> Result<Ebpf, KernelError> {
    let object = bytes()?;
    let pids_max = if target == target::PIDS { TARGET_PIDS_MAX } else { 1 };
    let mut ebpf = EbpfLoader::new()
        .map_max_entries(names::SAMPLES, ring_bytes)
        .map_max_entries(names::TARGET_PIDS, pids_max)
        .map_max_entries(names::TABLE_PAGES, room.table_pages)
        .map_max_entries(names::MAPPING_PAGES, room.mapping_pages)
        .load(&object)
        .map_err(|error| KernelError::refused("loading them", error))?;
    program(&mut ebpf, program_name)?
        .load()
        .map_err(|error| KernelError::refused("checking them", error))?;
    watch_exec(&mut ebpf)?;
    Ok(ebpf)
}

/// Makes the kernel forget the mappings of a process at the moment in which it runs another program.
fn watch_exec(ebpf: &mut Ebpf) -> Result<(), KernelError> {
    let missing = || std::io::Error::other(format!("the object has no program {}", names::EXEC));
    let refused = |error| KernelError::refused("watching programs start", error);
    let program: &mut RawTracePoint = ebpf
        .program_mut(names::EXEC)
        .ok_or_else(|| KernelError::refused("looking for them", missing()))?
        .try_into()
        .map_err(refused)?;
    program.load().map_err(refused)?;
    program.attach(EXEC_TRACEPOINT).map(drop).map_err(refused)
}

/// A descriptor of a loaded program.
pub fn program_fd(ebpf: &mut Ebpf, program_name: &str) -> Result<ProgramFd, KernelError> {
    let refused = |error| KernelError::refused("attaching them", error);
    let fd = program(ebpf, program_name)?.fd().map_err(refused)?;
    fd.try_clone().map_err(|error| KernelError::refused("attaching them", error))
}

fn bytes() -> Result<Cow<'static, [u8]>, KernelError> {
    let Some(path) = env::var_os(OVERRIDE).map(PathBuf::from) else {
        return Ok(Cow::Borrowed(EMBEDDED));
    };
    match fs::read(&path) {
        Ok(object) => Ok(Cow::Owned(object)),
        Err(source) => Err(KernelError::ObjectUnreadable { path, source }),
    }
}

fn program<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut PerfEvent, KernelError> {
    let missing = || std::io::Error::other(format!("the object has no program {name}"));
    ebpf.program_mut(name)
        .ok_or_else(|| KernelError::refused("looking for them", missing()))?
        .try_into()
        .map_err(|error| KernelError::refused("looking for them", error))
}
