//! What a gate comes to: an exit code, and words.

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use stoker_formats::text::harmless;
use stoker_server::query::diff::DiffAnswer;

/// The gate failed.
const FAILED: u8 = 1;
/// There is not enough data to decide.
const UNDECIDED: u8 = 3;

/// What an undecided gate counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Undecided {
    /// Exit code 0
    Pass,
    /// Exit code 1
    Fail,
}

/// How a gate's answer is taken, and what is said of it.
#[derive(Debug, Clone, Copy, Args)]
pub struct VerdictArgs {
    /// What to do when it cannot be told [default: exit code 3]
    #[arg(long, value_name = "VERDICT", requires = "fail_on")]
    undecided: Option<Undecided>,
    /// Say in plain words why the gate decided so, and what would decide it
    #[arg(long, requires = "fail_on")]
    explain: bool,
}

/// Says on standard error what the gate came to, and gives the exit code.
pub fn conclude(answer: &DiffAnswer, args: VerdictArgs) -> ExitCode {
    let Some(gate) = &answer.gate else { return ExitCode::SUCCESS };
    let (code, counts) = match (gate.verdict.as_str(), args.undecided) {
        ("fail", _) => (FAILED, ""),
        ("pass", _) => (0, ""),
        (_, Some(Undecided::Pass)) => (0, "; counts as passed"),
        (_, Some(Undecided::Fail)) => (FAILED, "; counts as failed"),
        _ => (UNDECIDED, ""),
    };
    let mut out = io::stderr().lock();
    // Without a standard error nobody is there to be told; the exit code says it.
    let _ = writeln!(out, "gate: {}: {}{counts}", gate.verdict, harmless(&gate.expression));
    if args.explain {
        for clause in &gate.clauses {
            let _ = writeln!(out, "  {}", harmless(&clause.explanation));
        }
    }
    ExitCode::from(code)
}
