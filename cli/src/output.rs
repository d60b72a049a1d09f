//! Writing a profile to where people want it: the extension says the format, `-` is standard output.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use clap::ValueEnum;

use crate::failure::Failure;

/// What a profile can be written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A picture that zooms and searches
    Svg,
    /// A page that needs no network
    Html,
    /// A gzipped profile.proto
    Pprof,
    /// One line per stack, with its value
    Collapsed,
    /// For speedscope.app
    Speedscope,
    /// The flame graph as the HTTP API gives it, whole; of selectors only
    Json,
    /// A table for pandas, DuckDB and their like; of selectors only
    Parquet,
}

/// Which extension means which format; longer ones first.
const EXTENSIONS: [(&str, Format); 9] = [
    (".speedscope.json", Format::Speedscope),
    (".collapsed", Format::Collapsed),
    (".folded", Format::Collapsed),
    (".pb.gz", Format::Pprof),
    (".pprof", Format::Pprof),
    (".svg", Format::Svg),
    (".html", Format::Html),
    (".json", Format::Json),
    (".parquet", Format::Parquet),
];

impl Format {
    /// The format that was asked for, or that the extension says.
    pub fn of(path: &Path, asked: Option<Self>) -> Result<Self, Failure> {
        if let Some(format) = asked {
            return Ok(format);
        }
        if is_stdout(path) {
            let hint = "add --format collapsed, pprof, svg, html or speedscope";
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

/// Whether `-` is meant.
pub fn is_stdout(path: &Path) -> bool {
    path == Path::new("-")
}

/// Fails now where writing would fail later, after all the work.
pub fn check_writable(path: &Path) -> Result<(), Failure> {
    if is_stdout(path) || fs::metadata(path).is_ok_and(|held| !held.is_file() && !held.is_dir()) {
        return Ok(());
    }
    if path.is_dir() {
        let message = format!("cannot write {}: it is a folder", path.display());
        return Err(Failure::new(message, "choose a file with -o"));
    }
    temporary(path).map(drop).map_err(|error| failed(path, &error))
}

/// Writes all or nothing: what was there stays until the new file is complete.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    if is_stdout(path) {
        return io::stdout().write_all(bytes).map_err(Failure::from_output);
    }
    let failed = |error: io::Error| failed(path, &error);
    // A device or a pipe is written to, never replaced.
    if fs::metadata(path).is_ok_and(|held| !held.is_file()) {
        return fs::write(path, bytes).map_err(failed);
    }
    let mut file = temporary(path).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

fn failed(path: &Path, error: &io::Error) -> Failure {
    let message = format!("cannot write {}: {error}", path.display());
    Failure::new(message, "choose another file with -o")
}

/// A file beside the one that it is to become.
fn temporary(path: &Path) -> io::Result<tempfile::NamedTempFile> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    tempfile::Builder::new()
        .prefix(".stoker-")
        .permissions(permissions())
        .tempfile_in(folder.unwrap_or(Path::new(".")))
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
            ("a.html", Format::Html),
            ("a.speedscope.json", Format::Speedscope),
            ("a.json", Format::Json),
        ] {
            assert_eq!(Format::of(Path::new(name), None), Ok(format));
        }
        assert_eq!(Format::of(Path::new("a.svg"), Some(Format::Pprof)), Ok(Format::Pprof));
        let (message, hint) = ("no format is known by the name a.gz", ".pb.gz");
        let failure = Format::of(Path::new("a.gz"), None).unwrap_err();
        assert_eq!(failure.text().0, message);
        assert!(failure.text().1.contains(hint));
        assert!(Format::of(Path::new("-"), None).unwrap_err().text().1.contains("--format"));
    }

    #[test]
    fn what_cannot_be_written_is_said_before_the_work() {
        for (path, wanted) in [("/nowhere/at/all.svg", "No such file"), ("/proc", "folder")] {
            let failure = check_writable(Path::new(path)).unwrap_err();
            assert!(failure.text().0.contains(wanted), "{failure:?}");
        }
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(check_writable(&folder.path().join("a.svg")), Ok(()));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
