//! What works on this machine, what is degraded, and how to mend it: the report that we ask for
//! when something is wrong.
//!
//! Each finding says what was looked at, what was found, and, where that is not as it should be,
//! what follows and what to do. Nothing is changed: the sampling program is loaded for a moment to
//! see whether the kernel takes it, aimed at this process alone, and, where no running agent can be
//! asked how stacks fare, for some seconds, aimed at the whole host.

mod host;
mod kernel_side;
mod print;
mod rates;
mod rights;
mod stacks;
mod surroundings;

use std::io::{self, Write};
use std::net::SocketAddr;

use crate::run::AgentConfig;

/// How good a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// For the record.
    Info,
    /// As it should be.
    Fine,
    /// The agent runs, and lacks something.
    Degraded,
    /// The agent cannot run.
    Broken,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// What was looked at.
    pub name: String,
    /// How good it is.
    pub level: Level,
    /// What was found.
    pub found: String,
    /// What follows from it and what to do, where something is to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
}

impl Finding {
    fn new(name: &str, level: Level, found: impl Into<String>) -> Self {
        Self { name: name.to_owned(), level, found: found.into(), mend: None }
    }

    fn info(name: &str, found: impl Into<String>) -> Self {
        Self::new(name, Level::Info, found)
    }

    fn fine(name: &str, found: impl Into<String>) -> Self {
        Self::new(name, Level::Fine, found)
    }

    fn degraded(name: &str, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { mend: Some(mend.into()), ..Self::new(name, Level::Degraded, found) }
    }

    fn broken(name: &str, found: impl Into<String>, mend: Option<String>) -> Self {
        Self { mend, ..Self::new(name, Level::Broken, found) }
    }
}

/// Findings of one part of the machine.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Section {
    /// Which part.
    pub title: &'static str,
    /// What was found.
    pub findings: Vec<Finding>,
}

/// Everything that was found.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Report {
    /// The agent's version.
    pub version: &'static str,
    /// The worst finding.
    pub verdict: Level,
    /// What was found, by part.
    pub sections: Vec<Section>,
}

/// Looks at this machine as an agent with these settings would meet it, and at how an agent does that
/// serves its metrics at `running`. Takes some seconds where it has to sample by itself.
#[must_use]
pub fn examine(config: &AgentConfig, running: Option<SocketAddr>) -> Report {
    let section = |title, findings| Section { title, findings };
    Report::of(vec![
        section("Kernel", kernel_side::examine(config)),
        section("Rights", rights::examine()),
        section("Host", host::examine()),
        section("Surroundings", surroundings::examine(config)),
        section("Stacks and names", stacks::examine(config, running)),
    ])
}

impl Report {
    fn of(sections: Vec<Section>) -> Self {
        let levels = sections.iter().flat_map(|section| &section.findings).map(|f| f.level);
        let verdict = levels.max().unwrap_or(Level::Fine).max(Level::Fine);
        Self { version: env!("CARGO_PKG_VERSION"), verdict, sections }
    }

    /// 0 all is well, 1 something is degraded, 2 the agent cannot run.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self.verdict {
            Level::Info | Level::Fine => 0,
            Level::Degraded => 1,
            Level::Broken => 2,
        }
    }

    /// For programs.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut *out, self)?;
        writeln!(out)
    }

    /// For people, as wide as the terminal.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_text(&self, out: &mut dyn Write, colours: bool) -> io::Result<()> {
        let width = terminal_size::terminal_size().map_or(100, |(width, _)| usize::from(width.0));
        out.write_all(print::text(self, width, colours).as_bytes())
    }
}

/// A small file's text without the line's end; `None` where it cannot be read.
fn read(path: &str) -> Option<String> {
    Some(std::fs::read_to_string(path).ok()?.trim().to_owned())
}

fn number<N: std::str::FromStr>(path: &str) -> Option<N> {
    read(path)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_finding_decides() {
        let report = |findings: Vec<Finding>| Report::of(vec![Section { title: "x", findings }]);
        let fine = Finding::fine("a", "b");
        assert_eq!(report(vec![]).exit_code(), 0);
        assert_eq!(report(vec![fine.clone(), Finding::info("a", "b")]).exit_code(), 0);
        assert_eq!(report(vec![fine.clone(), Finding::degraded("a", "b", "c")]).exit_code(), 1);
        assert_eq!(report(vec![Finding::broken("a", "b", None), fine]).exit_code(), 2);
    }
}
