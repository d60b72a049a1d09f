//! The few fields of `/proc/PID/status` (proc_pid_status(5)) that are needed here.

use std::path::Path;

/// The parent of all kernel threads; tells them apart before Linux 6.8, which has a field for it.
const KTHREADD: u32 = 2;

/// What is read of a process's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Status {
    /// Its process id where it lives itself, in its innermost pid namespace.
    pub namespace_pid: u32,
    /// Its parent.
    pub parent: u32,
    /// Its effective user id.
    pub effective_user: u32,
    /// Whether it has ended and waits to be reaped; other threads may still run.
    pub zombie: bool,
    /// Whether it is a thread of the kernel.
    pub kernel_thread: bool,
}

impl Status {
    /// Reads the status in the folder `process`.
    pub(super) fn read(process: &Path) -> Option<Self> {
        Self::parse(&String::from_utf8_lossy(&std::fs::read(process.join("status")).ok()?))
    }

    fn parse(text: &str) -> Option<Self> {
        let field = |name: &str| {
            let value =
                |line: &str| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim().to_owned());
            text.lines().find_map(value)
        };
        let nth = |name, n| field(name)?.split_ascii_whitespace().nth(n)?.parse().ok();
        let own_pid =
            field("NSpid").and_then(|pids| pids.split_ascii_whitespace().last()?.parse().ok());
        Some(Self {
            namespace_pid: own_pid.or_else(|| nth("Pid", 0))?,
            parent: nth("PPid", 0)?,
            effective_user: nth("Uid", 1)?,
            zombie: field("State").is_some_and(|state| state.starts_with(['Z', 'X'])),
            kernel_thread: match field("Kthread") {
                Some(flag) => flag == "1",
                None => nth("PPid", 0) == Some(KTHREADD) || nth("Pid", 0) == Some(KTHREADD),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_pid_is_taken() {
        let text = "Name:\tnode\nPid:\t4711\nPPid:\t12\nUid:\t1000\t1001\t1002\t1003\nNSpid:\t4711\t17\t1\nKthread:\t0\n";
        let status = Status::parse(text).expect("all fields are there");
        assert_eq!((status.namespace_pid, status.parent, status.effective_user), (1, 12, 1001));
        assert!(!status.kernel_thread);
        assert!(Status::parse("Name:\tnode\n").is_none());
    }
}
