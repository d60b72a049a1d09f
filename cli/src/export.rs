//! `stoker export`: a profile from a server into a file of another format.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use crate::client::ServerArgs;
use crate::failure::Failure;
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One line per stack, with its value
    Collapsed,
    /// A gzipped profile.proto
    Pprof,
    /// A picture that zooms and searches
    Svg,
    /// The flame graph as the HTTP API gives it, whole
    Json,
}

/// Which extension means which format.
const EXTENSIONS: [(&str, Format); 5] = [
    (".collapsed", Format::Collapsed),
    (".folded", Format::Collapsed),
    (".pb.gz", Format::Pprof),
    (".svg", Format::Svg),
    (".json", Format::Json),
];

impl Format {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Collapsed => "collapsed",
            Self::Pprof => "pprof",
            Self::Svg => "svg",
            Self::Json => "json",
        }
    }

    fn of(path: &Path) -> Result<Self, Failure> {
        if path == Path::new("-") {
            let hint = "add --format collapsed, pprof, svg or json";
            return Err(Failure::new("standard output has no extension to tell a format by", hint));
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let found = EXTENSIONS.iter().find(|(extension, _)| name.ends_with(extension));
        found.map(|(_, format)| *format).ok_or_else(|| {
            let known: Vec<&str> = EXTENSIONS.iter().map(|(extension, _)| *extension).collect();
            let message = format!("no format is known by the name {}", path.display());
            Failure::new(message, format!("use {}, or add --format", known.join(", ")))
        })
    }
}

/// Runs the command.
pub async fn run(args: ExportArgs) -> Result<(), Failure> {
    let format = match args.format {
        Some(format) => format,
        None => Format::of(&args.output)?,
    };
    let range = merged_range(&args.source, args.from.as_deref(), args.until.as_deref())?;
    let mut parameters =
        vec![("query", args.source.selector.to_string()), ("format", format.as_str().to_owned())];
    if format == Format::Json {
        parameters.push(("max_nodes", "0".to_owned()));
    }
    parameters.extend(range);
    let bytes = args.server.open()?.bytes(&["flamegraph"], &parameters).await?;
    if args.output == Path::new("-") {
        return io::stdout().write_all(&bytes).map_err(Failure::from_output);
    }
    write_whole(&args.output, &bytes)
}

/// Writes all or nothing: what was there stays until the new file is complete.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let failed = |error: io::Error| {
        let message = format!("cannot write {}: {error}", path.display());
        Failure::new(message, "choose another file with -o")
    };
    // A device or a pipe is written to, never replaced.
    if fs::metadata(path).is_ok_and(|held| !held.is_file()) {
        return fs::write(path, bytes).map_err(failed);
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut file = tempfile::Builder::new()
        .prefix(".stoker-")
        .permissions(permissions())
        .tempfile_in(folder.unwrap_or(Path::new(".")))
        .map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

/// As any new file has them: the umask takes its part.
fn permissions() -> fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o666)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extension_says_the_format() {
        for (name, format) in [
            ("a.collapsed", Format::Collapsed),
            ("x/CPU.PB.GZ", Format::Pprof),
            ("a.b.svg", Format::Svg),
            ("a.json", Format::Json),
        ] {
            assert_eq!(Format::of(Path::new(name)), Ok(format));
        }
        let (message, hint) = ("no format is known by the name a.gz", ".pb.gz");
        let failure = Format::of(Path::new("a.gz")).unwrap_err();
        assert_eq!(failure.text().0, message);
        assert!(failure.text().1.contains(hint));
        assert!(Format::of(Path::new("-")).unwrap_err().text().1.contains("--format"));
    }
}
