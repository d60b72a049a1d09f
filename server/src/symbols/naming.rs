//! Asks the worker for what frames mean, in turn with other queries, and remembers what it said.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;
use stoker_dag::{BuildId, Definition, Frame, FrameId};
use stoker_symbols::{ADDRESSES_MAX, Image, Meaning, Outcome, Question, Role, Runner};
use stoker_symbols::{Sources, Strings, WorkerConfig};

use super::SymbolCounts;
use super::files::Files;
use crate::store::TenantId;

/// Most time that one query spends on names; what is not named by then is named for the next.
pub const QUERY_NAMING_MAX: Duration = Duration::from_secs(10);
/// Most frames whose meaning is remembered, nameless ones included; at the bound all are forgotten.
const REMEMBERED_MAX: usize = 256 * 1024;

/// What a frame means in a version of its build's file.
type Remembered = FxHashMap<(FrameId, u64), Option<Definition>>;

/// The worker, and what it has said.
#[derive(Debug)]
pub(super) struct Naming {
    /// Away while somebody asks it.
    runner: Mutex<Option<Runner>>,
    returned: Condvar,
    known: Mutex<Known>,
    counts: Counts,
}

#[derive(Debug, Default)]
struct Known {
    meanings: Remembered,
    strings: Strings,
}

#[derive(Debug, Default)]
struct Counts {
    named: AtomicU64,
    nameless: AtomicU64,
    unanswered: AtomicU64,
    quarantined: AtomicU64,
    worker_failures: AtomicU64,
}

/// Frames of one build that are to be looked up: ids and virtual offsets.
#[derive(Default)]
struct Wanted {
    version: u64,
    ids: Vec<FrameId>,
    addresses: Vec<u64>,
}

/// What the worker knows a build by.
pub(super) fn image(build_id: &BuildId) -> Image {
    Image::File(build_id.to_string())
}

impl Naming {
    pub(super) fn new(worker: WorkerConfig) -> Self {
        Self {
            runner: Mutex::new(Some(Runner::new(worker))),
            returned: Condvar::new(),
            known: Mutex::default(),
            counts: Counts::default(),
        }
    }

    /// Another file stands for the image now, so what the worker has open of it is old.
    pub(super) fn forget(&self, image: &Image) {
        let deadline = Instant::now() + QUERY_NAMING_MAX;
        self.with_runner(deadline, |runner| {
            runner.forgive(image);
            runner.dismiss();
        });
    }

    /// See [`Symbols::definitions`](super::Symbols::definitions).
    pub(super) fn definitions<'a>(
        &self,
        files: &Files,
        tenant: &TenantId,
        frames: impl Iterator<Item = (FrameId, &'a Frame)>,
        deadline: Instant,
    ) -> Vec<(FrameId, Definition)> {
        let mut found = Vec::new();
        for (build_id, wanted) in self.split(files, tenant, frames, &mut found) {
            self.look_up(files, (tenant, build_id), &wanted, deadline, &mut found);
        }
        found
    }

    /// Takes what is remembered into `found`, and gives what has to be looked up.
    fn split<'a>(
        &self,
        files: &Files,
        tenant: &TenantId,
        frames: impl Iterator<Item = (FrameId, &'a Frame)>,
        found: &mut Vec<(FrameId, Definition)>,
    ) -> BTreeMap<&'a BuildId, Wanted> {
        let mut versions: FxHashMap<&BuildId, Option<u64>> = FxHashMap::default();
        let mut wanted: BTreeMap<&BuildId, Wanted> = BTreeMap::new();
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        for (id, frame) in frames {
            let Frame::Native { build_id, offset } = frame else { continue };
            let version =
                versions.entry(build_id).or_insert_with(|| files.version(tenant, build_id));
            let Some(version) = *version else { continue };
            match known.meanings.get(&(id, version)) {
                Some(Some(definition)) => found.push((id, definition.clone())),
                Some(None) => {}
                None => {
                    let wanted = wanted.entry(build_id).or_default();
                    wanted.version = version;
                    wanted.ids.push(id);
                    wanted.addresses.push(*offset);
                }
            }
        }
        wanted
    }

    fn look_up(
        &self,
        files: &Files,
        (tenant, build_id): (&TenantId, &BuildId),
        wanted: &Wanted,
        deadline: Instant,
        found: &mut Vec<(FrameId, Definition)>,
    ) {
        let Some(file) = files.file(tenant, build_id) else { return };
        let (image, files) = (image(build_id), [(Role::Image, Arc::new(file))]);
        let ids = wanted.ids.chunks(ADDRESSES_MAX);
        for (ids, addresses) in ids.zip(wanted.addresses.chunks(ADDRESSES_MAX)) {
            let question = Question { image: &image, path: "", files: &files, addresses };
            match self.ask(question, deadline) {
                Outcome::Named(meanings) => self.learn(wanted.version, ids, &meanings, found),
                Outcome::Refused => self.learn(wanted.version, ids, &vec![None; ids.len()], found),
                Outcome::Quarantined => add(&self.counts.quarantined, ids.len()),
                Outcome::Again => add(&self.counts.unanswered, ids.len()),
            }
        }
    }

    /// Asks until there is an answer, or time is over.
    fn ask(&self, question: Question<'_>, deadline: Instant) -> Outcome {
        let is_over = || Instant::now() >= deadline;
        let asked = self.with_runner(deadline, |runner| {
            while !is_over() && !runner.has_given_up(question.image) {
                let answer = match runner.ensure_worker() {
                    true => runner.attempt(&question, || false),
                    false => Outcome::Again,
                };
                if answer != Outcome::Again {
                    return answer;
                }
                let left = deadline.saturating_duration_since(Instant::now());
                std::thread::sleep(runner.next_pause().min(left));
            }
            if is_over() { Outcome::Again } else { Outcome::Quarantined }
        });
        asked.unwrap_or(Outcome::Again)
    }

    /// Calls `work` with the worker when its turn comes; `None` when it does not come in time.
    fn with_runner<T>(&self, deadline: Instant, work: impl FnOnce(&mut Runner) -> T) -> Option<T> {
        let mut held = self.runner.lock().unwrap_or_else(PoisonError::into_inner);
        let mut runner = loop {
            if let Some(runner) = held.take() {
                break runner;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            let waited = self.returned.wait_timeout(held, left);
            held = waited.unwrap_or_else(PoisonError::into_inner).0;
        };
        drop(held);
        let done = work(&mut runner);
        let counted = std::mem::take(&mut runner.counted);
        let failures = counted.worker_deaths + counted.worker_timeouts;
        self.counts.worker_failures.fetch_add(failures, Ordering::Relaxed);
        *self.runner.lock().unwrap_or_else(PoisonError::into_inner) = Some(runner);
        self.returned.notify_one();
        Some(done)
    }

    fn learn(
        &self,
        version: u64,
        ids: &[FrameId],
        meanings: &[Option<Meaning>],
        found: &mut Vec<(FrameId, Definition)>,
    ) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let Known { meanings: remembered, strings } = &mut *known;
        if remembered.len() + ids.len() > REMEMBERED_MAX {
            remembered.clear();
        }
        for (id, meaning) in ids.iter().zip(meanings) {
            let definition = meaning.as_ref().map(|m| strings.definition(m, Sources::SERVER));
            let counter =
                if definition.is_some() { &self.counts.named } else { &self.counts.nameless };
            add(counter, 1);
            found.extend(definition.clone().map(|definition| (*id, definition)));
            remembered.insert((*id, version), definition);
        }
    }

    pub(super) fn counts(&self) -> SymbolCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        SymbolCounts {
            named: read(&self.counts.named),
            nameless: read(&self.counts.nameless),
            unanswered: read(&self.counts.unanswered),
            quarantined: read(&self.counts.quarantined),
            worker_failures: read(&self.counts.worker_failures),
            ..SymbolCounts::default()
        }
    }
}

fn add(counter: &AtomicU64, by: usize) {
    counter.fetch_add(by as u64, Ordering::Relaxed);
}
