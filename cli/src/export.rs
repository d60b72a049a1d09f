//! `stoker export`: files or a selector into a file of another format.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::client::ServerArgs;
use crate::failure::Failure;
use crate::files::{Files, Question};
use crate::output::{Format, check_writable, write_whole};
use crate::source::{Selection, Source};
use crate::top::RangeArgs;

/// Write files or a selector into a file of another format
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ExportArgs {
    /// Files, a glob, - for standard input, or a selector, with its range behind @
    #[arg(required = true, value_name = "SOURCE")]
    source: Vec<String>,
    /// The file to write, or - for standard output
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// The format; the file's extension says it otherwise
    #[arg(long)]
    format: Option<Format>,
    /// parquet: which table
    #[arg(long, default_value = "rows")]
    table: Which,
    /// parquet: labels by which functions are told apart, with commas
    #[arg(long, value_name = "LABELS")]
    by: Option<String>,
    #[command(flatten)]
    range: RangeArgs,
    #[command(flatten)]
    server: ServerArgs,
}

/// Which table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Which {
    /// Value and samples of each stack in each window, with all labels
    Rows,
    /// The stacks that rows refer to
    Nodes,
    /// Functions by the hour, self and total
    Functions,
}

const EXAMPLES: &str = "\
Examples:
  stoker export cpu -o cpu.pb.gz && go tool pprof -top cpu.pb.gz
  stoker export 'cpu{service_name=\"api\"}@now-2h..now-1h' -o api.svg
  stoker export 'profiles/*.pb.gz' -o all.speedscope.json      many files, summed
  perf script | stoker export - -o perf.svg                    standard input
  stoker export cpu@now-1d..now -o functions.parquet --table functions --by service_name
  stoker export cpu -o - --format collapsed | sort | head";

/// Runs the command.
pub async fn run(args: ExportArgs) -> Result<(), Failure> {
    let format = Format::of(&args.output, args.format)?;
    let source = Source::read(&args.source)?;
    check_writable(&args.output)?;
    let bytes = match &source {
        Source::Files(paths) => of_files(&args.range.load(paths)?, format)?,
        Source::Selection(selection) => args.of_selection(selection, format).await?,
    };
    write_whole(&args.output, &bytes)
}

fn of_files(files: &Files, format: Format) -> Result<Vec<u8>, Failure> {
    match format {
        Format::Parquet => {
            let message = "tables are made by a server, which knows times and hosts";
            Err(Failure::new(message, "push the files, and export a selector"))
        }
        Format::Json => Ok(files.answer(Question::Flamegraph(0, None))?.to_string().into_bytes()),
        format => files.fold()?.write(format),
    }
}

impl ExportArgs {
    async fn of_selection(
        &self,
        selection: &Selection,
        format: Format,
    ) -> Result<Vec<u8>, Failure> {
        let range = self.range.parameters(selection)?;
        let server = self.server.open()?;
        if format == Format::Parquet {
            let table = match self.table {
                Which::Rows => "rows",
                Which::Nodes => "nodes",
                Which::Functions => "functions",
            };
            let mut parameters =
                vec![("query", selection.selector.to_string()), ("table", table.to_owned())];
            parameters.extend(self.by.clone().map(|by| ("by", by)));
            parameters.extend(range);
            return server.bytes(&["export"], &parameters).await;
        }
        // What a server does not write is made here out of what it does.
        let asked = match format {
            Format::Json => "json",
            Format::Collapsed => "collapsed",
            Format::Svg => "svg",
            _ => "pprof",
        };
        let mut parameters =
            vec![("query", selection.selector.to_string()), ("format", asked.to_owned())];
        if format == Format::Json {
            parameters.push(("max_nodes", "0".to_owned()));
        }
        parameters.extend(range);
        let bytes = server.bytes(&["flamegraph"], &parameters).await?;
        if matches!(format, Format::Json | Format::Collapsed | Format::Svg | Format::Pprof) {
            return Ok(bytes);
        }
        let mut local = Files::of_answer(&bytes, selection.selector.profile_type.as_ref())?;
        local.title = selection.selector.to_string();
        local.write(format)
    }
}
