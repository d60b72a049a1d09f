//! `stoker diff`: two profiles beside one another, each a file, a glob or a selector.
//!
//! Plain differences: the output says that it knows no error bars, and so does the JSON.

mod print;

use std::io::{self, Write as _};

use clap::{Args, ValueEnum};
use stoker_analysis::{DiffBy, diff};

use crate::client::{Server, ServerArgs};
use crate::failure::Failure;
use crate::files::Files;
use crate::local::LocalProfile;
use crate::source::Source;
use crate::table::Style;
use crate::top::RangeArgs;
use print::Both;

const EXAMPLES: &str = "\
Examples:
  stoker diff before.pb.gz after.pb.gz
  stoker diff 'main/*.pb.gz' 'branch/*.pb.gz' --by module
  stoker diff 'cpu{version=\"1.4\"}@now-1h..' 'cpu{version=\"1.5\"}@now-1h..' --format markdown
  stoker diff before.pb.gz 'cpu{service_name=\"api\"}' --json

Shares are of each side's own total, so that a longer recording does not look like a slower program.
There are no error bars yet: nothing can be concluded from small changes.";

/// Compare two profiles by function, stack or module
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct DiffArgs {
    /// What is compared with: a file, a glob in quotes, or a selector
    base: String,
    /// What is looked at
    new: String,
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
}

impl By {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Function => "function",
            Self::Stack => "stack",
            Self::Module => "module",
        }
    }

    const fn table(self) -> DiffBy {
        match self {
            Self::Function => DiffBy::Function,
            Self::Stack => DiffBy::Stack,
            Self::Module => DiffBy::Module,
        }
    }
}

/// Runs the command.
pub async fn run(args: DiffArgs) -> Result<(), Failure> {
    let base = args.side(&args.base).await?;
    let new = args.side(&args.new).await?;
    if base.profile_type != new.profile_type {
        let (one, other) = (&base.profile_type, &new.profile_type);
        let message = format!(
            "the two sides are of different types: {} has {}, {} has {}",
            args.base,
            one.short(),
            args.new,
            other.short()
        );
        return Err(Failure::new(message, "compare like with like; --type chooses among a file's"));
    }
    let both =
        Both { args: &args, diff: diff(&base.tree(), &new.tree(), args.by.table()), base, new };
    let text = match args.format {
        _ if args.json => format!("{}\n", both.json()),
        DiffFormat::Json => format!("{}\n", both.json()),
        DiffFormat::Table => both.table(Style::of_stdout()),
        DiffFormat::Markdown => both.markdown(),
    };
    io::stdout().write_all(text.as_bytes()).map_err(Failure::from_output)
}

impl DiffArgs {
    async fn side(&self, text: &str) -> Result<LocalProfile, Failure> {
        match Source::read(&[text])? {
            Source::Files(paths) => {
                let files = Files::load(&paths, self.range.profile_type.as_ref())?;
                files.warnings.iter().for_each(|text| crate::failure::warn(text));
                files.fold()
            }
            Source::Selection(selection) => {
                let mut parameters =
                    vec![("query", selection.selector.to_string()), ("format", "pprof".to_owned())];
                parameters.extend(self.range.parameters(&selection)?);
                let server: Server = self.server.open()?;
                let bytes = server.bytes(&["flamegraph"], &parameters).await?;
                Files::of_answer(&bytes, selection.selector.profile_type.as_ref())
            }
        }
    }
}
