//! What the kernel side tells the rest of the agent.

use std::path::{Path, PathBuf};

use stoker_ebpf_abi::{COMM_LEN, flags};
use stoker_unwind::Outcome;

/// What makes the CPUs take samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SampleSource {
    /// The processor's cycle counter: also sees code that runs with interrupts off.
    HardwareCycles,
    /// A timer of the kernel: code that runs with interrupts off is charged to whoever lets them in.
    CpuClock,
}

impl SampleSource {
    /// A name for logs and facts.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::HardwareCycles => "cycles",
            Self::CpuClock => "cpu-clock",
        }
    }
}

/// Whom to sample. The idle task never is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Target {
    /// Every process.
    #[default]
    All,
    /// These processes; their children too where `SamplerConfig::follow_children` says so.
    Pids(Vec<u32>),
    /// The processes of this cgroup (version 2) and of all below it, by its folder.
    Cgroup(PathBuf),
}

/// The name of a thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Comm(pub(super) [u8; COMM_LEN]);

impl Comm {
    /// The name without padding. The kernel promises no encoding.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.split(|&byte| byte == 0).next().unwrap_or_default()
    }

    /// The name as text; bytes that are not UTF-8 are replaced.
    #[must_use]
    pub fn to_string_lossy(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(self.as_bytes())
    }
}

/// What may be wrong with the stacks of a sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SampleFlags(pub(super) u32);

impl SampleFlags {
    /// The user stack could not be read.
    #[must_use]
    pub const fn user_failed(self) -> bool {
        self.0 & flags::USER_FAILED != 0
    }

    /// The user stack is as long as a stack can be here and may go on.
    #[must_use]
    pub const fn user_truncated(self) -> bool {
        self.0 & flags::USER_TRUNCATED != 0
    }

    /// The kernel stack could not be read.
    #[must_use]
    pub const fn kernel_failed(self) -> bool {
        self.0 & flags::KERNEL_FAILED != 0
    }

    /// The kernel stack is as long as a stack can be here and may go on.
    #[must_use]
    pub const fn kernel_truncated(self) -> bool {
        self.0 & flags::KERNEL_TRUNCATED != 0
    }
}

/// One sample. Addresses are instruction pointers, leaf first; all but the first of a stack are
/// return addresses. A kernel thread has no user frames, a thread caught in user mode no kernel
/// frames.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    /// When, `CLOCK_MONOTONIC`.
    pub time_ns: u64,
    /// Id of the task's cgroup (version 2): the inode number of its folder.
    pub cgroup_id: u64,
    /// Process.
    pub pid: u32,
    /// Thread.
    pub tid: u32,
    /// CPU.
    pub cpu: u32,
    /// The thread's name at that moment.
    pub comm: Comm,
    /// What may be wrong with the stacks.
    pub flags: SampleFlags,
    /// How far the user stack could be followed.
    pub outcome: Outcome,
    /// Whether a frame of the user stack was found by a frame pointer that no table vouches for.
    pub guessed: bool,
    /// The user stack.
    pub user: &'a [u64],
    /// The kernel stack.
    pub kernel: &'a [u64],
}

/// Which file was mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileId {
    /// Device, major number.
    pub major: u32,
    /// Device, minor number.
    pub minor: u32,
    /// Inode number.
    pub inode: u64,
    /// Inode generation.
    pub generation: u64,
}

/// An executable mapping came into being.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mmap {
    /// When, `CLOCK_MONOTONIC`.
    pub time_ns: u64,
    /// Process.
    pub pid: u32,
    /// The thread that did it.
    pub tid: u32,
    /// First address.
    pub start: u64,
    /// Length in bytes.
    pub len: u64,
    /// Offset in the file in bytes.
    pub pgoff: u64,
    /// Protection, as `mmap(2)` has it.
    pub prot: u32,
    /// The file as the process names it, or what the kernel calls it: `//anon`, `[vdso]`.
    pub path: Box<Path>,
    /// The file's identity, where it is a file.
    pub file: Option<FileId>,
}

/// Something happened. Times are `CLOCK_MONOTONIC`, ids those of the initial pid namespace.
#[derive(Clone, Copy, Debug)]
pub enum KernelEvent<'a> {
    /// A sample was taken.
    Sample(Sample<'a>),
    /// A process now runs another program: its earlier mappings are gone.
    Exec {
        /// When.
        time_ns: u64,
        /// Process.
        pid: u32,
        /// The thread that did it, from now on the only one.
        tid: u32,
        /// The new name.
        comm: Comm,
    },
    /// A thread changed its name.
    Comm {
        /// When.
        time_ns: u64,
        /// Process.
        pid: u32,
        /// Thread.
        tid: u32,
        /// The new name.
        comm: Comm,
    },
    /// A process (`pid` differs from `parent_pid`) or a thread came into being.
    Fork {
        /// When.
        time_ns: u64,
        /// Process.
        pid: u32,
        /// Thread.
        tid: u32,
        /// The process that did it.
        parent_pid: u32,
        /// The thread that did it.
        parent_tid: u32,
    },
    /// An executable mapping came into being.
    Mmap(&'a Mmap),
    /// A thread ended; the process too if it was its last. A process whose first thread
    /// (`tid == pid`) has ended may live on in others.
    Exit {
        /// When.
        time_ns: u64,
        /// Process.
        pid: u32,
        /// Thread.
        tid: u32,
    },
    /// Process events were lost because a ring was full: look at `/proc` again. (Lost samples are
    /// counted in `SamplerStats`.)
    Lost {
        /// When it was noticed.
        time_ns: u64,
        /// How many.
        count: u64,
    },
}

impl KernelEvent<'_> {
    /// When it happened.
    #[must_use]
    pub const fn time_ns(&self) -> u64 {
        match self {
            Self::Sample(sample) => sample.time_ns,
            Self::Mmap(mmap) => mmap.time_ns,
            Self::Exec { time_ns, .. }
            | Self::Comm { time_ns, .. }
            | Self::Fork { time_ns, .. }
            | Self::Exit { time_ns, .. }
            | Self::Lost { time_ns, .. } => *time_ns,
        }
    }
}
