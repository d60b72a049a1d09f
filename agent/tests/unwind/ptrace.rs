//! The few calls of ptrace(2) that single-stepping takes. The only `unsafe` of these tests.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command};

pub type Registers = libc::user_regs_struct;

/// Starts `command`, stopped at its first instruction, to be traced by this thread.
pub fn spawn(command: &mut Command) -> io::Result<Child> {
    let trace_me = || {
        // SAFETY: PTRACE_TRACEME takes no other arguments and touches no memory.
        let failed = unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) };
        if failed == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
    };
    // SAFETY: the closure only makes a system call, which is allowed between fork and exec.
    unsafe { command.pre_exec(trace_me) };
    command.spawn()
}

/// Threads of a stopped process are traced too, and all die with this test.
pub fn follow_threads(pid: i32) -> io::Result<()> {
    let options = libc::PTRACE_O_TRACECLONE | libc::PTRACE_O_EXITKILL;
    let options = usize::try_from(options).expect("small flags");
    // SAFETY: PTRACE_SETOPTIONS takes its options as a number; no memory is touched.
    result(unsafe { libc::ptrace(libc::PTRACE_SETOPTIONS, pid, 0, options) })
}

/// Lets a stopped thread run one instruction, or first delivers a signal to it.
pub fn single_step(tid: i32, signal: i32) -> io::Result<()> {
    let signal = usize::try_from(signal).expect("a signal");
    // SAFETY: PTRACE_SINGLESTEP takes the signal as a number; no memory is touched.
    result(unsafe { libc::ptrace(libc::PTRACE_SINGLESTEP, tid, 0, signal) })
}

/// The registers of a stopped thread.
pub fn registers(tid: i32) -> io::Result<Registers> {
    // SAFETY: all of its fields are integers, for which zero is a value.
    let mut registers: Registers = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes one `user_regs_struct` to the pointer, which is valid for it.
    result(unsafe { libc::ptrace(libc::PTRACE_GETREGS, tid, 0, &raw mut registers) })?;
    Ok(registers)
}

/// Lets a stopped thread run to its next stop.
pub fn cont(tid: i32) -> io::Result<()> {
    // SAFETY: PTRACE_CONT takes the signal, none, as a number; no memory is touched.
    result(unsafe { libc::ptrace(libc::PTRACE_CONT, tid, 0, 0) })
}

/// Sets the registers of a stopped thread.
pub fn set_registers(tid: i32, registers: &Registers) -> io::Result<()> {
    let registers: *const Registers = registers;
    // SAFETY: the kernel reads one `user_regs_struct` from the pointer, which is valid for it.
    result(unsafe { libc::ptrace(libc::PTRACE_SETREGS, tid, 0, registers) })
}

/// The next stop or end of a thread that this thread traces: its id and status.
pub fn wait() -> io::Result<(i32, i32)> {
    let mut status = 0;
    // SAFETY: `status` is valid for one int. Children of other tests' threads are left to them.
    let tid = unsafe { libc::waitpid(-1, &raw mut status, libc::__WALL | libc::__WNOTHREAD) };
    if tid == -1 { Err(io::Error::last_os_error()) } else { Ok((tid, status)) }
}

fn result(code: libc::c_long) -> io::Result<()> {
    if code == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
