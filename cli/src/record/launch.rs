//! Starting a command so that sampling is on before its first instruction.
//!
//! The child is this very executable: it stops itself, and once it is told to go on it becomes the
//! command. Nothing of it is left then: same process id, standard streams, environment, folder.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{
    Pid, Signal, WaitOptions, getpid, kill_process, set_parent_process_death_signal, waitpid,
};

use crate::failure::Failure;

/// The first argument of the child.
const LAUNCH_ARG: &str = "launch-and-wait";
/// What shells answer with where a command cannot be started.
const CANNOT_START: i32 = 126;

/// Does the child's work, if this process is one. To be called first in `main`.
pub fn dispatch() {
    let mut arguments = env::args_os().skip(1);
    if arguments.next().is_some_and(|first| first == LAUNCH_ARG) {
        let command: Vec<OsString> = arguments.collect();
        let error = become_command(&command);
        Failure::new(format!("cannot start the command: {error}"), "").report();
        std::process::exit(CANNOT_START);
    }
}

/// Stops until told to go on, then becomes the command. Comes back only where that fails.
fn become_command(command: &[OsString]) -> io::Error {
    let Some((program, arguments)) = command.split_first() else {
        return io::Error::other("there is none");
    };
    // Whoever started us must not leave us stopped for ever.
    let wait = set_parent_process_death_signal(Some(Signal::KILL))
        .and_then(|()| kill_process(getpid(), Signal::STOP))
        .and_then(|()| set_parent_process_death_signal(None));
    match wait {
        Ok(()) => Command::new(program).args(arguments).exec(),
        Err(error) => error.into(),
    }
}

/// A command that has not begun yet, or runs.
#[derive(Debug)]
pub struct Launched {
    child: Child,
    pid: Pid,
    program: PathBuf,
}

impl Launched {
    /// Starts the command stopped, with this standard output.
    pub fn start(command: &[OsString], stdout: Stdio) -> Result<Self, Failure> {
        let failed = |error: io::Error| {
            Failure::new(format!("cannot start {}: {error}", shown(command)), "")
        };
        let program = command.first().map(OsString::as_os_str).unwrap_or_default();
        let program = find(program)?;
        let child = Command::new("/proc/self/exe")
            .arg(LAUNCH_ARG)
            .args(command)
            .stdout(stdout)
            .spawn()
            .map_err(failed)?;
        let pid = Pid::from_child(&child);
        let waited = waitpid(Some(pid), WaitOptions::UNTRACED).map_err(|e| failed(e.into()))?;
        if !waited.is_some_and(|(_, status)| status.stopped()) {
            return Err(failed(io::Error::other("it ended before it began")));
        }
        Ok(Self { child, pid, program })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The file that it will run.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Lets it begin.
    pub fn go(&self) {
        self.signal(Signal::CONT);
    }

    /// Sends it a signal; to one that has ended it makes no difference.
    pub fn signal(&self, signal: Signal) {
        let _ = kill_process(self.pid, signal);
    }

    /// Ends one that was never let go.
    pub fn abandon(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits until it ends.
    pub fn wait(mut self) -> i32 {
        self.child.wait().map_or(CANNOT_START, exit_code)
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<i32> {
        self.child.try_wait().ok().flatten().map(exit_code)
    }
}

/// As shells have it: 128 and the signal where a signal ended it.
fn exit_code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

/// The command line for people.
pub fn shown(command: &[OsString]) -> String {
    let words: Vec<_> = command.iter().map(|word| word.to_string_lossy()).collect();
    words.join(" ")
}

/// The file that a command's name means; found before anything is started, so that a wrong name is
/// wrong use, not the command's own failure.
fn find(program: &OsStr) -> Result<PathBuf, Failure> {
    let is_program = |path: &Path| {
        fs::metadata(path)
            .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    };
    let name = Path::new(program);
    if name.components().count() != 1 || program.as_encoded_bytes().contains(&b'/') {
        if is_program(name) {
            return Ok(name.to_owned());
        }
        let message = format!("{} is no program that can be started", name.display());
        return Err(Failure::new(message, "give the path of an executable file behind --"));
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).map(|folder| folder.join(name)).find(|p| is_program(p));
    found.ok_or_else(|| {
        let message = format!("there is no command {}", name.display());
        Failure::new(message, "give the path of a program, or one that is in PATH")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_found_as_shells_find_them() {
        assert!(find(OsStr::new("sh")).is_ok());
        assert!(find(OsStr::new("/bin/sh")).is_ok());
        for wrong in ["no-such-command-here", "/etc/passwd", "./nowhere", ""] {
            let failure = find(OsStr::new(wrong)).unwrap_err();
            assert!(!failure.text().1.is_empty(), "{wrong}");
        }
    }
}
