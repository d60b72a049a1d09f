//! `stoker symbols`: debug information for what was profiled without it.
//!
//! A file is looked at before it is sent, so that what a server would refuse is refused at once. A bad
//! file stops nothing: the rest goes on, and exit code 2 says that at least one was not taken.

mod fetch;

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::json;
use stoker_dag::BuildId;
use stoker_formats::text::harmless;
use stoker_symbols::elf::{ElfError, ElfInfo, Inventory};

use crate::client::{PostError, Server, ServerArgs};
use crate::failure::Failure;
use crate::source::expand;

const EXAMPLES: &str = "\
Examples:
  stoker symbols push target/release/api              a binary as it was built, not stripped
  stoker symbols push api.debug                       what objcopy --only-keep-debug made of it
  stoker symbols push 'build/**/*.debug' --server http://stoker:4040
  stoker symbols list
  stoker symbols fetch --debuginfod https://debuginfod.debian.net     what no agent could name

A file gives names to the frames of its build: of what was stored before, and of what comes. The
build id in the file says which build that is (readelf -n FILE). A file that is pushed again, or one
that says less than what the server has, changes nothing. Exit code 2 says that at least one file was
not taken.";

/// Debug information for what was profiled without it
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct SymbolsArgs {
    #[command(subcommand)]
    command: SymbolsCommand,
}

#[derive(Debug, Subcommand)]
enum SymbolsCommand {
    Push(PushArgs),
    List(ListArgs),
    Fetch(fetch::FetchArgs),
}

/// Give a server binaries, or files of debug information
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
struct PushArgs {
    /// Files, or globs in quotes; ** stands for folders within folders
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    /// The build id that the file must have
    #[arg(long, value_name = "ID")]
    build_id: Option<BuildId>,
    /// Print what became of them as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// List what a server has
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
struct ListArgs {
    /// Print it as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Deserialize)]
struct Pushed {
    status: String,
    build_id: String,
    bytes: u64,
}

#[derive(Debug, Deserialize)]
struct List {
    max_bytes: u64,
    max_file_bytes: u64,
    files: Vec<Listed>,
}

#[derive(Debug, Deserialize)]
struct Listed {
    build_id: String,
    bytes: u64,
    debug_info: bool,
}

/// Runs the command.
pub async fn run(args: SymbolsArgs) -> Result<ExitCode, Failure> {
    match args.command {
        SymbolsCommand::Push(args) => push(args).await,
        SymbolsCommand::List(args) => list(args).await.map(|()| ExitCode::SUCCESS),
        SymbolsCommand::Fetch(args) => fetch::fetch(args).await,
    }
}

async fn push(args: PushArgs) -> Result<ExitCode, Failure> {
    let files = files_of(&args.files)?;
    let server = args.server.open()?;
    let there: List = server.json(&["symbols"], &[]).await?;
    let (mut taken, mut failed) = (Vec::new(), Vec::new());
    for path in files {
        match send(&server, &path, args.build_id.as_ref(), &there).await {
            Ok(pushed) => taken.push((path, pushed)),
            Err(PostError::Unreachable(failure)) => return Err(failure),
            Err(PostError::Busy(failure) | PostError::Refused(failure)) => {
                failed.push((path, failure));
            }
        }
    }
    report(&taken, &failed, args.json)
}

/// The files that words mean, each once, in the order given.
fn files_of(words: &[String]) -> Result<Vec<PathBuf>, Failure> {
    let mut files: Vec<PathBuf> = Vec::new();
    for word in words {
        let path = Path::new(word);
        let found = if path.exists() { vec![path.to_owned()] } else { expand(word)? };
        if found.is_empty() {
            let hint = "give files, or globs in quotes: 'build/**/*.debug'";
            return Err(Failure::new(format!("there is no file {word}"), hint));
        }
        files.extend(found.into_iter().filter(|path| !files.contains(path)).collect::<Vec<_>>());
    }
    Ok(files)
}

async fn send(
    server: &Server,
    path: &Path,
    wanted: Option<&BuildId>,
    there: &List,
) -> Result<Pushed, PostError> {
    let (file, build_id) = look(path, wanted, there).map_err(PostError::Refused)?;
    let body = tokio::fs::File::from_std(file);
    server.post(&["symbols", &build_id.to_string()], &[], body).await
}

/// Opens a file that a server will take.
fn look(path: &Path, wanted: Option<&BuildId>, there: &List) -> Result<(File, BuildId), Failure> {
    let cannot = |error: io::Error| Failure::new(format!("cannot read it: {error}"), "");
    let file = File::open(path).map_err(cannot)?;
    let metadata = file.metadata().map_err(cannot)?;
    if !metadata.is_file() {
        return Err(Failure::new("it is no file", "give files, or globs in quotes"));
    }
    let limit = there.max_bytes.min(there.max_file_bytes);
    if metadata.len() > limit {
        let message = format!("it has {} bytes, and the server takes {limit}", metadata.len());
        let hint = "make it smaller with `objcopy --only-keep-debug --compress-debug-sections`, or \
                    start the server with a larger --max-symbols";
        return Err(Failure::new(message, hint));
    }
    let inventory = Inventory::of(&file, metadata.len()).map_err(|error| no_elf(&error))?;
    let found = ElfInfo::read(&file).map_err(|error| no_elf(&error))?.build_id;
    if let Some(wanted) = wanted.filter(|wanted| **wanted != found) {
        let message = format!("it has the build id {found}, not {wanted}");
        return Err(Failure::new(message, "push the file of the very build that was profiled"));
    }
    if inventory.is_empty() {
        let message = "it has neither debug information nor a symbol table: it is stripped";
        return Err(Failure::new(message, "push the binary as it was built"));
    }
    Ok((file, found))
}

fn no_elf(error: &ElfError) -> Failure {
    let hint = match error {
        ElfError::Truncated => "it broke off: copy or build it again",
        _ => "push a binary before it is stripped, or its .debug file",
    };
    Failure::new(format!("it holds no debug information: {error}"), hint)
}

fn report(
    taken: &[(PathBuf, Pushed)],
    failed: &[(PathBuf, Failure)],
    as_json: bool,
) -> Result<ExitCode, Failure> {
    let name = |path: &Path| path.display().to_string();
    let text = if as_json {
        let taken = taken.iter().map(|(path, pushed)| {
            let Pushed { status, build_id, bytes } = pushed;
            json!({"file": name(path), "status": status, "build_id": build_id, "bytes": bytes})
        });
        let failed = failed.iter().map(|(path, failure)| {
            let (message, hint) = failure.text();
            json!({"file": name(path), "message": message, "hint": hint})
        });
        let (taken, failed): (Vec<_>, Vec<_>) = (taken.collect(), failed.collect());
        format!("{}\n", json!({"taken": taken, "failed": failed}))
    } else {
        let line = |(path, pushed): &(PathBuf, Pushed)| {
            format!("{}: {} for {}\n", harmless(&name(path)), pushed.status, pushed.build_id)
        };
        taken.iter().map(line).collect()
    };
    io::stdout().write_all(text.as_bytes()).map_err(Failure::from_output)?;
    let mut err = io::stderr().lock();
    for (path, failure) in failed {
        let (message, hint) = failure.text();
        // Without a standard error nobody is there to be told.
        let _ = writeln!(err, "error: {}", harmless(&format!("{}: {message}", name(path))));
        if !hint.is_empty() {
            let _ = writeln!(err, " hint: {}", harmless(hint));
        }
    }
    Ok(if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(2) })
}

async fn list(args: ListArgs) -> Result<(), Failure> {
    let server = args.server.open()?;
    let text = if args.json {
        let answer: serde_json::Value = server.json(&["symbols"], &[]).await?;
        format!("{answer}\n")
    } else {
        let List { max_bytes, files, .. } = server.json(&["symbols"], &[]).await?;
        let all: u64 = files.iter().map(|file| file.bytes).sum();
        let lines: String = files.iter().map(Listed::line).collect();
        format!("{lines}{} files, {all} bytes of {max_bytes}\n", files.len())
    };
    io::stdout().write_all(text.as_bytes()).map_err(Failure::from_output)
}

impl Listed {
    fn line(&self) -> String {
        let what = if self.debug_info { "debug information" } else { "symbols only" };
        format!("{}  {:>12} bytes  {what}\n", harmless(&self.build_id), self.bytes)
    }
}
