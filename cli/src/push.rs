//! `stoker push`: files that others wrote, to a server, however many.
//!
//! A file that is pushed again counts once, so a push that broke off is simply run again. A bad file
//! stops nothing: the rest goes on, and the bad ones are listed at the end.

use std::collections::VecDeque;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Deserialize;
use serde_json::json;
use stoker_formats::Limits;
use stoker_formats::text::harmless;
use tokio::task::JoinSet;

use crate::client::{PostError, Server, ServerArgs};
use crate::failure::{Failure, warn};
use crate::files;
use crate::source::{Source, expand};

/// The largest file that a server takes.
const MAX_FILE_BYTES: usize = 64 << 20;
/// How often a busy server is asked again, and after which pause.
const TRIES: u32 = 6;
const PAUSE: Duration = Duration::from_secs(2);
/// Between two lines of progress.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

const EXAMPLES: &str = "\
Examples:
  stoker push cpu.pb.gz --label service_name=api --label version=1.5
  stoker push 'profiles/**/*.pb.gz' --label service_name=api         thousands of files
  stoker push perf.txt --label service_name=db --from now-10m        a text without a time of its own

A file stands at its own time; where it says none, at --from, or else now. Pushing a file again with
the same labels and range changes nothing. Exit code 2 says that at least one file was not taken.";

/// Send profiles of others to a server: pprof, collapsed stacks, perf script, speedscope
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct PushArgs {
    /// Files, or globs in quotes; ** stands for folders within folders
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    /// A label of every sample, such as service_name=api; may be given several times
    #[arg(short, long = "label", value_name = "NAME=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
    /// When the profiles begin: now-15m, RFC 3339, or Unix seconds [default: what each says]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    from: Option<String>,
    /// When they end [default: what each says]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,
    /// Files that are on their way at a time
    #[arg(short, long, value_name = "N", default_value_t = 8,
          value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: u16,
    /// Print what became of them as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

fn label(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(name, _)| !name.is_empty());
    let (name, value) = pair.ok_or("write it as NAME=VALUE, such as service_name=api")?;
    if matches!(name, "from" | "until") {
        return Err(format!("{name} is no label: write --{name}"));
    }
    Ok((name.to_owned(), value.to_owned()))
}

/// What the server says of a file.
#[derive(Debug, Deserialize)]
struct Taken {
    status: String,
    samples: u64,
    skipped: Vec<Skipped>,
}

#[derive(Debug, Deserialize)]
struct Skipped {
    profile_type: String,
    reason: String,
}

/// What became of all files so far.
#[derive(Debug, Default)]
struct Tally {
    new: u64,
    there: u64,
    samples: u64,
    failed: Vec<(PathBuf, Failure)>,
}

/// Runs the command.
pub async fn run(args: PushArgs) -> Result<ExitCode, Failure> {
    let server = Arc::new(args.server.open()?);
    let mut waiting: VecDeque<PathBuf> = files_of(&args.files)?.into();
    let parameters = Arc::new(args.parameters());
    let mut line = ProgressLine::new(waiting.len());
    let (mut tally, mut on_their_way) = (Tally::default(), JoinSet::new());
    loop {
        while on_their_way.len() < usize::from(args.jobs)
            && let Some(path) = waiting.pop_front()
        {
            on_their_way.spawn(send(Arc::clone(&server), Arc::clone(&parameters), path));
        }
        let Some(sent) = on_their_way.join_next().await else { break };
        let (path, sent) =
            sent.map_err(|error| Failure::new(format!("a push broke off: {error}"), ""))?;
        tally.note(path, sent)?;
        line.show(&tally);
    }
    line.clear();
    tally.report(args.json)
}

/// The files that words mean, each once, in the order given.
fn files_of(words: &[String]) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for word in words {
        let path = Path::new(word);
        if path.is_dir() {
            // The same words as for any source.
            Source::read(&[word])?;
        }
        let found = if path.exists() { vec![path.to_owned()] } else { expand(word)? };
        if found.is_empty() {
            let hint = "give files, or globs in quotes: 'profiles/*.pb.gz'";
            return Err(Failure::new(format!("there is no file {word}"), hint));
        }
        files.extend(found);
    }
    let mut seen = std::collections::HashSet::new();
    files.retain(|path| seen.insert(path.clone()));
    Ok(files)
}

impl PushArgs {
    fn parameters(&self) -> Vec<(String, String)> {
        let range = [("from", &self.from), ("until", &self.until)];
        let range =
            range.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text.clone()?)));
        range.chain(self.labels.iter().cloned()).collect()
    }
}

type Sent = Result<Taken, PostError>;

async fn send(
    server: Arc<Server>,
    parameters: Arc<Vec<(String, String)>>,
    path: PathBuf,
) -> (PathBuf, Sent) {
    let reading = path.clone();
    let limits = Limits { decompressed_bytes: MAX_FILE_BYTES, ..Limits::default() };
    let read = tokio::task::spawn_blocking(move || files::bytes(&reading, limits)).await;
    let bytes = match read {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(failure)) => return (path, Err(PostError::Refused(failure))),
        Err(error) => {
            return (path, Err(PostError::Refused(Failure::new(error.to_string(), ""))));
        }
    };
    let mut tries = 1;
    loop {
        match server.post(&["push"], &parameters, bytes.clone()).await {
            Err(PostError::Busy(_)) if tries < TRIES => tries += 1,
            sent => return (path, sent),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

impl Tally {
    /// An error where going on makes no sense.
    fn note(&mut self, path: PathBuf, sent: Sent) -> Result<(), Failure> {
        match sent {
            Ok(taken) => {
                let is_new = taken.status == "new";
                self.new += u64::from(is_new);
                self.there += u64::from(!is_new);
                self.samples += if is_new { taken.samples } else { 0 };
                for Skipped { profile_type, reason } in taken.skipped {
                    warn(&format!("{}: {profile_type} is left out: {reason}", path.display()));
                }
            }
            Err(PostError::Unreachable(failure)) => return Err(failure),
            Err(PostError::Busy(failure) | PostError::Refused(failure)) => {
                self.failed.push((path, failure));
            }
        }
        Ok(())
    }

    fn report(&self, as_json: bool) -> Result<ExitCode, Failure> {
        let Self { new, there, samples, failed } = self;
        let text = if as_json {
            let failed = failed.iter().map(|(path, failure)| {
                let (message, hint) = failure.text();
                json!({"file": path.display().to_string(), "message": message, "hint": hint})
            });
            let failed: Vec<_> = failed.collect();
            format!(
                "{}\n",
                json!({"new": new, "duplicates": there, "samples": samples, "failed": failed})
            )
        } else {
            let not_taken = match failed.len() {
                0 => String::new(),
                some => format!(", {some} not taken"),
            };
            format!("{new} new ({samples} samples), {there} there already{not_taken}\n")
        };
        io::stdout().write_all(text.as_bytes()).map_err(Failure::from_output)?;
        let mut err = io::stderr().lock();
        for (path, failure) in failed {
            let (message, hint) = failure.text();
            let name = path.display().to_string();
            let place = if message.contains(&name) { String::new() } else { format!("{name}: ") };
            // Without a standard error nobody is there to be told.
            let _ = writeln!(err, "error: {}", harmless(&format!("{place}{message}")));
            if !hint.is_empty() {
                let _ = writeln!(err, " hint: {}", harmless(hint));
            }
        }
        Ok(if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(2) })
    }
}

/// One line on a terminal that says how far it is.
struct ProgressLine {
    files: usize,
    is_shown: bool,
    next: Instant,
}

impl ProgressLine {
    fn new(files: usize) -> Self {
        Self { files, is_shown: io::stderr().is_terminal(), next: Instant::now() }
    }

    fn show(&mut self, tally: &Tally) {
        let now = Instant::now();
        if !self.is_shown || now < self.next {
            return;
        }
        self.next = now + PROGRESS_EVERY;
        let Tally { new, there, failed, .. } = tally;
        let (files, failed) = (self.files, failed.len());
        let _ = write!(
            io::stderr(),
            "\r\u{1b}[Kpushing {files} files: {new} new, {there} there already, {failed} not taken"
        );
    }

    fn clear(&self) {
        if self.is_shown {
            let _ = write!(io::stderr(), "\r\u{1b}[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_pairs() {
        assert_eq!(label("a=b=c"), Ok(("a".into(), "b=c".into())));
        for wrong in ["a", "=b", "from=now"] {
            assert!(label(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn files_are_each_pushed_once() {
        let words = ["src/main.rs", "src/mai?.rs", "src/push.rs"].map(str::to_owned);
        assert_eq!(files_of(&words).unwrap().len(), 2);
        assert!(files_of(&["src".to_owned()]).unwrap_err().text().0.contains("folder"));
        assert!(files_of(&["nowhere/*".to_owned()]).unwrap_err().text().0.contains("no file"));
    }
}
