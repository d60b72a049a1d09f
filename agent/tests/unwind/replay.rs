//! Programs run one instruction at a time; at each, the stack by tables is held to the true one.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use stoker_unwind::Outcome;

use crate::host::{Process, Stack};
use crate::ptrace;
use crate::shadow::{Registers, Shadow};

/// Wrong by tables alone: never.
pub const WRONG: &str = "wrong";
/// Wrong where a frame without any information was followed by its frame pointer.
pub const GUESSED: &str = "wrong by a guess";
/// Wrong because the exception that is being landed has overwritten what frames saved.
pub const OVERWRITTEN: &str = "overwritten";

/// What became of the stacks of one program.
#[derive(Debug, Default)]
pub struct Sum {
    pub instructions: u64,
    pub stacks: u64,
    pub complete: u64,
    /// Stacks that are wrong, by the above; and those that are right as far as they go, by the reason
    /// why no further.
    pub others: BTreeMap<&'static str, u64>,
    /// One of each of the others.
    pub examples: BTreeMap<&'static str, String>,
}

/// Where looking begins. Until there the program runs at full speed; either is where a stack begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// The first instruction, which is the dynamic linker's.
    Exec,
    /// The program's own entry point, when it is linked.
    Entry,
}

/// Runs `program` to its end, looking at the stack at every `stride`th instruction.
pub fn replay(program: &Path, from: From, stride: u64) -> Sum {
    let mut sum = Sum::default();
    let mut command = Command::new(program);
    command.stdout(Stdio::null());
    if from == From::Entry {
        command.env("LD_BIND_NOW", "1");
    }
    let mut child = ptrace::spawn(&mut command).expect("the program starts");
    let pid = i32::try_from(child.id()).expect("a process id");
    let mut process = Process::new(pid).expect("its memory can be read");
    ptrace::wait().expect("it stops at its start");
    ptrace::follow_threads(pid).expect("threads can be followed");
    if from == From::Entry {
        run_to_entry(pid).expect("the program reaches its entry");
    }
    let mut threads: HashMap<i32, Shadow> = HashMap::new();
    let registers = ptrace::registers(pid).expect("it is stopped");
    threads.insert(pid, Shadow::new(Registers { pc: registers.rip, sp: registers.rsp }));
    ptrace::single_step(pid, 0).expect("it is stopped");
    while let Ok((tid, status)) = ptrace::wait() {
        if !libc::WIFSTOPPED(status) {
            threads.remove(&tid);
            if tid == pid {
                assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0, "{status:x}");
                break;
            }
            continue;
        }
        let signal = stopped(&mut process, &mut threads, tid, status, stride, &mut sum);
        // A thread that is gone meanwhile is told of by the next wait.
        let _ = ptrace::single_step(tid, signal);
    }
    let _ = child.wait();
    sum
}

/// Runs a process that has just been started to its entry point, by a breakpoint there.
fn run_to_entry(pid: i32) -> std::io::Result<()> {
    const AT_ENTRY: u64 = 9;
    const BREAKPOINT: u8 = 0xcc;
    let auxv = std::fs::read(format!("/proc/{pid}/auxv"))?;
    let word = |bytes: &[u8]| bytes.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let pair = auxv.chunks_exact(16).find(|pair| word(pair) == AT_ENTRY);
    let entry = pair.map(|pair| word(&pair[8..])).ok_or(std::io::ErrorKind::NotFound)?;
    let memory = File::options().read(true).write(true).open(format!("/proc/{pid}/mem"))?;
    let mut saved = [0];
    memory.read_exact_at(&mut saved, entry)?;
    memory.write_all_at(&[BREAKPOINT], entry)?;
    ptrace::cont(pid)?;
    ptrace::wait()?;
    memory.write_all_at(&saved, entry)?;
    let mut registers = ptrace::registers(pid)?;
    assert_eq!(registers.rip, entry + 1, "another stop came first");
    registers.rip = entry;
    ptrace::set_registers(pid, &registers)
}

/// Handles one stop; returns the signal to deliver.
fn stopped(
    process: &mut Process,
    threads: &mut HashMap<i32, Shadow>,
    tid: i32,
    status: i32,
    stride: u64,
    sum: &mut Sum,
) -> i32 {
    let Ok(registers) = ptrace::registers(tid) else { return 0 };
    let now = Registers { pc: registers.rip, sp: registers.rsp };
    let Some(shadow) = threads.get_mut(&tid) else {
        threads.insert(tid, Shadow::new(now));
        return 0;
    };
    match libc::WSTOPSIG(status) {
        libc::SIGTRAP if status >> 16 == 0 => {}
        libc::SIGTRAP => return 0,
        signal => {
            shadow.signalled();
            return signal;
        }
    }
    shadow.stepped(now, |at| u64::from_le_bytes(process.bytes(at)), |at| process.bytes(at));
    sum.instructions += 1;
    if sum.instructions.is_multiple_of(stride) {
        let stack = process.stack(now.pc, now.sp, registers.rbp);
        sum.add(&shadow.truth(), &stack, process);
    }
    0
}

impl Sum {
    fn add(&mut self, truth: &[u64], stack: &Stack, process: &mut Process) {
        self.stacks += 1;
        let Stack { frames, outcome, is_guessed } = stack;
        if *outcome == Outcome::Complete && frames == truth {
            self.complete += 1;
            return;
        }
        let is_wrong = *outcome == Outcome::Complete || !truth.starts_with(frames);
        let kind = match is_wrong {
            false => outcome.name(),
            true if truth.iter().any(|&address| process.is_landing(address)) => OVERWRITTEN,
            true if *is_guessed => GUESSED,
            true => WRONG,
        };
        *self.others.entry(kind).or_default() += 1;
        if !self.examples.contains_key(kind) {
            let same = truth.iter().zip(frames).take_while(|(a, b)| a == b).count();
            // The last frame that is right is the one whose rule went wrong.
            let at = truth.get(same.saturating_sub(1)).map(|&at| at - u64::from(same > 1));
            let rule = at.map(|at| process.rule_text(at)).unwrap_or_default();
            let text = format!(
                "{same} of {} frames right, {frames:x?} for {truth:x?}, {rule}",
                truth.len()
            );
            self.examples.insert(kind, text);
        }
    }
}
