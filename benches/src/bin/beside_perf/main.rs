//! `stoker record` beside `perf record`: the same programs in one run, what each recorder costs, how
//! large its output is, and whether both say the same of them.
//! `cargo xtask beside-perf`, or, with the release build of `stoker` and `perf` there,
//! `cargo run --release -p stoker-benches --bin beside_perf`.
//!
//! Every program is started anew for each recorder, stopped before its first instruction of its own,
//! and goes on when the recorder is attached. What is costed is the recorder's own process with its
//! children: attaching, sampling, writing, and, for Stoker, naming; what perf needs to make names and
//! stacks of its file (`perf script`) stands apart.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "the result is for the person who asked")]

mod programs;
mod running;
mod shares;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use programs::{Program, programs};
use running::{Paused, finished};
use shares::Shares;

/// Samples per second and CPU, of all recorders.
const FREQUENCY: &str = "499";
/// How long a recorder may take to attach.
const ATTACH: Duration = Duration::from_millis(1500);
/// Functions that are listed for each program.
const LISTED: usize = 8;

/// Who records.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Recorder {
    Nobody,
    Stoker,
    PerfFramePointers,
    PerfDwarf,
}

impl Recorder {
    const ALL: [Self; 4] = [Self::Nobody, Self::Stoker, Self::PerfDwarf, Self::PerfFramePointers];

    fn name(self) -> &'static str {
        match self {
            Self::Nobody => "nobody",
            Self::Stoker => "stoker record",
            Self::PerfFramePointers => "perf record -g",
            Self::PerfDwarf => "perf record --call-graph dwarf",
        }
    }

    fn command(self, stoker: &Path, pid: u32, output: &Path) -> Option<Command> {
        let mut command = match self {
            Self::Nobody => return None,
            Self::Stoker => Command::new(stoker),
            Self::PerfFramePointers | Self::PerfDwarf => Command::new("perf"),
        };
        command.args(["record", "-F", FREQUENCY, "-p", &pid.to_string()]).arg("-o").arg(output);
        match self {
            Self::PerfFramePointers => command.args(["-q", "-e", "cpu-clock", "-g"]),
            Self::PerfDwarf => command.args(["-q", "-e", "cpu-clock", "--call-graph", "dwarf"]),
            Self::Nobody | Self::Stoker => command.arg("-q"),
        };
        Some(command)
    }
}

/// What one recording gave.
struct Taken {
    recorder_s: f64,
    reading_s: f64,
    program_s: f64,
    output_bytes: u64,
    shares: Shares,
}

fn main() -> Result<()> {
    let stoker = binary()?;
    ensure!(works("perf"), "perf is not here: install Debian's linux-perf");
    let folder = tempfile::tempdir()?;
    for program in programs(folder.path())? {
        measure(&stoker, folder.path(), &program)
            .with_context(|| format!("measuring {}", program.name))?;
    }
    Ok(())
}

/// The release build beside this one.
fn binary() -> Result<PathBuf> {
    let here = std::env::current_exe()?;
    let stoker = here.with_file_name("stoker");
    ensure!(
        stoker.exists(),
        "{} is not built: cargo build --release -p stoker-cli",
        stoker.display()
    );
    Ok(stoker)
}

fn works(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn measure(stoker: &Path, folder: &Path, program: &Program) -> Result<()> {
    println!("\n{}: {}\n", program.name, program.shown);
    println!(
        "| recorder | its CPU s | reading it, CPU s | output KiB | distinct stacks | to the start | the program's CPU s |"
    );
    println!("|---|---|---|---|---|---|---|");
    let mut all = Vec::new();
    for recorder in Recorder::ALL {
        let taken = take(stoker, folder, program, recorder)?;
        let Taken { recorder_s, reading_s, program_s, output_bytes, shares } = &taken;
        println!(
            "| {} | {recorder_s:.2} | {reading_s:.2} | {} | {} | {:.1} % | {program_s:.2} |",
            recorder.name(),
            output_bytes >> 10,
            shares.stacks(),
            shares.whole(),
        );
        if recorder != Recorder::Nobody {
            all.push(taken.shares);
        }
    }
    shares::print(&all, LISTED);
    Ok(())
}

fn take(stoker: &Path, folder: &Path, program: &Program, recorder: Recorder) -> Result<Taken> {
    let output = folder.join(match recorder {
        Recorder::Stoker => "out.pb.gz",
        _ => "perf.data",
    });
    let paused = Paused::start(&program.arguments, folder)?;
    let attached = match recorder.command(stoker, paused.pid(), &output) {
        Some(mut command) => {
            let started = command.stdout(Stdio::null()).spawn();
            let started = started.with_context(|| format!("starting {}", recorder.name()))?;
            std::thread::sleep(ATTACH);
            Some(started)
        }
        None => None,
    };
    let program_s = paused.go_on()?;
    let recorder_s = attached.map(finished).transpose()?.unwrap_or(0.0);
    let mut taken =
        Taken { recorder_s, reading_s: 0.0, program_s, output_bytes: 0, shares: Shares::default() };
    if recorder == Recorder::Nobody {
        return Ok(taken);
    }
    taken.output_bytes = fs::metadata(&output)?.len();
    let readable = match recorder {
        Recorder::Stoker => output,
        _ => {
            let text = folder.join("perf.txt");
            let mut script = Command::new("perf");
            script.arg("script").arg("--no-inline").arg("-i").arg(&output);
            script.stdout(fs::File::create(&text)?).stderr(Stdio::null());
            taken.reading_s = finished(script.spawn()?)?;
            text
        }
    };
    let collapsed = folder.join("stacks.collapsed");
    let mut export = Command::new(stoker);
    export.arg("export").arg(&readable).arg("-o").arg(&collapsed).stderr(Stdio::null());
    ensure!(export.status()?.success(), "export failed");
    taken.shares = Shares::read(&fs::read_to_string(&collapsed)?);
    Ok(taken)
}
