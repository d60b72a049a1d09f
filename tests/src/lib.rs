//! Helpers of the end-to-end tests: real binaries, real sockets, real folders.
//!
//! The binaries are those beside the test's own executable; `cargo xtask test` builds them first.

#![forbid(unsafe_code)]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Whether BPF programs can be loaded here. Where they cannot, says so in the count of skipped
/// tests; in CI as root that is a failure, because there everything that can run must.
#[must_use]
pub fn can_sample(test: &str) -> bool {
    let reason = match (is_root(), Path::new("/sys/kernel/btf/vmlinux").exists()) {
        (true, true) => return true,
        (false, _) => "needs root",
        (true, false) => "needs a kernel with BTF",
    };
    skipped(test, reason);
    false
}

/// Counts a test as skipped, with the reason: a line on the standard error and in the file that
/// `STOKER_SKIP_LOG` names.
///
/// # Panics
/// When the file cannot be written.
#[expect(clippy::print_stderr, reason = "a skipped test must be seen")]
pub fn skipped(test: &str, reason: &str) {
    eprintln!("SKIPPED: {test}: {reason}");
    if let Some(path) = std::env::var_os("STOKER_SKIP_LOG") {
        let mut log = fs::File::options().create(true).append(true).open(path).expect("skip log");
        writeln!(log, "{test}: {reason}").expect("skip log");
    }
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

/// A binary of the workspace.
///
/// # Panics
/// When it has not been built.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("a test has a path");
    // Tests stand in target/PROFILE/deps/, benchmarks in target/PROFILE/.
    let path = own.ancestors().skip(1).take(2).map(|folder| folder.join(name)).find(|p| p.exists());
    let path = path.unwrap_or_default();
    assert!(
        path.exists(),
        "{name} is not built: `cargo build --workspace --bins` or `cargo xtask test`"
    );
    path
}

/// Where ports of tests come from: below those that Linux gives to connections, one of which could take
/// a port between the moment that it is found free and the moment that a server listens there.
const PORTS: std::ops::Range<u32> = 10_000..30_000;
/// Ports that this process has looked at.
static PORTS_TRIED: AtomicU32 = AtomicU32::new(0);

/// A port that nobody listens on, another one each time.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn free_port() -> u16 {
    // Processes that test at the same time begin at different places.
    let first = std::process::id().wrapping_mul(7919);
    let tried = std::iter::repeat_with(|| PORTS_TRIED.fetch_add(1, Ordering::Relaxed));
    let ports = tried.take(PORTS.len()).map(|nth| {
        let port = PORTS.start + first.wrapping_add(nth) % (PORTS.end - PORTS.start);
        u16::try_from(port).expect("ports have 16 bits")
    });
    let mut free = ports.filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    free.next().expect("a free port")
}

/// A child process that is killed when the test ends; its output goes to a file.
#[derive(Debug)]
pub struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Starts a command with its output in `log`.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(command: &mut Command, log: &Path) -> Self {
        let file = fs::File::create(log).expect("a log file");
        let both = file.try_clone().expect("a log file");
        let child = command.stdin(Stdio::null()).stdout(file).stderr(both).spawn();
        let child = child.unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        Self { child, log: log.into() }
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed so far.
    #[must_use]
    pub fn output(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// `kill -9`.
    ///
    /// # Panics
    /// When it cannot be waited for.
    pub fn kill(mut self) {
        self.child.kill().expect("kill");
        self.child.wait().expect("wait");
    }

    /// Asks it to end, as Ctrl-C does, and waits.
    ///
    /// # Panics
    /// When it does not end within ten seconds or fails.
    pub fn interrupt(mut self) -> String {
        self.signal("INT");
        let status = self.wait(Duration::from_secs(10));
        assert!(status.success(), "{status}: {}", self.output());
        self.output()
    }

    /// Sends a signal by name.
    ///
    /// # Panics
    /// When `kill` does not run.
    pub fn signal(&self, name: &str) {
        let sent =
            Command::new("kill").args([&format!("-{name}"), &self.pid().to_string()]).status();
        assert!(sent.expect("kill runs").success());
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When that takes too long.
    pub fn wait(&mut self, patience: Duration) -> std::process::ExitStatus {
        let end = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait().expect("wait") {
                return status;
            }
            assert!(Instant::now() < end, "it did not end: {}", self.output());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server of our own: its folder, its ports.
#[derive(Debug)]
pub struct Server {
    /// Its folder; logs stand beside the data.
    pub dir: PathBuf,
    /// HTTP.
    pub http: SocketAddr,
    /// gRPC.
    pub grpc: SocketAddr,
}

impl Server {
    /// Chooses ports; starts nothing yet.
    #[must_use]
    pub fn new(dir: &Path) -> Self {
        let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
        Self { dir: dir.into(), http: local(free_port()), grpc: local(free_port()) }
    }

    /// Starts `stoker-server` and waits until it is ready.
    ///
    /// # Panics
    /// When it does not become ready.
    #[must_use]
    pub fn start(&self) -> Running {
        self.start_with(&[])
    }

    /// As [`Self::start`], with more options.
    ///
    /// # Panics
    /// When it does not become ready.
    #[must_use]
    pub fn start_with(&self, options: &[&str]) -> Running {
        let mut command = Command::new(binary("stoker-server"));
        command.arg("--data-dir").arg(self.dir.join("data"));
        command.args(["--http", &self.http.to_string(), "--grpc", &self.grpc.to_string()]);
        command.args(options);
        let running = Running::start(&mut command, &self.dir.join("server.log"));
        self.wait_ready(&running);
        running
    }

    /// Starts `stoker up` on these ports and waits until it is ready.
    ///
    /// # Panics
    /// When it does not become ready.
    #[must_use]
    pub fn start_up(&self, frequency_hz: u32) -> Running {
        let mut command = Command::new(binary("stoker"));
        command.arg("up").arg("--data-dir").arg(self.dir.join("data"));
        command.args(["--http", &self.http.to_string(), "--grpc", &self.grpc.to_string()]);
        command.args(["--frequency", &frequency_hz.to_string()]);
        let running = Running::start(&mut command, &self.dir.join("up.log"));
        self.wait_ready(&running);
        running
    }

    /// Starts `stoker-agent` with a folder of its own, and waits until it samples.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start_agent(&self, host: &str, options: &[&str]) -> Running {
        let mut command = Command::new(binary("stoker-agent"));
        self.agent_options(&mut command, host);
        command.args(options);
        let running = Running::start(&mut command, &self.dir.join(format!("{host}.log")));
        wait_for("the agent to sample", || running.output().contains("sampling").then_some(()));
        running
    }

    /// The usual flags of an agent of this server.
    pub fn agent_options(&self, command: &mut Command, host: &str) {
        command.args(["--server", &format!("http://{}", self.grpc), "--host", host]);
        // As an environment variable, so that a test can still say otherwise.
        command.env("STOKER_FLUSH_SECONDS", "1");
        // Budgets are for release builds; only the tests of budgets themselves ask for one.
        command.env("STOKER_MAX_CPU", "0");
        command.arg("--state-dir").arg(self.dir.join(format!("agent-{host}")));
    }

    fn wait_ready(&self, running: &Running) {
        let ready = || get(self.http, "/readyz").is_some_and(|answer| answer.status == 200);
        let end = Instant::now() + Duration::from_secs(30);
        while !ready() {
            assert!(Instant::now() < end, "not ready: {}", running.output());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// A JSON answer.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn json(&self, path: &str, query: &[(&str, &str)]) -> serde_json::Value {
        let answer = get(self.http, &with_query(path, query)).expect("an answer");
        let text = String::from_utf8_lossy(&answer.body);
        assert_eq!(answer.status, 200, "{path} {query:?}: {text}");
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}: {text}"))
    }

    /// The flame graph of a selector over the last hour.
    #[must_use]
    pub fn flamegraph(&self, selector: &str) -> serde_json::Value {
        let query = [("query", selector), ("from", "now-1h"), ("until", "now"), ("max_nodes", "0")];
        self.json("/api/v1/flamegraph", &query)
    }

    /// How many samples of the last hour are stored.
    ///
    /// # Panics
    /// When the server does not answer.
    #[must_use]
    pub fn samples(&self, selector: &str) -> u64 {
        self.flamegraph(selector)["samples"].as_u64().expect("a count of samples")
    }

    /// Self and total by function over the last hour.
    #[must_use]
    pub fn top(&self, selector: &str) -> serde_json::Value {
        let query = [("query", selector), ("from", "now-1h"), ("until", "now"), ("limit", "1000")];
        self.json("/api/v1/top", &query)
    }
}

/// An answer of a server.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

/// One HTTP/1.0 request; `None` when nobody answers. Plain enough to need no library, which would
/// add to each build more than these lines do.
#[must_use]
pub fn get(server: SocketAddr, path: &str) -> Option<Answer> {
    let mut stream = TcpStream::connect_timeout(&server, Duration::from_secs(2)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {server}\r\n\r\n").ok()?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).ok()?;
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, body: bytes[end + 4..].to_vec() })
}

fn with_query(path: &str, query: &[(&str, &str)]) -> String {
    let escaped = |text: &str| -> String {
        let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let one =
            |byte| if safe(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
        text.bytes().map(one).collect()
    };
    let pairs: Vec<String> =
        query.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect();
    format!("{path}?{}", pairs.join("&"))
}

/// Asks again and again, for a minute at most.
///
/// # Panics
/// When the answer never comes.
pub fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < end, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Compilers of the workloads in `tests/workloads/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// gcc, with frame pointers.
    C,
    /// rustc, with frame pointers.
    Rust,
    /// go, which keeps them.
    Go,
}

/// Builds `tests/workloads/burn.*` as `output`; `None` where there is no compiler.
///
/// # Panics
/// When the compiler refuses.
#[must_use]
pub fn build_workload(language: Language, output: &Path) -> Option<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("workloads");
    let (program, flags, source): (_, &[&str], _) = match language {
        Language::C => ("gcc", &["-O2", "-g", "-fno-omit-frame-pointer"], "burn.c"),
        Language::Rust => {
            ("rustc", &["--edition", "2024", "-O", "-g", "-Cforce-frame-pointers=yes"], "burn.rs")
        }
        Language::Go => ("go", &["build"], "burn.go"),
    };
    let built = Command::new(program)
        .args(flags)
        .arg("-o")
        .arg(output)
        .arg(folder.join(source))
        .env("GOFLAGS", "-buildvcs=false")
        .env("GOCACHE", output.with_extension("gocache"))
        .env("GO111MODULE", "off")
        .output();
    let built = built.ok()?;
    assert!(built.status.success(), "{program}: {}", String::from_utf8_lossy(&built.stderr));
    Some(())
}
