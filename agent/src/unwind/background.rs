//! Compiles tables on a thread of its own, so that a large file never holds up the kernel's rings.
//!
//! One thread at low priority, one file after the other, a bounded queue in and a short one out: so
//! neither CPU nor memory can be taken by whoever maps many large files. The smallest file goes
//! first, because most are small, and one large one should not keep a hundred processes waiting.

use std::fs::File;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::time::{Duration, Instant};

use stoker_dag::BuildId;
use stoker_unwind::{Rule, RuleId};

use super::compile::{CompileError, Rules, Table, compile};
use crate::process::{ElfInfo, vdso_image};

/// Files that wait to be compiled; what finds the queue full is asked for again.
pub const QUEUE_MAX: usize = 64;
/// Tables that wait to be loaded.
const READY_MAX: usize = 2;
/// How much lower than the agent's own priority (setpriority(2)).
const NICE: i32 = 5;

/// What to compile.
pub(super) enum Source {
    File(Arc<File>),
    /// The kernel's virtual shared object, as this process has it.
    Vdso,
}

/// A table with the rules that are new since the last one.
pub(super) struct Compiled {
    pub build: BuildId,
    pub outcome: Result<Table, Refused>,
    pub new_rules: Vec<(RuleId, Rule)>,
    /// How long it took, in time that passed.
    pub took: Duration,
}

/// Why there is no table.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error(transparent)]
    Compile(#[from] CompileError),
    #[error("the file is another build now")]
    Replaced,
    #[error("cannot be read: {0}")]
    Unreadable(std::io::Error),
}

/// The thread's two ends. It ends when this is dropped.
pub(super) struct Background {
    jobs: Sender<Job>,
    ready: Receiver<Compiled>,
    in_flight: usize,
}

struct Job {
    build: BuildId,
    source: Source,
    bytes: u64,
}

impl Background {
    pub(super) fn start() -> std::io::Result<Self> {
        let (jobs, todo) = channel();
        let (done, ready) = sync_channel(READY_MAX);
        let thread = std::thread::Builder::new().name("stoker-unwind".into());
        thread.spawn(move || work(&todo, &done))?;
        Ok(Self { jobs, ready, in_flight: 0 })
    }

    /// Whether there was room in the queue.
    pub(super) fn ask(&mut self, build: BuildId, source: Source) -> bool {
        if self.in_flight >= QUEUE_MAX {
            return false;
        }
        let bytes = match &source {
            Source::File(file) => file.metadata().map_or(u64::MAX, |metadata| metadata.len()),
            Source::Vdso => 0,
        };
        let is_sent = self.jobs.send(Job { build, source, bytes }).is_ok();
        self.in_flight += usize::from(is_sent);
        is_sent
    }

    /// The next table that is ready.
    pub(super) fn answer(&mut self) -> Option<Compiled> {
        let compiled = self.ready.try_recv().ok()?;
        self.in_flight = self.in_flight.saturating_sub(1);
        Some(compiled)
    }
}

/// The smallest of all jobs that wait; waits for one where there is none.
fn next(todo: &Receiver<Job>, waiting: &mut Vec<Job>) -> Option<Job> {
    if waiting.is_empty() {
        waiting.push(todo.recv().ok()?);
    }
    waiting.extend(todo.try_iter());
    let smallest = waiting.iter().enumerate().min_by_key(|(_, job)| job.bytes)?.0;
    Some(waiting.swap_remove(smallest))
}

fn work(todo: &Receiver<Job>, done: &SyncSender<Compiled>) {
    // On Linux a thread has a priority of its own. Without it all is as true, only less polite.
    let _ = rustix::process::nice(NICE);
    let mut rules = Rules::default();
    let mut known = 0;
    let mut waiting = Vec::new();
    while let Some(Job { build, source, .. }) = next(todo, &mut waiting) {
        let start = Instant::now();
        let outcome = table(&build, &source, &mut rules);
        let new = rules.as_slice().iter().enumerate().skip(known);
        let new_rules: Vec<_> =
            new.filter_map(|(at, rule)| Some((RuleId(u16::try_from(at).ok()?), *rule))).collect();
        known = rules.as_slice().len();
        let compiled = Compiled { build, outcome, new_rules, took: start.elapsed() };
        if done.send(compiled).is_err() {
            return;
        }
    }
}

fn table(build: &BuildId, source: &Source, rules: &mut Rules) -> Result<Table, Refused> {
    match source {
        Source::Vdso => {
            let image = vdso_image().map_err(Refused::Unreadable)?;
            Ok(compile(image.as_slice(), rules)?)
        }
        Source::File(file) => {
            // It may have been written to since it was opened.
            let is_same = ElfInfo::read(&**file).is_ok_and(|info| info.build_id == *build);
            if !is_same {
                return Err(Refused::Replaced);
            }
            Ok(compile(&**file, rules)?)
        }
    }
}
