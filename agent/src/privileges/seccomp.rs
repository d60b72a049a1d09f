//! System calls that stay (seccomp(2)).
//!
//! The list was measured: everything that the agent and its worker call in their tests, and what
//! the C library may call instead on another version. The rest fails with `ENOSYS`, which is what
//! libraries expect of a kernel that does not have a call: they fall back to an older one. Nobody is
//! killed for a call that was forgotten here; the call fails, and what fails is logged where it
//! matters.

use seccompiler::{SeccompAction, SeccompFilter, apply_filter_all_threads};

use super::capabilities::{PrivilegeError, failed};

/// Memory, threads, time and signals.
const RUNTIME: &[libc::c_long] = &[
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_membarrier,
    libc::SYS_rseq,
    libc::SYS_futex,
    libc::SYS_clone,
    libc::SYS_clone3,
    libc::SYS_set_robust_list,
    libc::SYS_get_robust_list,
    libc::SYS_set_tid_address,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_sigaltstack,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_restart_syscall,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_time,
    libc::SYS_getrandom,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_setitimer,
    libc::SYS_timer_create,
    libc::SYS_timer_settime,
    libc::SYS_timer_delete,
    libc::SYS_getcpu,
    libc::SYS_arch_prctl,
];

/// Files.
const FILES: &[libc::c_long] = &[
    libc::SYS_open,
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_close,
    libc::SYS_close_range,
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_pread64,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_pwrite64,
    libc::SYS_lseek,
    libc::SYS_fstat,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_statfs,
    libc::SYS_fstatfs,
    libc::SYS_readlink,
    libc::SYS_readlinkat,
    libc::SYS_getdents64,
    libc::SYS_getcwd,
    libc::SYS_chdir,
    libc::SYS_fchdir,
    libc::SYS_access,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_mkdir,
    libc::SYS_mkdirat,
    libc::SYS_rename,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_unlink,
    libc::SYS_unlinkat,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_ftruncate,
    libc::SYS_flock,
    libc::SYS_fcntl,
    libc::SYS_ioctl,
    libc::SYS_dup,
    libc::SYS_dup2,
    libc::SYS_dup3,
    libc::SYS_fadvise64,
    libc::SYS_memfd_create,
    libc::SYS_copy_file_range,
    libc::SYS_umask,
];

/// Sockets and waiting for them.
const NETWORK: &[libc::c_long] = &[
    libc::SYS_socket,
    libc::SYS_socketpair,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_shutdown,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    libc::SYS_sendto,
    libc::SYS_recvfrom,
    libc::SYS_sendmsg,
    libc::SYS_recvmsg,
    libc::SYS_sendmmsg,
    libc::SYS_recvmmsg,
    libc::SYS_poll,
    libc::SYS_ppoll,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_wait,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_eventfd2,
    libc::SYS_pipe2,
    libc::SYS_pipe,
    libc::SYS_select,
    libc::SYS_pselect6,
];

/// The worker: starting it, its limits, its end. And who we are.
const PROCESSES: &[libc::c_long] = &[
    libc::SYS_execve,
    libc::SYS_vfork,
    libc::SYS_fork,
    libc::SYS_wait4,
    libc::SYS_waitid,
    libc::SYS_kill,
    libc::SYS_tgkill,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_send_signal,
    libc::SYS_prctl,
    libc::SYS_capget,
    libc::SYS_capset,
    libc::SYS_setpriority,
    libc::SYS_getpriority,
    libc::SYS_prlimit64,
    libc::SYS_getrlimit,
    libc::SYS_setrlimit,
    libc::SYS_getrusage,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_gettid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_getpgrp,
    libc::SYS_setpgid,
    libc::SYS_setsid,
    libc::SYS_uname,
    libc::SYS_sysinfo,
    libc::SYS_seccomp,
];

/// Sampling, which may have to be started again.
const SAMPLING: &[libc::c_long] = &[libc::SYS_bpf, libc::SYS_perf_event_open];

/// Gives up all other system calls, for every thread and for every program that is started later.
///
/// # Errors
/// When the kernel refuses the filter.
pub fn give_up_system_calls() -> Result<(), PrivilegeError> {
    let refused = |error: seccompiler::Error| std::io::Error::other(error);
    let filter = filter().map_err(refused).map_err(failed("make the filter of system calls"))?;
    apply_filter_all_threads(&filter)
        .map_err(refused)
        .map_err(failed("install the filter of system calls"))
}

fn filter() -> Result<seccompiler::BpfProgram, seccompiler::Error> {
    let all = [RUNTIME, FILES, NETWORK, PROCESSES, SAMPLING];
    let rules = all.into_iter().flatten().map(|&call| (call, Vec::new())).collect();
    let otherwise = SeccompAction::Errno(libc::ENOSYS as u32);
    let machine = std::env::consts::ARCH.try_into()?;
    Ok(SeccompFilter::new(rules, otherwise, SeccompAction::Allow, machine)?.try_into()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_fits_into_the_kernel() {
        // BPF_MAXINSNS of include/uapi/linux/bpf_common.h.
        assert!(filter().expect("is well formed").len() <= 4096);
    }

    #[test]
    fn no_call_is_listed_twice() {
        let mut all = [RUNTIME, FILES, NETWORK, PROCESSES, SAMPLING].concat();
        all.sort_unstable();
        assert!(all.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
