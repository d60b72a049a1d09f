//! What the tests share: the burning program, one sampler at a time, and a record of what it saw.

use std::{
    collections::HashMap,
    fs,
    ops::Range,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use object::{Object as _, ObjectSymbol as _};
use stoker_agent::kernel::{
    KernelEvent, Mmap, Sampler, SamplerConfig, SamplerStats, Target, preflight,
};

/// Says that a test did not run and why. In CI, as root, that is a failure.
#[expect(clippy::print_stdout, reason = "the test's output is where a reader looks for it")]
pub fn skip(test: &str, reason: &str) {
    println!("SKIPPED: {test}: {reason}");
    let in_ci = std::env::var("CI").is_ok_and(|value| value == "true");
    assert!(!(in_ci && is_root()), "must not be skipped in CI: {test}: {reason}");
}

/// Takes its turn with the samplers of other tests; `None`, and said, where sampling is impossible.
pub fn can_sample(test: &str) -> Option<MutexGuard<'static, ()>> {
    static TURN: Mutex<()> = Mutex::new(());
    let in_the_way = preflight().into_iter().find_map(|check| check.outcome.err());
    let in_the_way = in_the_way.map(|error| error.to_string()).or_else(no_compiler);
    if let Some(reason) = in_the_way {
        skip(test, &reason);
        return None;
    }
    Some(TURN.lock().unwrap_or_else(PoisonError::into_inner))
}

fn no_compiler() -> Option<String> {
    let found = Command::new("gcc").arg("--version").stdout(Stdio::null()).status();
    found.is_err().then(|| "there is no C compiler (gcc)".to_owned())
}

/// Number of CPUs.
pub fn cpus() -> usize {
    std::thread::available_parallelism().unwrap().get()
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The compiled burner and the folder that it goes away with.
pub struct Program {
    pub path: PathBuf,
    _folder: tempfile::TempDir,
}

/// Compiles the burner: fixed addresses, a frame pointer in every function, a build id.
pub fn compile_burner() -> Program {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("burner");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kernel/burner.c");
    // Without optimisation, because gcc leaves the frame pointer out of leaf functions otherwise,
    // whatever it is told.
    let flags = ["-O0", "-fno-omit-frame-pointer", "-no-pie", "-Wl,--build-id", "-o"];
    let done = Command::new("gcc").args(flags).arg(&path).arg(source).status().unwrap();
    assert!(done.success(), "the burner must compile");
    Program { path, _folder: folder }
}

/// A process that burns CPU until dropped.
pub struct Burner {
    program: Program,
    child: Child,
}

impl Burner {
    pub fn start() -> Self {
        Self::with_frames(0)
    }

    /// With this many more calls between `main` and `caller`.
    pub fn with_frames(frames: u32) -> Self {
        let program = compile_burner();
        let args = ["1".to_owned(), frames.to_string()];
        let child = Command::new(&program.path).args(args).spawn().unwrap();
        Self { program, child }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn range(&self, function: &str) -> Range<u64> {
        let bytes = fs::read(&self.program.path).unwrap();
        let file = object::File::parse(&*bytes).unwrap();
        let symbol = file.symbols().find(|symbol| symbol.name() == Ok(function)).unwrap();
        symbol.address()..symbol.address() + symbol.size()
    }
}

impl Drop for Burner {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// A sample, kept.
#[derive(Debug)]
pub struct Seen {
    pub pid: u32,
    pub cgroup_id: u64,
    pub comm: String,
    pub user: Vec<u64>,
    pub kernel: Vec<u64>,
}

/// Everything that a sampler said.
#[derive(Default)]
pub struct Recording {
    pub samples: Vec<Seen>,
    pub mmaps: Vec<Mmap>,
    pub stats: SamplerStats,
    pub in_order: bool,
    /// How often the kernel says that the program ran.
    pub program_runs: u64,
    lives: HashMap<u32, Vec<&'static str>>,
    parents: HashMap<u32, u32>,
    last_ns: u64,
}

impl Recording {
    /// The samples of a process.
    pub fn of(&self, pid: u32) -> Vec<&Seen> {
        self.samples.iter().filter(|seen| seen.pid == pid).collect()
    }

    /// What happened to a process, in order, mappings and samples apart.
    pub fn life_of(&self, pid: u32) -> &[&'static str] {
        self.lives.get(&pid).map_or(&[], Vec::as_slice)
    }

    /// True where `pid` was forked, during the recording, by `ancestor` or a descendant of it.
    pub fn descends(&self, pid: u32, ancestor: u32) -> bool {
        let mut lineage = std::iter::successors(Some(pid), |pid| self.parents.get(pid).copied());
        lineage.any(|pid| pid == ancestor)
    }

    fn take(&mut self, event: &KernelEvent<'_>) {
        self.in_order &= event.time_ns() >= self.last_ns;
        self.last_ns = event.time_ns();
        let (pid, what) = match *event {
            KernelEvent::Sample(sample) => {
                return self.samples.push(Seen {
                    pid: sample.pid,
                    cgroup_id: sample.cgroup_id,
                    comm: sample.comm.to_string_lossy().into_owned(),
                    user: sample.user.to_vec(),
                    kernel: sample.kernel.to_vec(),
                });
            }
            KernelEvent::Mmap(mmap) => return self.mmaps.push(mmap.clone()),
            KernelEvent::Lost { .. } => return,
            KernelEvent::Exec { pid, .. } => (pid, "exec"),
            KernelEvent::Comm { pid, .. } => (pid, "comm"),
            KernelEvent::Exit { pid, .. } => (pid, "exit"),
            KernelEvent::Fork { pid, parent_pid, .. } => {
                self.parents.insert(pid, parent_pid);
                (pid, "fork")
            }
        };
        self.lives.entry(pid).or_default().push(what);
    }
}

/// Records for a while, draining as an agent would.
pub fn record(config: &SamplerConfig, duration: Duration) -> Recording {
    while_doing(config, || std::thread::sleep(duration))
}

/// Records while another thread does something.
pub fn while_doing(config: &SamplerConfig, work: impl FnOnce() + Send) -> Recording {
    let mut sampler = Sampler::start(config).unwrap();
    let mut recording = Recording { in_order: true, ..Recording::default() };
    std::thread::scope(|scope| {
        let worker = scope.spawn(work);
        while !worker.is_finished() {
            std::thread::sleep(Duration::from_millis(50));
            sampler.drain(&mut |event| recording.take(&event));
        }
        worker.join().unwrap();
    });
    sampler.stop().unwrap();
    sampler.drain(&mut |event| recording.take(&event));
    recording.stats = sampler.stats().unwrap();
    recording.program_runs = sampling_runs(std::process::id());
    recording
}

/// How often the programs of a process ran that take samples.
fn sampling_runs(pid: u32) -> u64 {
    const PERF_EVENT: u32 = 7;
    let of = |text: &String| number::<u32>(text, "prog_type:") == Some(PERF_EVENT);
    let texts = fdinfo(pid).filter(of);
    let runs: HashMap<u32, u64> = texts
        .filter_map(|text| Some((number(&text, "prog_id:")?, number(&text, "run_cnt:")?)))
        .collect();
    runs.values().sum()
}

fn fdinfo(pid: u32) -> impl Iterator<Item = String> {
    let folder = fs::read_dir(format!("/proc/{pid}/fdinfo")).into_iter().flatten();
    folder.filter_map(|entry| fs::read_to_string(entry.ok()?.path()).ok())
}

/// The BPF programs that a process holds, and how often each ran (where the kernel counts that).
pub fn program_ids(pid: u32) -> HashMap<u32, u64> {
    fdinfo(pid)
        .filter_map(|text| Some((number(&text, "prog_id:")?, number(&text, "run_cnt:")?)))
        .collect()
}

fn number<N: std::str::FromStr>(text: &str, field: &str) -> Option<N> {
    text.lines().find_map(|line| line.strip_prefix(field))?.trim().parse().ok()
}

/// True where the kernel still has the program.
pub fn is_loaded(program: u32) -> bool {
    aya::programs::loaded_programs().flatten().any(|info| info.id() == program)
}

/// Waits for something to come true; false if it does not in five seconds.
pub fn soon(mut condition: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + Duration::from_secs(5);
    while Instant::now() < end {
        if condition() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    condition()
}

/// Makes the kernel count program runs, and puts the setting back.
pub struct RunCounting(String);

impl RunCounting {
    const SYSCTL: &str = "/proc/sys/kernel/bpf_stats_enabled";

    pub fn start() -> Self {
        let before = fs::read_to_string(Self::SYSCTL).unwrap();
        fs::write(Self::SYSCTL, "1").unwrap();
        Self(before)
    }
}

impl Drop for RunCounting {
    fn drop(&mut self) {
        fs::write(Self::SYSCTL, self.0.trim()).unwrap();
    }
}

/// A cgroup with another one below it, removed at the end.
pub struct TestCgroup {
    pub path: PathBuf,
    pub below: PathBuf,
}

impl TestCgroup {
    /// `None` where there is no writable hierarchy of version 2.
    pub fn make() -> Option<Self> {
        let roots = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"];
        let root =
            roots.into_iter().find(|root| Path::new(root).join("cgroup.controllers").exists());
        let path = Path::new(root?).join(format!("stoker-test-{}", std::process::id()));
        let below = path.join("below");
        fs::create_dir_all(&below).ok()?;
        Some(Self { path, below })
    }
}

impl Drop for TestCgroup {
    fn drop(&mut self) {
        // A cgroup can be removed once its last process has been reaped.
        soon(|| fs::remove_dir(&self.below).is_ok() || !self.below.exists());
        soon(|| fs::remove_dir(&self.path).is_ok());
    }
}

/// A configuration for tests.
pub fn config(target: Target) -> SamplerConfig {
    SamplerConfig { frequency_hz: 99, target, ..SamplerConfig::default() }
}
