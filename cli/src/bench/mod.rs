//! `stoker bench-diff`: two commands, recorded in alternation on this machine and compared with runs
//! as replicates.
//!
//! The order is A B B A A B B A …, so that a machine that becomes slower steadily favours neither.

mod answer;
mod plan;
mod print;
mod runs;

use std::fs;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use stoker_analysis::compare::Side;
use stoker_analysis::gate::Gate;
use stoker_server::query::diff::{DiffAnswer, DiffBy, DiffOptions, Per};

use crate::diff::{self, VerdictArgs};
use crate::failure::{Failure, warn};
use crate::files::{FILE_LABEL, Files};
use crate::output::Format;
use crate::record::Signals;
use crate::table::Style;
use answer::BenchAnswer;
use plan::Plan;
use runs::{Bench, Run};

const EXAMPLES: &str = "\
Examples:
  sudo stoker bench-diff --base './old bench.json' --new './new bench.json'
  sudo stoker bench-diff --base ./old --new ./new --runs 40 --fail-on 'total > 1% or function > 5%'
  sudo stoker bench-diff --base ./old --new ./new --format markdown > comment.md
  sudo stoker bench-diff --base \"sh -c 'cat log | ./old'\" --new \"sh -c 'cat log | ./new'\"

The commands run in the order base new new base base new …, after a warm-up, their output thrown away.
A run should last some seconds. With a gate the comparison ends half-way where that is enough; both
looks share the error rate. Exit codes: 0 the gate passes or there is none, 1 it fails, 2 wrong use or
a command that failed, 3 not enough data to decide.";

/// Fewer runs decide nothing.
const MIN_RUNS: i64 = 5;
/// More runs than anybody waits for; all recordings are in memory.
const MAX_RUNS: i64 = 1_000;

/// Run two commands in alternation on this machine and compare their CPU time by function
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct BenchArgs {
    /// The command that is compared with; words are split as a shell does, nothing else
    #[arg(long, value_name = "COMMAND")]
    base: String,
    /// The command that is looked at
    #[arg(long, value_name = "COMMAND")]
    new: String,
    /// Runs of each command
    #[arg(long, value_name = "N", default_value_t = 20,
          value_parser = clap::value_parser!(u32).range(MIN_RUNS..=MAX_RUNS))]
    runs: u32,
    /// Runs of each command before, which do not count
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(0..=MAX_RUNS))]
    warmup: u32,
    /// Samples per second on each CPU
    #[arg(short = 'F', long, value_name = "HZ", default_value_t = 999,
          value_parser = clap::value_parser!(u32).range(1..=10_000))]
    frequency: u32,
    /// Fail (exit code 1) when this holds for sure: 'total > 1% or function > 5%'
    #[arg(long, value_name = "GATE", value_parser = diff::gate)]
    fail_on: Option<Gate>,
    #[command(flatten)]
    verdict: VerdictArgs,
    /// Functions of a smaller share inform and never fail the gate
    #[arg(long, value_name = "PERCENT", default_value = "1%", value_parser = diff::percent)]
    min_share: f64,
    /// How it is written
    #[arg(long, default_value = "table")]
    format: BenchFormat,
    /// The same as --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// Rows; 0 shows all
    #[arg(short = 'n', long, default_value_t = 30)]
    limit: usize,
    /// Keep every recording in this folder, as base-01.pb.gz, new-01.pb.gz, …
    #[arg(long, value_name = "FOLDER")]
    keep: Option<PathBuf>,
    /// Show what the commands write, on standard error
    #[arg(long)]
    show_output: bool,
    /// Say nothing of how far it is
    #[arg(short, long)]
    quiet: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum BenchFormat {
    /// For people
    Table,
    /// For programs
    Json,
    /// For comments on a change
    Markdown,
}

/// Runs the command.
pub fn run(args: &BenchArgs) -> Result<ExitCode, Failure> {
    let bench = Bench::new(args, Signals::catch()?)?;
    if let Some(folder) = &args.keep {
        fs::create_dir_all(folder).map_err(|error| {
            Failure::new(format!("cannot make {}: {error}", folder.display()), "")
        })?;
    }
    let plan = Plan::new(args.runs as usize, args.fail_on.is_some());
    let answer = measure(args, &bench, &plan)?;
    answer.notes.iter().for_each(|note| warn(note));
    let text = match args.format {
        _ if args.json => json(&answer),
        BenchFormat::Json => json(&answer),
        BenchFormat::Table => print::table(&answer, args.limit, Style::of_stdout()),
        BenchFormat::Markdown => print::markdown(&answer, args.limit),
    };
    io::stdout().write_all(text.as_bytes()).map_err(Failure::from_output)?;
    Ok(diff::conclude(&answer.diff, args.verdict))
}

fn json(answer: &BenchAnswer) -> String {
    serde_json::to_string(answer).unwrap_or_default() + "\n"
}

/// Warms up, then runs until the plan is done or a look has decided.
fn measure(args: &BenchArgs, bench: &Bench<'_>, plan: &Plan) -> Result<BenchAnswer, Failure> {
    let mut line = ProgressLine::new(args);
    for number in 0..args.warmup {
        for side in [Side::Base, Side::New] {
            line.show(&format!("warming up: {} of {}", number + 1, args.warmup));
            bench.run(side, "warm-up")?;
        }
    }
    let mut runs: Vec<Run> = Vec::new();
    loop {
        let pair = runs.len() / 2;
        for side in plan.order(pair) {
            line.show(&format!("run {} of {}", runs.len() + 1, 2 * plan.pairs));
            let run = bench.run(side, &plan.name(side, pair))?;
            keep(args.keep.as_deref(), &run)?;
            runs.push(run);
        }
        if plan.looks.contains(&(pair + 1)) {
            let diff = compare(args, &runs, plan)?;
            let is_decided = diff.gate.as_ref().is_some_and(|gate| gate.verdict != "undecided");
            if is_decided || pair + 1 == plan.pairs {
                line.clear();
                return Ok(BenchAnswer::new(&runs, diff, plan, [&args.base, &args.new]));
            }
        }
    }
}

fn keep(folder: Option<&Path>, run: &Run) -> Result<(), Failure> {
    let Some(folder) = folder else { return Ok(()) };
    let path = folder.join(format!("{}.pb.gz", run.name));
    crate::output::write_whole(&path, &run.recording.write(Format::Pprof)?)
}

fn compare(args: &BenchArgs, runs: &[Run], plan: &Plan) -> Result<DiffAnswer, Failure> {
    let side = |side: Side, title: &str| {
        let of_side = runs.iter().filter(|run| run.side == side);
        Files::recorded(title, of_side.map(|run| (&*run.name, &run.recording)))
    };
    let options = DiffOptions {
        by: DiffBy::Function,
        replicates: FILE_LABEL.to_owned(),
        per: Per::Run,
        rates: None,
        alpha: plan.alpha(),
        min_share: args.min_share,
        is_paired: plan.is_paired(runs.len() / 2),
        has_time: false,
        gate: args.fail_on.clone(),
        limit: args.limit,
    };
    Files::compare(&side(Side::Base, &args.base), &side(Side::New, &args.new), &options)
}

/// One line on a terminal that says how far it is.
struct ProgressLine {
    is_shown: bool,
}

impl ProgressLine {
    fn new(args: &BenchArgs) -> Self {
        Self { is_shown: !args.quiet && !args.show_output && io::stderr().is_terminal() }
    }

    fn show(&mut self, text: &str) {
        if self.is_shown {
            // Without a standard error nobody is there to be told.
            let _ = write!(io::stderr(), "\r\u{1b}[K{text}; Ctrl-C ends");
        }
    }

    fn clear(&mut self) {
        if self.is_shown {
            let _ = write!(io::stderr(), "\r\u{1b}[K");
        }
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        self.clear();
    }
}
