//! Beginning to record: with all rights, or without them as far as that goes.

use std::io;
use std::path::PathBuf;
use std::process::Stdio;

use stoker_agent::kernel::{KernelError, OwnStart};
use stoker_agent::run::{Recorder, RecorderConfig};

use super::RecordArgs;
use super::launch::Launched;
use crate::failure::Failure;
use crate::output::is_stdout;

/// Sampling is on when this returns, and the command, if there is one, begins; `detailed` as in
/// [`RecorderConfig`].
pub(super) fn start(
    args: &RecordArgs,
    detailed: bool,
) -> Result<(Option<Launched>, Recorder), Failure> {
    let has_command = !args.command.is_empty();
    let taken = is_stdout(&args.output);
    let stdout = || if taken { io::stderr().into() } else { Stdio::inherit() };
    let command = if has_command { Some(Launched::start(&args.command, stdout())?) } else { None };
    let pids = command.as_ref().map_or_else(|| args.pid.clone(), |command| vec![command.id()]);
    let start = if has_command { OwnStart::AtExec } else { OwnStart::Now };
    begin(&RecorderConfig { frequency_hz: args.frequency, pids, start, detailed }, command)
}

/// Begins to record as configured, and then lets the command begin that waits.
pub fn begin(
    config: &RecorderConfig,
    command: Option<Launched>,
) -> Result<(Option<Launched>, Recorder), Failure> {
    match Recorder::start(config).or_else(|error| own(config, error)) {
        Ok(mut recorder) => {
            if let Some(command) = &command {
                recorder.prepare(command.program());
                command.go();
            }
            Ok((command, recorder))
        }
        Err(error) => {
            if let Some(command) = command {
                command.abandon();
            }
            Err(refused(&error))
        }
    }
}

/// Processes of one's own need neither root nor BPF.
fn own(config: &RecorderConfig, error: KernelError) -> Result<Recorder, KernelError> {
    let stands_in = matches!(
        error,
        KernelError::NotPermitted { .. }
            | KernelError::PerfParanoid { .. }
            | KernelError::PidNamespace
            | KernelError::NoBtf { .. }
            | KernelError::FeatureMissing { .. }
    );
    if config.pids.is_empty() || !stands_in {
        return Err(error);
    }
    Recorder::start_own(config)
}

/// What is in the way, with the command that would work.
fn refused(error: &KernelError) -> Failure {
    let is_privilege = matches!(
        error,
        KernelError::NotPermitted { .. }
            | KernelError::PerfParanoid { .. }
            | KernelError::OwnRefused { .. }
            | KernelError::NotOwn { .. }
    );
    if !is_privilege {
        return Failure::new(error.to_string(), "`stoker-agent doctor` says what works here");
    }
    // By its path: sudo looks for commands in folders of its own.
    let own = std::env::current_exe().map_or_else(|_| "stoker".into(), PathBuf::into_os_string);
    let words = std::iter::once(own).chain(std::env::args_os().skip(1));
    let words: Vec<String> = words.map(|word| quoted(&word.to_string_lossy())).collect();
    Failure::new(format!("{error}; run: sudo {}", words.join(" ")), "")
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_to_run_can_be_pasted() {
        assert_eq!(quoted("a b'c"), "'a b'\\''c'");
        assert_eq!((quoted("-o"), quoted("")), ("-o".into(), "''".into()));
    }
}
