//! `stoker-server check` and `stoker-server repair`: what they print and exit with.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use crate::store::{CheckReport, HeldBytes, StoreError, check, repair};

/// Exit code where something is wrong (check) or rows are lost (repair).
const NOT_FINE: u8 = 1;

/// Looks at a folder and prints what is wrong; exit code 1 where something is.
///
/// # Errors
/// When it is no data folder, or in use, or the answer cannot be printed.
pub fn run_check(dir: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let report = check(dir)?;
    let verdict = match report.problems.len() {
        0 => "All of it is sound.".to_owned(),
        1 => "1 problem. `stoker-server repair` keeps what is sound.".to_owned(),
        n => format!("{n} problems. `stoker-server repair` keeps what is sound."),
    };
    print(&report, json, &verdict)?;
    Ok(code(report.problems.is_empty()))
}

/// Puts a folder right and prints what was wrong; exit code 1 where rows are lost.
///
/// # Errors
/// As [`run_check`], and when the folder cannot be written.
pub fn run_repair(dir: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report: Result<CheckReport, StoreError> = runtime.block_on(repair(dir));
    let report = report?;
    let lost = report.problems.iter().filter(|problem| problem.loses_rows).count();
    let verdict = match (report.problems.len(), lost) {
        (0, _) => "Nothing had to be done.".to_owned(),
        (_, 0) => "Put right; nothing is lost.".to_owned(),
        (_, lost) => format!(
            "Put right as far as can be. {lost} files lost rows: they are kept in set-aside/, and \
             answers say so until the notes (*.lost) there are removed."
        ),
    };
    print(&report, json, &verdict)?;
    Ok(code(lost == 0))
}

fn code(fine: bool) -> ExitCode {
    if fine { ExitCode::SUCCESS } else { ExitCode::from(NOT_FINE) }
}

fn print(report: &CheckReport, json: bool, verdict: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        writeln!(out, "{}", serde_json::to_string_pretty(report)?)?;
        return Ok(());
    }
    let CheckReport { segments, slices, logs, rows, bytes, problems, known_losses, nodes, held } =
        report;
    writeln!(out, "{segments} segments and {logs} logs, {bytes} bytes, {rows} sound rows.")?;
    let HeldBytes { names, stacks, rows, facts } = held;
    writeln!(
        out,
        "Segments hold, in {slices} slices, {rows} bytes of rows, {stacks} of stacks ({nodes} nodes), \
         {names} of names, {facts} of host facts."
    )?;
    for problem in problems {
        let weight = if problem.loses_rows { "LOST ROWS" } else { "harmless" };
        writeln!(out, "{}: {} ({weight})", problem.file, problem.what)?;
    }
    for loss in known_losses {
        writeln!(out, "noted as lost: {loss}")?;
    }
    writeln!(out, "{verdict}")?;
    Ok(())
}
