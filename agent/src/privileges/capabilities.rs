//! Capabilities (capabilities(7)) that stay and those that go.

use rustix::io::Errno;
use rustix::process::geteuid;
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, capability_is_in_bounding_set,
    remove_capability_from_bounding_set, set_capabilities, set_no_new_privs,
};

/// What stays, with what it is for. Each was tried without; `docs/agent.md` says what fails then.
pub const KEPT: [(CapabilitySet, &str); 6] = [
    (CapabilitySet::BPF, "load the sampling program"),
    (CapabilitySet::PERFMON, "open perf events for every process"),
    (CapabilitySet::SYS_PTRACE, "read mappings and environment of other users' processes"),
    (CapabilitySet::CHECKPOINT_RESTORE, "open mapped files that have no path any more"),
    (CapabilitySet::DAC_READ_SEARCH, "read other users' programs and debug files"),
    (CapabilitySet::SYSLOG, "read the addresses of the kernel's symbols"),
];

/// What a worker may inherit, where the agent does not run as root.
const FOR_WORKERS: CapabilitySet = CapabilitySet::DAC_READ_SEARCH.union(CapabilitySet::SYSLOG);
/// No kernel has a capability beyond this bit.
const BITS: u32 = 64;

/// Why rights could not be given up.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing}: {source}")]
pub struct PrivilegeError {
    /// What was being done.
    pub doing: &'static str,
    /// What the kernel said.
    pub source: std::io::Error,
}

pub(super) fn failed<E: Into<std::io::Error>>(doing: &'static str) -> impl Fn(E) -> PrivilegeError {
    move |error| PrivilegeError { doing, source: error.into() }
}

/// Gives up all but [`KEPT`], for this thread and those that it starts; says what is left.
///
/// # Errors
/// When the kernel refuses.
pub fn give_up_capabilities() -> Result<String, PrivilegeError> {
    set_no_new_privs(true).map_err(failed("promise to gain no privileges"))?;
    let wanted = KEPT.iter().fold(CapabilitySet::empty(), |all, (one, _)| all | *one);
    bound(wanted).map_err(failed("shrink the bounding set"))?;
    let held = capabilities(None).map_err(failed("read the capabilities"))?;
    let kept = CapabilitySets {
        effective: held.permitted & wanted,
        permitted: held.permitted & wanted,
        // What is ambient goes with what is inheritable.
        inheritable: held.inheritable & FOR_WORKERS,
    };
    set_capabilities(None, kept).map_err(failed("drop capabilities"))?;
    Ok(names(kept.effective))
}

/// Only root may shrink the bounding set, and only for root does it matter: who is not root gains
/// nothing by starting a program.
fn bound(wanted: CapabilitySet) -> Result<(), Errno> {
    let may = capabilities(None)?.effective.contains(CapabilitySet::SETPCAP);
    if !may || !geteuid().is_root() {
        return Ok(());
    }
    for bit in 0..BITS {
        let one = CapabilitySet::from_bits_retain(1 << bit);
        if wanted.contains(one) {
            continue;
        }
        match capability_is_in_bounding_set(one) {
            Ok(true) => remove_capability_from_bounding_set(one)?,
            Ok(false) => {}
            // The kernel knows no more of them.
            Err(Errno::INVAL) => break,
            Err(other) => return Err(other),
        }
    }
    Ok(())
}

/// Names of those of [`KEPT`] that are in a set, as `CAP_BPF CAP_PERFMON`.
#[must_use]
pub fn names(set: CapabilitySet) -> String {
    let held = KEPT.iter().filter(|(one, _)| set.contains(*one));
    let names = held.flat_map(|(one, _)| one.iter_names());
    names.map(|(name, _)| format!("CAP_{name}")).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_have_names() {
        assert_eq!(names(CapabilitySet::BPF | CapabilitySet::SYS_ADMIN), "CAP_BPF");
        assert_eq!(names(CapabilitySet::empty()), "");
    }
}
