//! `stoker record`: this machine, some processes, or one command, into a file; no server.
//!
//! Recording ends with the command, with the last of the processes, after `-d`, or at Ctrl-C; then
//! the file is written, all or nothing. The command itself is never ended by us: its exit code is
//! ours.

mod launch;
mod over_time;
mod signals;
mod start;
mod summary;

use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use stoker_agent::run::{Recorded, Recorder, RecorderProgress};
use stoker_dag::ProfileType;

use crate::failure::Failure;
use crate::local::LocalProfile;
use crate::output::{Format, check_writable, is_stdout, write_whole};
use crate::table::Style;
pub use launch::{Launched, dispatch};
pub use signals::Signals;
pub use start::begin;
use summary::{Counts, Facts, summary};

/// Between two looks at what the kernel has taken.
const STEP: Duration = Duration::from_millis(50);
/// The same while a command has just begun: its first stacks are followed only when its files are
/// known.
const FIRST_STEP: Duration = Duration::from_millis(2);
/// How long a command has just begun.
const FIRST: Duration = Duration::from_millis(300);
/// Between two lines of progress.
const PROGRESS_EVERY: Duration = Duration::from_millis(500);
/// How long names may take at the end; a further Ctrl-C cuts it short.
pub const NAMES_PATIENCE: Duration = Duration::from_secs(10);

const EXAMPLES: &str = "\
Examples:
  sudo stoker record -d 10 -o machine.html               everything on this machine, ten seconds
  sudo stoker record -p 4711 -d 30 -o api.pb.gz          a process, its children, theirs
  sudo stoker record -o build.svg -- make -j4            a command, from its first instruction
  stoker record -o build.svg -- make -j4                 the same without root, as far as that goes
  sudo stoker record -o build.speedscope.json -- make    each thread over time
  sudo stoker record -d 5 -o - --format collapsed | sort -k2 -n | tail

Recording ends with the command or the processes, after -d, or at Ctrl-C; the file is written then.
The command's exit code is the exit code. Needs a kernel with BTF, 5.12 or newer, and root (or CAP_BPF
and CAP_PERFMON). Without them: commands and processes of your own, where the sysctl
kernel.perf_event_paranoid is 2 or below; at 2 only what they do in user mode.";

/// Record a profile of this machine, of processes or of a command into a file, with no server
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct RecordArgs {
    /// Record this process, its children and theirs; may be given several times
    #[arg(short, long, value_name = "PID", value_delimiter = ',',
          value_parser = clap::value_parser!(u32).range(1..))]
    pid: Vec<u32>,
    /// End after this many seconds; a command that still runs goes on, unrecorded
    #[arg(short, long, value_name = "SECONDS", value_parser = seconds)]
    duration: Option<Duration>,
    /// Samples per second on each CPU
    #[arg(short = 'F', long, env = "STOKER_FREQUENCY", value_name = "HZ", default_value_t = 99,
          value_parser = clap::value_parser!(u32).range(1..=10_000))]
    frequency: u32,
    /// The file to write: .svg .html .pb.gz .collapsed .speedscope.json, or - for standard output;
    /// speedscope's has each thread's samples in order of time
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// The format; the file's extension says it otherwise
    #[arg(long)]
    format: Option<Format>,
    /// Say nothing but errors
    #[arg(short, long)]
    quiet: bool,
    /// The command and its arguments, behind --; with -o - its standard output goes to standard
    /// error
    #[arg(last = true, value_name = "COMMAND", conflicts_with = "pid")]
    command: Vec<OsString>,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let number = text.strip_suffix('s').unwrap_or(text).parse().ok();
    let duration = number.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let fits =
        |duration: &Duration| !duration.is_zero() && *duration < Duration::from_secs(1 << 31);
    duration.filter(fits).ok_or_else(|| "write seconds, such as 10 or 0.5".to_owned())
}

/// Runs the command.
pub fn run(args: &RecordArgs) -> Result<ExitCode, Failure> {
    let format = Format::of(&args.output, args.format)?;
    if matches!(format, Format::Json | Format::Parquet) {
        let message = "a recording is not written as the API's JSON or as a table";
        return Err(Failure::new(message, "use .speedscope.json, .pb.gz, .html, .svg, .collapsed"));
    }
    check_writable(&args.output)?;
    if let Some(gone) = args.pid.iter().find(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
        return Err(Failure::new(format!("there is no process {gone}"), "`ps` lists processes"));
    }
    let signals = Signals::catch()?;
    let over_time = format == Format::Speedscope;
    let (mut command, recorder) = start::start(args, over_time)?;
    let (source, sight) = (recorder.source().name(), recorder.sight());
    let mut recorded = recorder_loop(args, recorder, command.as_mut(), &signals);
    let counts = Counts::of(&recorded);
    let threads = std::mem::take(&mut recorded.threads);
    let local = local(args, recorded);
    let written =
        if over_time { over_time::speedscope(&local, &threads)? } else { local.write(format)? };
    write_whole(&args.output, &written)?;
    if !args.quiet {
        let facts = Facts { recorded: &counts, source, sight, frequency_hz: args.frequency };
        say(&summary(&local, facts, Style::of_stderr()));
        if over_time {
            say(&over_time::not_told(counts.samples, &threads));
        }
        if !is_stdout(&args.output) {
            say(&format!("wrote {}\n", args.output.display()));
        }
    }
    Ok(command.map_or(ExitCode::SUCCESS, |command| exit(command, &signals)))
}

/// How long to wait until the next look at a recording that began then.
pub fn step_after(started: Instant) -> Duration {
    if started.elapsed() < FIRST { FIRST_STEP } else { STEP }
}

fn recorder_loop(
    args: &RecordArgs,
    mut recorder: Recorder,
    mut command: Option<&mut Launched>,
    signals: &Signals,
) -> Recorded {
    let mut line = ProgressLine::new(args, command.is_some());
    let started = Instant::now();
    let end = args.duration.and_then(|duration| Instant::now().checked_add(duration));
    loop {
        let progress = recorder.step();
        let has_ended = match &mut command {
            Some(command) => command.ended().is_some(),
            None => !progress.is_alive,
        };
        let now = Instant::now();
        if has_ended || signals.caught() > 0 || end.is_some_and(|end| now >= end) {
            break;
        }
        line.show(now, progress);
        let left = end.map_or(STEP, |end| end - now);
        std::thread::sleep(step_after(started).min(left));
    }
    line.clear();
    let (caught, until) = (signals.caught(), Instant::now() + NAMES_PATIENCE);
    line.note("waiting for names; Ctrl-C cuts it short");
    let recorded = recorder.finish(|| signals.caught() == caught && Instant::now() < until);
    line.clear();
    recorded
}

fn local(args: &RecordArgs, recorded: Recorded) -> LocalProfile {
    let title = match (&*args.command, &*args.pid) {
        ([], []) => "this machine".to_owned(),
        ([], pids) => {
            let pids: Vec<String> = pids.iter().map(ToString::to_string).collect();
            format!("process {}", pids.join(", "))
        }
        (command, _) => launch::shown(command),
    };
    LocalProfile {
        title,
        profile: recorded.profile,
        modules: recorded.modules,
        profile_type: ProfileType::cpu(),
        start: recorded.start,
        duration_ns: u64::try_from(recorded.duration.as_nanos()).unwrap_or(u64::MAX),
    }
}

/// The command's own exit code; one that still runs is waited for. Whoever asks a second time to
/// end does not want to wait.
fn exit(mut command: Launched, signals: &Signals) -> ExitCode {
    if signals.terminated() {
        command.signal(rustix::process::Signal::TERM);
    }
    let code = loop {
        match command.ended() {
            Some(code) => break code,
            None if signals.caught() > 1 => break 130,
            None => std::thread::sleep(STEP),
        }
    };
    ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX))
}

/// One line on a terminal that says how far the recording is. A command writes to the terminal
/// itself and is not disturbed.
struct ProgressLine {
    is_shown: bool,
    started: Instant,
    next: Instant,
}

impl ProgressLine {
    fn new(args: &RecordArgs, has_command: bool) -> Self {
        let now = Instant::now();
        let is_shown = !has_command && !args.quiet && io::stderr().is_terminal();
        Self { is_shown, started: now, next: now }
    }

    fn show(&mut self, now: Instant, progress: RecorderProgress) {
        if !self.is_shown || now < self.next {
            return;
        }
        self.next = now + PROGRESS_EVERY;
        let seconds = self.started.elapsed().as_secs();
        let RecorderProgress { samples, lost, .. } = progress;
        say(&format!(
            "\r\u{1b}[Krecording: {seconds} s, {samples} samples, {lost} lost; Ctrl-C ends"
        ));
    }

    fn note(&self, text: &str) {
        if self.is_shown {
            say(&format!("\r\u{1b}[K{text}"));
        }
    }

    fn clear(&self) {
        if self.is_shown {
            say("\r\u{1b}[K");
        }
    }
}

fn say(text: &str) {
    // Without a standard error nobody is there to be told.
    let _ = io::stderr().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_seconds() {
        assert_eq!(seconds("10"), Ok(Duration::from_secs(10)));
        assert_eq!(seconds("0.5s"), Ok(Duration::from_millis(500)));
        for wrong in ["", "0", "-1", "nan", "1e30", "soon"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
