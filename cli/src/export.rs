//! `stoker export`: a profile from a server into a file of another format.

use std::path::PathBuf;

use clap::Args;

use crate::client::ServerArgs;
use crate::failure::Failure;
use crate::output::{Format, write_whole};
use crate::source::{Source, merged_range};

/// What `stoker export` takes.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ExportArgs {
    /// A selector, with its range behind @: 'cpu{service_name="api"}@now-2h..now-1h'
    source: Source,
    /// The file to write, or - for standard output
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// The format; the file's extension says it otherwise
    #[arg(long)]
    format: Option<Format>,
    /// Start of the range [default: now-15m]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    from: Option<String>,
    /// End of the range [default: now]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,
    #[command(flatten)]
    server: ServerArgs,
}

const EXAMPLES: &str = "Examples:
  stoker export cpu -o cpu.pb.gz && go tool pprof -top cpu.pb.gz
  stoker export 'cpu{service_name=\"api\"}@now-2h..now-1h' -o api.svg
  stoker export cpu -o - --format collapsed | sort | head";

/// Runs the command.
pub async fn run(args: ExportArgs) -> Result<(), Failure> {
    let format = Format::of(&args.output, args.format)?;
    let range = merged_range(&args.source, args.from.as_deref(), args.until.as_deref())?;
    let mut parameters =
        vec![("query", args.source.selector.to_string()), ("format", "pprof".to_owned())];
    if format == Format::Json {
        parameters.push(("max_nodes", "0".to_owned()));
    }
    parameters.extend(range);
    let bytes = args.server.open()?.bytes(&["flamegraph"], &parameters).await?;
    write_whole(&args.output, &bytes)
}
