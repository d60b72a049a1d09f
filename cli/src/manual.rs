//! Man pages and completions, made from the very arguments that are parsed.

use std::fs;
use std::io::{self, Write as _};
use std::path::PathBuf;

use clap::{Args, Command};

use crate::failure::Failure;

const MAN_EXAMPLES: &str = "\
Examples:
  stoker man --out /usr/local/share/man/man1 && man stoker-record
  stoker man --out man && man ./man/stoker.1";

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  stoker completions bash > /etc/bash_completion.d/stoker
  stoker completions zsh > \"${fpath[1]}/_stoker\"
  stoker completions fish > ~/.config/fish/completions/stoker.fish";

/// Write man pages, one for each command
#[derive(Debug, Args)]
#[command(after_help = MAN_EXAMPLES)]
pub struct ManArgs {
    /// The folder to write them to; made when it is not there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Print completions for a shell
#[derive(Debug, Args)]
#[command(after_help = COMPLETIONS_EXAMPLES)]
pub struct CompletionsArgs {
    /// Which shell
    shell: clap_complete::Shell,
}

/// Writes the pages.
pub fn man(args: &ManArgs, command: Command) -> Result<(), Failure> {
    let failed = |error: io::Error| {
        let message = format!("cannot write man pages to {}: {error}", args.out.display());
        Failure::new(message, "choose another folder with --out")
    };
    fs::create_dir_all(&args.out).map_err(failed)?;
    clap_mangen::generate_to(command, &args.out).map_err(failed)
}

/// Prints the script.
pub fn completions(args: &CompletionsArgs, mut command: Command) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "stoker", &mut script);
    io::stdout().write_all(&script).map_err(Failure::from_output)
}
