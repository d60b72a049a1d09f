//! How a command fails: one sentence, one hint, exit code 2.

use std::io::{self, Write};
use std::process::ExitCode;

use stoker_formats::text::harmless;

/// Wrong use or broken input.
const WRONG: u8 = 2;

/// Why a command did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    message: String,
    hint: String,
    /// Whoever read the output has enough: not worth a word.
    is_quiet: bool,
}

impl Failure {
    /// What is wrong, and what to do (or nothing).
    pub fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: hint.into(), is_quiet: false }
    }

    /// An error with its causes, each said once.
    pub fn from_chain(error: &anyhow::Error) -> Self {
        let text = error.chain().fold(String::new(), |said, cause| match cause.to_string() {
            cause if said.is_empty() => cause,
            cause if said.contains(&cause) => said,
            cause => format!("{said}: {cause}"),
        });
        Self::new(text, "")
    }

    /// Standard output took no more.
    #[expect(clippy::needless_pass_by_value, reason = "it is what map_err gives")]
    pub fn from_output(error: io::Error) -> Self {
        let is_quiet = error.kind() == io::ErrorKind::BrokenPipe;
        let message = format!("cannot write to standard output: {error}");
        Self { is_quiet, ..Self::new(message, "") }
    }

    /// Says it and gives the exit code.
    pub fn report(&self) -> ExitCode {
        if self.is_quiet {
            return ExitCode::SUCCESS;
        }
        let mut out = io::stderr().lock();
        // Without a standard error nobody is there to be told.
        let _ = writeln!(out, "error: {}", harmless(&self.message));
        if !self.hint.is_empty() {
            let _ = writeln!(out, " hint: {}", harmless(&self.hint));
        }
        ExitCode::from(WRONG)
    }

    /// What is wrong, and what to do.
    pub fn text(&self) -> (&str, &str) {
        (&self.message, &self.hint)
    }
}

/// Says what is worth knowing and no failure.
pub fn warn(text: &str) {
    // Without a standard error nobody is there to be told.
    let _ = writeln!(io::stderr().lock(), "warning: {}", harmless(text));
}
