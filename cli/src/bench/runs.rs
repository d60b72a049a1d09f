//! One run of a command: recorded from its first instruction to its exit, and timed.

use std::ffi::OsString;
use std::io;
use std::process::Stdio;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use stoker_agent::kernel::OwnStart;
use stoker_agent::run::RecorderConfig;
use stoker_analysis::compare::Side;
use stoker_dag::ProfileType;

use super::BenchArgs;
use crate::failure::Failure;
use crate::local::LocalProfile;
use crate::record::{Launched, NAMES_PATIENCE, Signals, begin, step_after};

/// What is run, and how.
pub(super) struct Bench<'a> {
    args: &'a BenchArgs,
    commands: [Vec<OsString>; 2],
    signals: Signals,
}

/// What one run gave.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) name: String,
    pub(super) side: Side,
    /// From its start to its end.
    pub(super) wall: Duration,
    /// Of the command and of what it started and waited for, as the kernel accounts it.
    pub(super) cpu: Duration,
    pub(super) recording: LocalProfile,
    /// Samples that were taken and could not be kept.
    pub(super) lost: u64,
}

impl<'a> Bench<'a> {
    pub(super) fn new(args: &'a BenchArgs, signals: Signals) -> Result<Self, Failure> {
        let commands = [words("--base", &args.base)?, words("--new", &args.new)?];
        Ok(Self { args, commands, signals })
    }

    /// Runs a side's command once.
    pub(super) fn run(&self, side: Side, name: &str) -> Result<Run, Failure> {
        let command = &self.commands[usize::from(side == Side::New)];
        let stdout = if self.args.show_output { io::stderr().into() } else { Stdio::null() };
        let launched = Launched::start(command, stdout)?;
        let config = RecorderConfig {
            frequency_hz: self.args.frequency,
            pids: vec![launched.id()],
            start: OwnStart::AtExec,
            detailed: false,
        };
        let before = children_cpu()?;
        let (launched, mut recorder) = begin(&config, Some(launched))?;
        let Some(launched) = launched else { unreachable!("it was given") };
        let started = Instant::now();
        let (sender, ended) = mpsc::channel();
        // On a thread of its own, so that the end is seen when it comes.
        let waiter = thread::spawn(move || {
            let code = launched.wait();
            let _ = sender.send((code, Instant::now()));
        });
        let (code, end) = loop {
            recorder.step();
            match ended.recv_timeout(step_after(started)) {
                Ok(ended) => break ended,
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    return Err(Failure::new("nobody waits for the command any more", ""));
                }
            }
        };
        let _ = waiter.join();
        let cpu = children_cpu()?.saturating_sub(before);
        let until = Instant::now() + NAMES_PATIENCE;
        let recorded = recorder.finish(|| self.signals.caught() == 0 && Instant::now() < until);
        if self.signals.caught() > 0 {
            return Err(Failure::new("interrupted: nothing was compared", ""));
        }
        if code != 0 {
            let message =
                format!("the {} command ended with exit code {code} ({name})", word(side));
            return Err(Failure::new(message, "--show-output shows what it says"));
        }
        Ok(Run {
            name: name.to_owned(),
            side,
            wall: end.saturating_duration_since(started),
            cpu,
            lost: recorded.tally.lost,
            recording: LocalProfile {
                title: name.to_owned(),
                profile: recorded.profile,
                modules: recorded.modules,
                profile_type: ProfileType::cpu(),
                start: recorded.start,
                duration_ns: u64::try_from(recorded.duration.as_nanos()).unwrap_or(u64::MAX),
            },
        })
    }
}

const fn word(side: Side) -> &'static str {
    match side {
        Side::Base => "base",
        Side::New => "new",
    }
}

/// A command's words, as a shell splits them.
fn words(flag: &str, text: &str) -> Result<Vec<OsString>, Failure> {
    let words = shlex::split(text).filter(|words| !words.is_empty());
    let words = words.ok_or_else(|| {
        let message = format!("{flag} {text:?} is no command: are quotes left open?");
        Failure::new(message, "write it as for a shell, in quotes: --new './prog --fast'")
    })?;
    Ok(words.into_iter().map(OsString::from).collect())
}

/// CPU time of all children that have ended and were waited for.
fn children_cpu() -> Result<Duration, Failure> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)
        .map_err(|error| Failure::new(format!("the kernel does not tell CPU time: {error}"), ""))?;
    let sum = |time: nix::sys::time::TimeVal| {
        let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
        let micros = u64::try_from(time.tv_usec()).unwrap_or(0);
        Duration::from_secs(seconds) + Duration::from_micros(micros)
    };
    Ok(sum(usage.user_time()) + sum(usage.system_time()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_split_as_a_shell_does() {
        assert_eq!(words("--base", "./a 'b c' d").unwrap(), ["./a", "b c", "d"]);
        for wrong in ["", "  ", "./a 'b"] {
            assert!(!words("--base", wrong).unwrap_err().text().1.is_empty());
        }
    }
}
