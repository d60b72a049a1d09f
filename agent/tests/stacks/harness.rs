//! The agent's own parts from the kernel to addresses: sampler, process table, loader of tables.
//! Stacks are kept as they come.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use stoker_agent::kernel::{CostHistogram, KernelEvent, Sampler, SamplerConfig, Target, preflight};
use stoker_agent::process::ProcessTable;
use stoker_agent::run::{Unwinding, process_event};
use stoker_unwind::Outcome;

/// A user stack, leaf first, as addresses of the instruction that was running or calling.
#[derive(Debug, Clone)]
pub struct Stack {
    pub pid: u32,
    pub at: Instant,
    pub user: Vec<u64>,
    pub kernel: usize,
    pub outcome: Outcome,
    pub guessed: bool,
}

/// Says that a test did not run and why. In CI, as root, that is a failure.
pub fn skip(test: &str, reason: &str) {
    println!("SKIPPED: {test}: {reason}");
    let in_ci = std::env::var("CI").is_ok_and(|value| value == "true");
    assert!(!(in_ci && rustix::process::geteuid().is_root()), "must run in CI: {test}: {reason}");
}

/// Whether stacks can be taken here.
pub fn can_sample(test: &str) -> bool {
    let in_the_way = preflight().into_iter().find_map(|check| check.outcome.err());
    if let Some(reason) = &in_the_way {
        skip(test, &reason.to_string());
    }
    in_the_way.is_none()
}

/// Sampling that goes on.
pub struct Run {
    sampler: Sampler,
    processes: ProcessTable,
    pub unwinding: Unwinding,
    pub stacks: Vec<Stack>,
}

impl Run {
    pub fn start(frequency_hz: u32, target: Target) -> Self {
        let config = SamplerConfig { frequency_hz, target, ..SamplerConfig::default() };
        let sampler = Sampler::start(&config).unwrap();
        let mut processes = ProcessTable::new();
        processes.scan().unwrap();
        Self { sampler, processes, unwinding: Unwinding::default(), stacks: Vec::new() }
    }

    /// Goes on for a while, draining as the agent does.
    pub fn go_on(&mut self, duration: Duration) {
        let end = Instant::now() + duration;
        while Instant::now() < end {
            std::thread::sleep(Duration::from_millis(50));
            self.step();
        }
    }

    fn step(&mut self) {
        let Self { sampler, processes, unwinding, stacks } = self;
        sampler.drain(&mut |event| match event {
            KernelEvent::Sample(sample) => {
                processes.generation(sample.pid);
                unwinding.sampled(&sample, processes);
                let addresses = sample.user.iter().enumerate();
                stacks.push(Stack {
                    pid: sample.pid,
                    at: Instant::now(),
                    user: addresses.map(|(at, pc)| pc.wrapping_sub(u64::from(at > 0))).collect(),
                    kernel: sample.kernel.len(),
                    outcome: sample.outcome,
                    guessed: sample.guessed,
                });
            }
            other => {
                if let Some(change) = process_event(&other) {
                    processes.apply(change, Instant::now());
                }
                unwinding.noted(&other);
            }
        });
        unwinding.exchange(processes, sampler.unwind_maps());
    }

    /// Time that samples cost so far, in a measuring build.
    pub fn cost(&self) -> Option<CostHistogram> {
        self.sampler.cost().unwrap()
    }

    pub fn stop(&mut self) {
        self.sampler.stop().unwrap();
        self.step();
    }
}

/// A compiled program.
pub struct Program {
    pub path: PathBuf,
    pub folder: tempfile::TempDir,
}

/// The path of a source of these tests.
pub fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stacks").join(name)
}

/// Compiles; `None` where the compiler is not there or does not know an option.
pub fn compile(compiler: &str, options: &str, name: &str) -> Option<Program> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("truth");
    let mut command = Command::new(compiler);
    command.args(options.split_whitespace()).arg("-o").arg(&path).arg(source(name));
    let done = command.stdout(Stdio::null()).output().ok()?;
    done.status.success().then_some(Program { path, folder })
}

/// A process that is killed with what it has forked.
pub struct Running(Child);

impl Running {
    pub fn start(command: &mut Command) -> Self {
        use std::os::unix::process::CommandExt as _;
        Self(command.process_group(0).stdout(Stdio::null()).spawn().unwrap())
    }

    pub fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let group = rustix::process::Pid::from_child(&self.0);
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        let _ = self.0.wait();
    }
}
