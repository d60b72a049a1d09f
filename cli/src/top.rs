//! `stoker top`: the hottest functions, modules, files or services of files or of a selector.

use std::io::{self, Write as _};

use clap::{Args, ValueEnum};
use serde_json::Value;
use stoker_dag::ProfileType;
use stoker_server::query::TopBy;

use crate::client::ServerArgs;
use crate::failure::{Failure, warn};
use crate::files::{Files, Question};
use crate::query::{cost, print};
use crate::source::{Source, merged_range};
use crate::table::Style;

const EXAMPLES: &str = "\
Examples:
  stoker top cpu.pb.gz                                the hottest functions of a file
  stoker top 'profiles/*.pb.gz' --by module -n 10     of many files, summed
  stoker top 'cpu{service_name=\"api\"}@now-2h..now-1h' --json
  stoker top cpu --by service --cost --from now-1d    cores and money
  perf script | stoker top -                          standard input

A source is a file (pprof, collapsed stacks, the text of perf script, speedscope JSON), a glob, several
files, or a selector, with its range behind @, which asks a server.";

/// Show the hottest functions of files or of a selector
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct TopArgs {
    /// Files, a glob, - for standard input, or a selector
    #[arg(required = true, value_name = "SOURCE")]
    source: Vec<String>,
    /// What the rows are
    #[arg(long, default_value = "function")]
    by: By,
    /// Show cores, how far they can be trusted, how much of the hosts' CPU is in profiles, and money by
    /// the server's prices (`stoker-server --prices`)
    #[arg(long)]
    cost: bool,
    /// Rows; 0 shows all
    #[arg(short = 'n', long, default_value_t = 30)]
    limit: usize,
    /// Print JSON, as the HTTP API gives it
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    range: RangeArgs,
    #[command(flatten)]
    server: ServerArgs,
}

/// Which part of a source.
#[derive(Debug, Args)]
pub struct RangeArgs {
    /// Selectors: start of the range: now-15m, RFC 3339, or Unix seconds [default: now-15m]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub from: Option<String>,
    /// Selectors: end of the range [default: now]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub until: Option<String>,
    /// Files: which of their values, such as cpu [default: what the file says]
    #[arg(long = "type", value_name = "TYPE", value_parser = profile_type)]
    pub profile_type: Option<ProfileType>,
}

fn profile_type(text: &str) -> Result<ProfileType, String> {
    ProfileType::parse(text).map_err(|error| error.to_string())
}

/// What rows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum By {
    /// Functions, each counted once per sample
    Function,
    /// Executables, libraries, packages
    Module,
    /// Source files
    File,
    /// Values of the label `service_name`
    Service,
}

impl By {
    /// The word that the API has for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Function => "function",
            Self::Module => "module",
            Self::File => "file",
            Self::Service => "service",
        }
    }

    /// The table that it means.
    pub const fn table(self) -> TopBy {
        match self {
            Self::Function => TopBy::Function,
            Self::Module => TopBy::Module,
            Self::File => TopBy::File,
            Self::Service => TopBy::Service,
        }
    }
}

impl RangeArgs {
    /// The files, read; ranges are of selectors.
    pub fn load(&self, paths: &[std::path::PathBuf]) -> Result<Files, Failure> {
        if self.from.is_some() || self.until.is_some() {
            let message = "--from and --until are for selectors; files are read whole";
            return Err(Failure::new(message, "leave them out"));
        }
        let files = Files::load(paths, self.profile_type.as_ref())?;
        files.warnings.iter().for_each(|text| warn(text));
        Ok(files)
    }

    /// The range as parameters of the API.
    pub fn parameters(
        &self,
        selection: &crate::source::Selection,
    ) -> Result<Vec<(&'static str, String)>, Failure> {
        if self.profile_type.is_some() {
            let message = "--type is for files; a selector begins with its type";
            return Err(Failure::new(message, "write it like cpu{service_name=\"api\"}"));
        }
        merged_range(selection, self.from.as_deref(), self.until.as_deref())
    }
}

/// Runs the command.
pub async fn run(args: TopArgs) -> Result<(), Failure> {
    if args.cost {
        return capacity(args).await;
    }
    let answer: Value = match Source::read(&args.source)? {
        Source::Files(paths) => {
            args.range.load(&paths)?.answer(Question::Top(args.by.table(), args.limit))?
        }
        Source::Selection(selection) => {
            let mut parameters = vec![
                ("query", selection.selector.to_string()),
                ("by", args.by.as_str().to_owned()),
                ("limit", args.limit.to_string()),
            ];
            parameters.extend(args.range.parameters(&selection)?);
            args.server.open()?.json(&["top"], &parameters).await?
        }
    };
    let text = if args.json {
        format!("{answer}\n")
    } else {
        print::top(&answer, Style::of_stdout()).map_err(|error| print::unknown(&error))?
    };
    io::stdout().write_all(text.as_bytes()).map_err(Failure::from_output)
}

/// What `--cost` shows.
async fn capacity(args: TopArgs) -> Result<(), Failure> {
    let Source::Selection(selection) = Source::read(&args.source)? else {
        let message = "files say neither how many hosts they are of nor what those cost";
        return Err(Failure::new(message, "give a selector, such as cpu, or leave out --cost"));
    };
    let (endpoint, more): (_, &[_]) = match args.by {
        By::Service => ("services", &[]),
        By::Function => ("functions", &[("what", "function")]),
        By::Module => ("functions", &[("what", "module")]),
        By::File => {
            let message = "--cost is by service, function or module";
            return Err(Failure::new(message, "write --by service"));
        }
    };
    let mut parameters =
        vec![("query", selection.selector.to_string()), ("limit", args.limit.to_string())];
    parameters.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
    parameters.extend(args.range.parameters(&selection)?);
    let answer: Value = args.server.open()?.json(&["capacity", endpoint], &parameters).await?;
    let text = match args.json {
        true => format!("{answer}\n"),
        false => {
            cost::table(&answer, Style::of_stdout()).map_err(|error| print::unknown(&error))?
        }
    };
    io::stdout().write_all(text.as_bytes()).map_err(Failure::from_output)
}
