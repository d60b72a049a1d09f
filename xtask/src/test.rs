//! `cargo xtask test`: sets up and runs everything that holds Stoker together, stage by stage.
//!
//! All stages run, also after one has failed, so that one run tells all. What could not run is
//! counted as skipped, with the reason. The last line is for programs: `N passed, N failed, N
//! skipped`, counting stages and skipped tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use crate::{browser, ebpf, host, packages, tools, web};

/// What to run.
#[derive(clap::Args)]
pub struct Args {
    /// Only these stages
    #[arg(value_enum)]
    stages: Vec<Stage>,
}

/// A part of the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Stage {
    /// Formatting, lints, licences and duplicates of dependencies, spelling
    Lint,
    /// The viewer: types, lints, unit tests, build
    Web,
    /// Unit, property and golden tests of every crate
    Rust,
    /// End-to-end tests on the real kernel with the committed BPF object
    E2e,
    /// The kernel side from source: the same object, and the end-to-end tests on it
    Ebpf,
    /// The viewer on live data in a real browser
    Browser,
    /// Fuzz targets, some seconds each
    Fuzz,
}

/// In the order in which they run: what is quick to fail comes first.
const ALL: [Stage; 7] =
    [Stage::Lint, Stage::Web, Stage::Rust, Stage::E2e, Stage::Ebpf, Stage::Browser, Stage::Fuzz];

/// Where the run happens and what it must not use.
struct Run {
    root: PathBuf,
    skips: PathBuf,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<()> {
    let root = host::root()?;
    let skips = root.join("target/skipped.log");
    fs::create_dir_all(root.join("target")).context("cannot create target/")?;
    let _ = fs::remove_file(&skips);
    let run = Run { root, skips };
    let stages = if args.stages.is_empty() { &ALL[..] } else { &args.stages };
    let mut failed = Vec::new();
    for stage in stages {
        let start = Instant::now();
        host::say(&format!("== {stage:?}"));
        let outcome = run.stage(*stage);
        let seconds = start.elapsed().as_secs();
        match outcome {
            Ok(()) => host::say(&format!("== {stage:?}: passed in {seconds} s")),
            Err(error) => {
                host::say(&format!("== {stage:?}: FAILED in {seconds} s: {error:#}"));
                failed.push(stage);
            }
        }
    }
    run.summary(stages.len(), failed.len())
}

impl Run {
    fn stage(&self, stage: Stage) -> Result<()> {
        match stage {
            Stage::Lint => self.lint(),
            Stage::Web => self.web(),
            Stage::Rust => self.rust(),
            Stage::E2e => self.e2e(None),
            Stage::Ebpf => self.ebpf(),
            Stage::Browser => self.browser(),
            Stage::Fuzz => self.fuzz(),
        }
    }

    fn summary(&self, stages: usize, failed: usize) -> Result<()> {
        let skips = fs::read_to_string(&self.skips).unwrap_or_default();
        for line in skips.lines() {
            host::say(&format!("skipped: {line}"));
        }
        let skipped = skips.lines().count();
        host::say(&format!("{} passed, {failed} failed, {skipped} skipped", stages - failed));
        if failed > 0 {
            bail!("{failed} of {stages} stages failed");
        }
        Ok(())
    }

    fn cargo(&self) -> Command {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.current_dir(&self.root).env("STOKER_SKIP_LOG", &self.skips);
        command
    }

    fn lint(&self) -> Result<()> {
        web::build(&self.root)?;
        host::run(self.cargo().args(["fmt", "--all", "--check"]))?;
        let clippy = ["clippy", "--workspace", "--all-targets", "--locked", "--quiet"];
        host::run(self.cargo().args(clippy).args(["--", "-D", "warnings"]))?;
        let deny = tools::cargo_deny(&self.root)?;
        let checks = ["check", "--hide-inclusion-graph", "bans", "licenses", "sources"];
        host::run(Command::new(deny).arg("--offline").args(checks).current_dir(&self.root))?;
        let typos = tools::typos(&self.root)?;
        host::run(Command::new(typos).current_dir(&self.root))
    }

    fn web(&self) -> Result<()> {
        let node = web::build(&self.root)?;
        for script in ["typecheck", "lint", "test"] {
            host::run(node.command(&self.root, "npm").args(["run", "--silent", script]))?;
        }
        Ok(())
    }

    fn rust(&self) -> Result<()> {
        web::build(&self.root)?;
        packages::ensure("test", &["gcc", "g++", "binutils", "golang-go"], true)?;
        tools::duckdb(&self.root);
        let most =
            ["test", "--workspace", "--exclude", "stoker-tests", "--locked", "--no-fail-fast"];
        host::run(self.cargo().args(most))?;
        host::run(self.cargo().args(["test", "--package", "stoker-tests", "--test", "house"]))
    }

    fn e2e(&self, object: Option<&Path>) -> Result<()> {
        web::build(&self.root)?;
        let needed = ["gcc", "golang-go", "binutils", "util-linux", "systemd", "debuginfod"];
        packages::ensure("test", &needed, true)?;
        host::run(self.cargo().args(["build", "--workspace", "--bins", "--locked"]))?;
        let mut command = self.cargo();
        command.args(["test", "--package", "stoker-tests", "--locked", "--no-fail-fast", "--"]);
        // One at a time: each saturates CPUs and counts what it gets of them.
        command.arg("--test-threads=1");
        if let Some(object) = object {
            command.env("STOKER_BPF_OBJECT", object);
        }
        host::run(&mut command)
    }

    fn ebpf(&self) -> Result<()> {
        let object = ebpf::rebuilt(&self.root)?;
        self.e2e(Some(&object))
    }

    fn browser(&self) -> Result<()> {
        let node = web::build(&self.root)?;
        packages::ensure("test", &["chromium"], true)?;
        host::run(self.cargo().args(["build", "--package", "stoker-cli", "--locked"]))?;
        browser::run(&self.root, &node)
    }

    fn fuzz(&self) -> Result<()> {
        crate::fuzz::run(&self.root)
    }
}
