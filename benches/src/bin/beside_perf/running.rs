//! Processes whose CPU time is read before they are reaped.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

/// How long a program may take to come to its stop.
const PATIENCE: Duration = Duration::from_secs(10);
/// Ticks per second of `/proc/PID/stat` (`USER_HZ`, fixed on x86-64).
const TICKS: f64 = 100.0;

/// A program that waits before its first instruction.
pub struct Paused(Child);

impl Paused {
    /// A shell that stops itself and then becomes the program.
    pub fn start(arguments: &[String], folder: &Path) -> Result<Self> {
        let mut command = Command::new("sh");
        command.args(["-c", "kill -STOP $$; exec \"$@\"", "sh"]).args(arguments);
        command.current_dir(folder).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().context("starting a shell")?;
        let until = Instant::now() + PATIENCE;
        while state(child.id())? != "T" {
            ensure!(Instant::now() < until, "the program does not stop");
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(Self(child))
    }

    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Lets it run to its end; its CPU seconds, children included.
    pub fn go_on(self) -> Result<f64> {
        kill_process(Pid::from_child(&self.0), Signal::CONT)?;
        finished(self.0)
    }
}

/// Waits for the end of a process; its CPU seconds and those of children that it has waited for.
pub fn finished(mut child: Child) -> Result<f64> {
    let pid = Pid::from_child(&child);
    waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)?;
    let fields = stat(child.id())?;
    // utime, stime, cutime, cstime: fields 14 to 17, of which the first here is the third.
    let ticks: u64 = fields[11..15].iter().filter_map(|field| field.parse::<u64>().ok()).sum();
    child.wait()?;
    #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
    Ok(ticks as f64 / TICKS)
}

fn state(pid: u32) -> Result<String> {
    Ok(stat(pid)?.swap_remove(0))
}

/// The fields behind the name, which may hold anything.
fn stat(pid: u32) -> Result<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let Some((_, fields)) = text.rsplit_once(") ") else { bail!("no fields in {text:?}") };
    let fields: Vec<String> = fields.split_ascii_whitespace().map(str::to_owned).collect();
    ensure!(fields.len() > 15, "too few fields in {text:?}");
    Ok(fields)
}
