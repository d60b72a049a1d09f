//! The committed history: one JSON object a line, oldest first.

use std::fmt;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use serde::Serialize;

/// One run.
#[derive(Debug, Serialize)]
pub struct Row {
    date: String,
    commit: String,
    machine: String,
    results: Vec<Measured>,
}

/// One number.
#[derive(Debug, Serialize)]
struct Measured {
    what: String,
    value: f64,
    unit: &'static str,
}

impl Row {
    /// A row without results: when, of what, and where.
    ///
    /// # Errors
    /// When `date`, `git` or `uname` do not run.
    pub fn begin() -> Result<Self> {
        let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpus.lines().find_map(|line| line.strip_prefix("model name\t: "));
        let count = cpus.lines().filter(|line| line.starts_with("processor")).count();
        let kernel = output("uname", &["-r"])?;
        Ok(Self {
            date: output("date", &["-u", "+%Y-%m-%d"])?,
            commit: output("git", &["rev-parse", "--short", "HEAD"])?,
            machine: format!("{count} x {}, Linux {kernel}", model.unwrap_or("?")),
            results: Vec::new(),
        })
    }

    /// Adds a number.
    pub fn add(&mut self, what: impl Into<String>, value: f64, unit: &'static str) {
        self.results.push(Measured { what: what.into(), value: rounded(value), unit });
    }

    /// Appends the row to the history.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn append(&self) -> Result<()> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("history/runs.jsonl");
        let mut line = serde_json::to_string(self)?;
        line.push('\n');
        let file = fs::File::options().create(true).append(true).open(&path);
        let written = file.and_then(|mut file| file.write_all(line.as_bytes()));
        written.with_context(|| format!("cannot append to {}", path.display()))
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {} on {}", self.date, self.commit, self.machine)?;
        let lines = self.results.iter();
        lines.into_iter().try_for_each(|m| writeln!(f, "{:>14} {:8} {}", m.value, m.unit, m.what))
    }
}

/// Four significant digits: more would be noise.
fn rounded(value: f64) -> f64 {
    format!("{value:.3e}").parse().unwrap_or(value)
}

fn output(program: &str, args: &[&str]) -> Result<String> {
    let output = Command::new(program).args(args).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    let output = output.with_context(|| format!("cannot run {program}"))?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// A folder for one benchmark's data.
///
/// # Errors
/// When it cannot be made.
pub fn folder() -> Result<(tempfile::TempDir, PathBuf)> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().to_path_buf();
    Ok((dir, path))
}
