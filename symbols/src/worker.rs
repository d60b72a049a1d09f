//! The worker process: reads requests from its standard input, a socket, until there are no more.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::exit;
use std::time::Duration;

use super::channel::{receive, send};
use super::limits::give_up;
use super::namer::{DEBUG_DIRS, Namer};
use super::protocol::{Answer, GREETING, Refusal, Request, Role};

/// The first argument that makes an executable a worker.
pub const WORKER_ARG: &str = "symbolize-worker";

/// A worker with nothing to do ends after this time, and gives back all its memory.
const IDLE_MAX: Duration = Duration::from_secs(20);
/// One that has grown beyond [`RESIDENT_BYTES_SOFT`] ends sooner.
const IDLE_MAX_LARGE: Duration = Duration::from_secs(2);
/// Memory, files that are mapped included, that is worth giving back soon.
const RESIDENT_BYTES_SOFT: u64 = 48 * 1024 * 1024;
/// Heap at which the worker ends after the answer that it has just given.
const HEAP_BYTES_HARD: u64 = 80 * 1024 * 1024;

const _: () = assert!(HEAP_BYTES_HARD < super::limits::HEAP_BYTES_MAX);

/// Becomes the worker if the first argument says so, and returns otherwise. To be called first
/// thing in `main`, before a thread or a runtime is started.
pub fn dispatch_worker() {
    if std::env::args_os().nth(1).is_some_and(|arg| arg == WORKER_ARG) {
        run_worker();
    }
}

/// Serves until the parent closes the socket or has nothing to ask for a while; never returns.
pub fn run_worker() -> ! {
    // What cannot be given up is no reason to leave the host without names.
    let _ = give_up();
    let code = match serve() {
        Ok(()) => 0,
        Err(_) => 1,
    };
    exit(code)
}

fn serve() -> io::Result<()> {
    let stream = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    send(&stream, &GREETING, &[])?;
    let mut namer = None;
    loop {
        let memory = Memory::now();
        if memory.heap > HEAP_BYTES_HARD {
            // A fresh process is the one sure way to give memory back; the parent starts it.
            return Ok(());
        }
        let is_large = memory.resident > RESIDENT_BYTES_SOFT;
        let patience = if is_large { IDLE_MAX_LARGE } else { IDLE_MAX };
        stream.set_read_timeout(Some(patience))?;
        let (request, files) = match receive::<Request>(&stream) {
            Ok(received) => received,
            Err(error) if is_over(&error) => return Ok(()),
            Err(error) => return Err(error),
        };
        let namer = namer.get_or_insert_with(|| Namer::new(debug_dirs(&request)));
        let answer = namer.answer(&request, files);
        reply(&stream, &answer)?;
    }
}

/// A parent that gives roots to search is an agent, whose own root is this one. A server's files come
/// from elsewhere: nothing on its disk belongs to them.
fn debug_dirs(request: &Request) -> &'static [&'static str] {
    if request.roles.contains(&Role::Root) { &DEBUG_DIRS } else { &[] }
}

fn reply(stream: &UnixStream, answer: &Answer) -> io::Result<()> {
    match send(stream, answer, &[]) {
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
            send(stream, &Answer::Refused(Refusal::TooLarge), &[])
        }
        sent => sent,
    }
}

/// Nothing more to do: the parent is gone, or has not asked for a while.
fn is_over(error: &io::Error) -> bool {
    use io::ErrorKind::{TimedOut, UnexpectedEof, WouldBlock};
    matches!(error.kind(), TimedOut | UnexpectedEof | WouldBlock)
}

/// What the worker itself takes, in bytes (`VmRSS` and `RssAnon` in proc_pid_status(5)).
struct Memory {
    resident: u64,
    heap: u64,
}

impl Memory {
    fn now() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let field = |name: &str| {
            let rest = status.lines().find_map(|line| line.strip_prefix(name))?;
            let kilobytes: u64 = rest.trim().strip_suffix("kB")?.trim().parse().ok()?;
            Some(kilobytes * 1024)
        };
        let bytes = |name| field(name).unwrap_or(0);
        Self { resident: bytes("VmRSS:"), heap: bytes("RssAnon:") }
    }
}
