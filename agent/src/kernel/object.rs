//! The programs as bytes, and loading them.
//!
//! The object is part of the binary, so that an agent is one file. `STOKER_BPF_OBJECT` names
//! another one to load in its place: for tests of a fresh build, and for measuring.

use std::{borrow::Cow, env, fs, os::fd::BorrowedFd, path::PathBuf};

use aya::{Ebpf, EbpfLoader, VerifierLogLevel, programs::PerfEvent};
use stoker_ebpf_abi::{TARGET_PIDS_MAX, names, target};

use super::error::KernelError;

/// Environment variable that names an object to load instead of the embedded one.
const OVERRIDE: &str = "STOKER_BPF_OBJECT";

static EMBEDDED: &[u8] = aya::include_bytes_aligned!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../ebpf/prebuilt/stoker.bpf.o"
));

/// Loads maps and programs for a kind of target, with a sample ring of `ring_bytes`.
pub fn load(target: u32, ring_bytes: u32) -> Result<Ebpf, KernelError> {
    let object = bytes()?;
    let pids_max = if target == target::PIDS { TARGET_PIDS_MAX } else { 1 };
    let mut ebpf = EbpfLoader::new()
        .verifier_log_level(VerifierLogLevel::DISABLE)
        .map_max_entries(names::SAMPLES, ring_bytes)
        .map_max_entries(names::TARGET_PIDS, pids_max)
        .load(&object)
        .map_err(|error| KernelError::refused("loading them", error))?;
    program(&mut ebpf, names::SAMPLE)?
        .load()
        .map_err(|error| KernelError::refused("checking them", error))?;
    Ok(ebpf)
}

/// Loads the counting program too and returns its name, where the object has it (measuring builds).
pub fn load_counting(ebpf: &mut Ebpf) -> Result<&'static str, KernelError> {
    program(ebpf, names::SAMPLE_COUNTED)?
        .load()
        .map_err(|error| KernelError::refused("checking the counting program", error))?;
    Ok(names::SAMPLE_COUNTED)
}

/// Calls `use_it` with a loaded program.
pub fn with_program<T>(
    ebpf: &mut Ebpf,
    name: &str,
    use_it: impl FnOnce(BorrowedFd<'_>) -> Result<T, KernelError>,
) -> Result<T, KernelError> {
    let fd = program(ebpf, name)?
        .fd()
        .map_err(|error| KernelError::refused("attaching them", error))?
        .try_clone()
        .map_err(|error| KernelError::refused("attaching them", error))?;
    use_it(std::os::fd::AsFd::as_fd(&fd))
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
