//! What can be in the way of sampling, each said in one sentence that tells what to do.

use std::{io, path::PathBuf};

/// Why the kernel side cannot start or cannot do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// The process may not load programs or watch other processes.
    #[error("sampling needs {missing}: run as root, or grant the process these capabilities")]
    NotPermitted {
        /// Names of the capabilities.
        missing: String,
    },
    /// The process sees other process ids than the kernel's programs do.
    #[error(
        "the agent runs in a pid namespace of its own and would mistake one process for another: run it in the host's (hostPID in Kubernetes, --pid=host in Docker)"
    )]
    PidNamespace,
    /// The kernel does not describe its own types.
    #[error(
        "this kernel has no type information at {path}: use one built with CONFIG_DEBUG_INFO_BTF=y"
    )]
    NoBtf {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The kernel is older than what the programs need.
    #[error("kernel {release} is too old: sampling needs {needed} or newer")]
    KernelTooOld {
        /// `uname -r`.
        release: String,
        /// First release that will do.
        needed: &'static str,
    },
    /// `perf_event_open` refuses, and the sysctl says why.
    #[error(
        "the kernel refuses perf events (kernel.perf_event_paranoid is {level}): run as root, grant CAP_PERFMON, or set the sysctl to -1"
    )]
    PerfParanoid {
        /// The sysctl's value.
        level: i32,
    },
    /// As [`Self::PerfParanoid`], for processes of one's own.
    #[error(
        "the kernel lets only root sample (kernel.perf_event_paranoid is {level}; at 2 or below anybody may sample processes of their own)"
    )]
    OwnRefused {
        /// The sysctl's value.
        level: i32,
    },
    /// A process is to be sampled without privileges and belongs to somebody else.
    #[error("process {pid} belongs to another user, and only root may record it")]
    NotOwn {
        /// The process.
        pid: u32,
    },
    /// More threads than files may be open.
    #[error(
        "there are more threads to sample than this user may have files open: raise `ulimit -n`"
    )]
    TooManyThreads,
    /// The kernel is new enough but built or configured without something.
    #[error("this kernel cannot do {feature} ({source}): use one that has it enabled")]
    FeatureMissing {
        /// What is missing.
        feature: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// The frequency is outside what the kernel allows.
    #[error(
        "cannot sample at {asked} Hz: choose 1 to {max} Hz (sysctl kernel.perf_event_max_sample_rate)"
    )]
    Frequency {
        /// What was asked for.
        asked: u32,
        /// The kernel's limit.
        max: u32,
    },
    /// The cgroup to sample cannot be.
    #[error("cannot sample cgroup {}: {reason}", path.display())]
    Cgroup {
        /// The folder named.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// More processes than a pid target holds.
    #[error("cannot sample more than {max} processes by id: sample a cgroup or everything")]
    TooManyPids {
        /// The limit.
        max: u32,
    },
    /// Pids were added to or taken from a sampler that does not sample by pid.
    #[error("this sampler does not sample by process id: start one with a pid target")]
    NotByPid,
    /// `STOKER_BPF_OBJECT` names a file that cannot be read.
    #[error("cannot read the BPF object {} that STOKER_BPF_OBJECT names ({source}): correct or unset the variable", path.display())]
    ObjectUnreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The kernel, or aya on its behalf, does not take the programs.
    #[error(
        "the kernel does not take the sampling programs while {doing} ({reason}): report this with the kernel's release"
    )]
    ObjectRefused {
        /// What was being done.
        doing: &'static str,
        /// First line of what was said.
        reason: String,
        /// All that was said, the verifier's log included.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A perf event could not be opened, mapped or switched.
    #[error("cannot {doing} on CPU {cpu}: {source}")]
    Perf {
        /// What was being done.
        doing: &'static str,
        /// On which CPU.
        cpu: u32,
        /// What the kernel said.
        source: io::Error,
    },
    /// The list of CPUs cannot be read.
    #[error("cannot read which CPUs are online from {path}: {reason}")]
    Cpus {
        /// The file.
        path: &'static str,
        /// What is wrong.
        reason: String,
    },
}

impl KernelError {
    /// Wraps what aya said; the verifier's log stays in the source, out of the sentence.
    pub(super) fn refused(
        doing: &'static str,
        error: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        let text = chain(&error);
        let reason = text.lines().next().unwrap_or("no reason given").to_owned();
        Self::ObjectRefused { doing, reason, source: Box::new(error) }
    }
}

/// An error and what caused it, outermost first.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let said = inner.to_string();
        if !text.contains(&said) {
            text = format!("{}: {said}", text.lines().next().unwrap_or_default());
        }
        cause = inner.source();
    }
    text
}
