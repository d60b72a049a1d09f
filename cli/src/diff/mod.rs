//! `stoker diff`: two sides beside one another, each of files or a selector, with error bars where
//! there are replicates, and a gate for CI.

mod flame;
pub mod print;
mod sides;
mod verdict;

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use stoker_analysis::gate::Gate;
use stoker_server::query::diff::DiffBy;

use crate::client::ServerArgs;
use crate::failure::Failure;
use crate::table::Style;
use crate::top::RangeArgs;
pub use verdict::{VerdictArgs, conclude};

const EXAMPLES: &str = "\
Examples:
  stoker diff --base 'main/*.pb.gz' --new 'branch/*.pb.gz' --per run
  stoker diff --base main-*.pb.gz --new pr-*.pb.gz --per run \\
      --fail-on 'total > 1% or function > 5%' --explain
  stoker diff 'cpu{version=\"1.4\"}@now-1h..' 'cpu{version=\"1.5\"}@now-1h..' --format markdown
  stoker diff before.pb.gz after.pb.gz --format svg > diff.svg

Each file is one replicate (a run), each host of a selector is. With five or more a side, what is
reported is wrong in at most 1 % of comparisons; with one a side there are plain differences only.
Shares are of each side's own total. Exit codes: 0 the gate passes or there is none, 1 it fails, 2 wrong
use or broken input, 3 not enough data to decide.";

/// Compare two sides by function, stack or module, with error bars
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct DiffArgs {
    /// What is compared with: a file, a glob in quotes, or a selector
    #[arg(value_name = "BASE", requires = "new_source", conflicts_with_all = ["base", "new"])]
    base_source: Option<String>,
    /// What is looked at
    #[arg(value_name = "NEW")]
    new_source: Option<String>,
    /// What is compared with, several files
    #[arg(long, value_name = "SOURCE", num_args = 1.., requires = "new")]
    base: Vec<String>,
    /// What is looked at, several files
    #[arg(long, value_name = "SOURCE", num_args = 1.., requires = "base")]
    new: Vec<String>,
    /// What the rows are
    #[arg(long, default_value = "function")]
    by: By,
    /// How it is written
    #[arg(long, default_value = "table")]
    format: DiffFormat,
    /// The same as --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// Rows; 0 shows all
    #[arg(short = 'n', long, default_value_t = 30)]
    limit: usize,
    /// Fail (exit code 1) when this holds for sure: 'total > 1% or function > 5%'
    #[arg(long, value_name = "GATE", value_parser = gate)]
    fail_on: Option<Gate>,
    #[command(flatten)]
    verdict: VerdictArgs,
    /// Files: what their totals stand for; selectors are per second of a host
    #[arg(long)]
    per: Option<PerWhat>,
    /// Requests per second on both sides, as BASE,NEW: the total is per request then
    #[arg(long, value_name = "RATES", value_parser = rates)]
    rates: Option<String>,
    /// Files: the first of both sides belong together, the second, …
    #[arg(long)]
    paired: bool,
    /// Functions of a smaller share inform and never fail the gate
    #[arg(long, value_name = "PERCENT", default_value = "1%", value_parser = percent)]
    min_share: f64,
    /// Selectors: the label whose values are replicates
    #[arg(long, value_name = "LABEL", default_value = "host")]
    replicates: String,
    #[command(flatten)]
    range: RangeArgs,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum By {
    /// Functions over all positions, each counted once per sample
    Function,
    /// Whole stacks
    Stack,
    /// Executables, libraries, packages
    Module,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DiffFormat {
    /// For people
    Table,
    /// For programs
    Json,
    /// For comments on a change
    Markdown,
    /// A differential flame graph with the findings, in one file
    Html,
    /// A differential flame graph
    Svg,
}

/// What the total of a file stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PerWhat {
    /// Every recording holds the same work
    Run,
    /// Recordings are of a service: per second that they lasted
    Second,
}

impl By {
    const fn table(self) -> DiffBy {
        match self {
            Self::Function => DiffBy::Function,
            Self::Stack => DiffBy::Stack,
            Self::Module => DiffBy::Module,
        }
    }
}

pub fn gate(text: &str) -> Result<Gate, String> {
    Gate::parse(text).map_err(|error| error.to_string())
}

fn rates(text: &str) -> Result<String, String> {
    let parsed = stoker_server::query::diff::DiffOptions::rates(text);
    parsed.map(|_| text.to_owned()).ok_or_else(|| "write two rates, like 1200,1260".to_owned())
}

/// A percentage as a part.
pub fn percent(text: &str) -> Result<f64, String> {
    let number = text.trim().trim_end_matches('%').parse().ok();
    let percent = number.filter(|percent: &f64| (0.0..=100.0).contains(percent));
    percent.map(|percent| percent / 100.0).ok_or_else(|| "write a percentage, like 1%".to_owned())
}

/// Runs the command.
pub async fn run(args: DiffArgs) -> Result<ExitCode, Failure> {
    let sides = sides::Sides::read(&args)?;
    if matches!(args.format, DiffFormat::Html | DiffFormat::Svg) && args.by != By::Function {
        let message = "a flame graph has no rows: --by is for tables";
        return Err(Failure::new(message, "leave it out, or choose another --format"));
    }
    let answer = sides.compare(&args).await?;
    let text = match args.format {
        _ if args.json => json(&answer),
        DiffFormat::Json => json(&answer),
        DiffFormat::Table => print::table(&answer, args.limit, Style::of_stdout()),
        DiffFormat::Markdown => print::markdown(&answer, args.limit),
        DiffFormat::Svg => flame::svg(&sides.trees(&args).await?, &answer)?,
        DiffFormat::Html => flame::html(&sides.trees(&args).await?, &answer)?,
    };
    io::stdout().write_all(text.as_bytes()).map_err(Failure::from_output)?;
    Ok(conclude(&answer, args.verdict))
}

fn json(answer: &stoker_server::query::diff::DiffAnswer) -> String {
    serde_json::to_string(answer).unwrap_or_default() + "\n"
}
