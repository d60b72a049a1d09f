//! `stoker symbols fetch`: debug information from debuginfod servers, for a Stoker server.
//!
//! elfutils' `debuginfod-find` does the fetching: it knows the protocol, proxies, certificates and its
//! own cache. What it brings is looked at like any file that is pushed: its build id must be the one
//! that was asked for.

use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde::Deserialize;
use stoker_dag::{BuildId, BuildIdKind};

use super::{List, send};
use crate::client::{PostError, Server, ServerArgs};
use crate::failure::Failure;

/// The command, and the Debian package that has it.
const COMMAND: &str = "debuginfod-find";
/// Seconds without progress after which a transfer is given up.
const TIMEOUT_SECONDS: &str = "90";

/// Fetch debug information from debuginfod servers and give it to a server
///
/// Nobody is asked unless this command is run: build ids tell what one runs.
#[derive(Debug, Args)]
#[command(after_help = super::EXAMPLES)]
pub(super) struct FetchArgs {
    /// Build ids; without any, those of the files that have the most frames without names
    #[arg(value_name = "ID")]
    build_ids: Vec<BuildId>,
    /// Servers that are asked, one after the other
    #[arg(
        long,
        value_name = "URL",
        env = "DEBUGINFOD_URLS",
        value_delimiter = ' ',
        required = true
    )]
    debuginfod: Vec<String>,
    /// Print what became of them as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Deserialize)]
struct Agents {
    #[serde(default)]
    nameless: Vec<Nameless>,
}

#[derive(Debug, Deserialize)]
struct Nameless {
    file: String,
    build_id: String,
}

/// A build, and what it is called where that is known.
struct Wanted {
    build_id: BuildId,
    file: String,
}

impl Wanted {
    fn name(&self) -> PathBuf {
        match &*self.file {
            "" => self.build_id.to_string().into(),
            file => format!("{file} ({})", self.build_id).into(),
        }
    }
}

pub(super) async fn fetch(args: FetchArgs) -> Result<ExitCode, Failure> {
    let server = args.server.open()?;
    let there: List = server.json(&["symbols"], &[]).await?;
    let is_asked = !args.build_ids.is_empty();
    let wanted = if is_asked { asked(&args.build_ids)? } else { nameless(&server, &there).await? };
    let (mut taken, mut failed) = (Vec::new(), Vec::new());
    for wanted in &wanted {
        let Some(path) = find(&wanted.build_id, &args.debuginfod, &there).await? else {
            let message = "no debuginfod server has it";
            let hint = "push the file: stoker symbols push FILE";
            failed.push((wanted.name(), Failure::new(message, hint)));
            continue;
        };
        match send(&server, &path, Some(&wanted.build_id), &there).await {
            Ok(pushed) => taken.push((wanted.name(), pushed)),
            Err(PostError::Unreachable(failure)) => return Err(failure),
            Err(PostError::Busy(failure) | PostError::Refused(failure)) => {
                failed.push((wanted.name(), failure));
            }
        }
    }
    let code = super::report(&taken, &failed, args.json)?;
    // Nobody has the debug information of everything that runs somewhere: that is no error.
    Ok(if is_asked { code } else { ExitCode::SUCCESS })
}

/// debuginfod knows GNU build ids only.
fn asked(build_ids: &[BuildId]) -> Result<Vec<Wanted>, Failure> {
    let other = build_ids.iter().find(|build_id| build_id.kind() != BuildIdKind::Gnu);
    if let Some(other) = other {
        let message = format!("{other} is no GNU build id, and debuginfod knows no others");
        return Err(Failure::new(message, "`readelf -n FILE` shows a file's"));
    }
    let wanted = |build_id: &BuildId| Wanted { build_id: build_id.clone(), file: String::new() };
    Ok(build_ids.iter().map(wanted).collect())
}

/// What agents could not name and the server has no file for.
async fn nameless(server: &Server, there: &List) -> Result<Vec<Wanted>, Failure> {
    let agents: Agents = server.json(&["agents"], &[]).await?;
    let wanted = agents.nameless.into_iter().filter_map(|Nameless { file, build_id }| {
        let is_there = there.files.iter().any(|held| held.build_id == build_id && held.debug_info);
        let build_id: BuildId = build_id.parse().ok()?;
        let is_wanted = !is_there && build_id.kind() == BuildIdKind::Gnu;
        is_wanted.then_some(Wanted { build_id, file })
    });
    Ok(wanted.collect())
}

/// The file that a debuginfod server has for a build, on this machine.
async fn find(
    build_id: &BuildId,
    urls: &[String],
    there: &List,
) -> Result<Option<PathBuf>, Failure> {
    let limit = there.max_bytes.min(there.max_file_bytes);
    let output = tokio::process::Command::new(COMMAND)
        .args(["debuginfo", &build_id.to_string()])
        .env("DEBUGINFOD_URLS", urls.join(" "))
        .env("DEBUGINFOD_TIMEOUT", TIMEOUT_SECONDS)
        .env("DEBUGINFOD_MAXSIZE", limit.to_string())
        .output()
        .await
        .map_err(|error| cannot_run(&error))?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(output.status.success().then(|| PathBuf::from(text.trim_end())))
}

fn cannot_run(error: &io::Error) -> Failure {
    match error.kind() {
        ErrorKind::NotFound => {
            let message = format!("there is no command {COMMAND}, which does the fetching");
            Failure::new(message, "apt-get install debuginfod (elfutils elsewhere)")
        }
        _ => Failure::new(format!("cannot run {COMMAND}: {error}"), ""),
    }
}
