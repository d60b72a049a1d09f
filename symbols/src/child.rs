//! A running worker, seen from its parent.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::channel::{receive, send};
use super::protocol::{Answer, GREETING, Request};
use super::worker::WORKER_ARG;

/// How long a worker may take for one request.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// How workers are started and how long they may take.
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    /// The executable, whose `main` calls [`dispatch_worker`](super::dispatch_worker).
    pub program: PathBuf,
    /// Its arguments, [`WORKER_ARG`] first.
    pub arguments: Vec<OsString>,
    /// How long it may take for one request.
    pub timeout: Duration,
}

impl Default for WorkerConfig {
    /// This very executable, even after its file was replaced.
    fn default() -> Self {
        Self {
            program: PathBuf::from("/proc/self/exe"),
            arguments: vec![WORKER_ARG.into()],
            timeout: REQUEST_TIMEOUT,
        }
    }
}

/// How long a worker may take to say that it is one.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a worker may take to end after it has closed its socket.
const END_TIMEOUT: Duration = Duration::from_millis(300);

/// Why a request has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// The worker had ended before, by itself, having had nothing to do.
    Retired,
    /// It died over the request.
    Died,
    /// It did not answer in time and was killed.
    TimedOut,
}

/// A worker process; dropping it kills it.
#[derive(Debug)]
pub(super) struct Worker {
    child: Child,
    stream: UnixStream,
}

impl Worker {
    /// Starts a worker and waits until it says so.
    pub(super) fn start(config: &WorkerConfig) -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        let child = Command::new(&config.program)
            .args(&config.arguments)
            .env_clear()
            .current_dir("/")
            // Ctrl-C is for the agent, which ends its worker when it has no more to ask.
            .process_group(0)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let worker = Self { child, stream: ours };
        worker.stream.set_read_timeout(Some(START_TIMEOUT))?;
        let (greeting, _) = receive::<u32>(&worker.stream)?;
        if greeting != GREETING {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is no symbolize worker"));
        }
        worker.stream.set_read_timeout(Some(config.timeout))?;
        worker.stream.set_write_timeout(Some(config.timeout))?;
        Ok(worker)
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks and waits for the answer.
    pub(super) fn ask(&mut self, request: &Request, files: &[&File]) -> Result<Answer, Failure> {
        let answer =
            send(&self.stream, request, files).and_then(|()| receive::<Answer>(&self.stream));
        match answer {
            Ok((answer, _)) => Ok(answer),
            Err(error) => Err(self.failure(&error)),
        }
    }

    /// A worker that ended with success had nothing to do any more and crossed our request.
    fn failure(&mut self, error: &io::Error) -> Failure {
        if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) {
            return Failure::TimedOut;
        }
        // The socket is closed, so the end of the process is near, unless we closed it.
        let until = Instant::now() + END_TIMEOUT;
        while Instant::now() < until {
            match self.child.try_wait() {
                Ok(Some(status)) if status.success() => return Failure::Retired,
                Ok(None) => std::thread::sleep(Duration::from_millis(5)),
                Ok(Some(_)) | Err(_) => break,
            }
        }
        Failure::Died
    }

    /// Whether the process has ended.
    pub(super) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// A second handle on its socket.
    pub(super) fn line(&self) -> Option<UnixStream> {
        self.stream.try_clone().ok()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Either may fail because it has ended, which is what they are for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
