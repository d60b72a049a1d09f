//! What unwinding counts, so that nothing is given up in silence.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use stoker_unwind::Outcome;
use stoker_wire::BrokenStacks;

/// What was loaded, and what could not be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LoadCounters {
    /// Processes that are unwound by tables now.
    pub processes: u64,
    /// Tables that are loaded now.
    pub tables: u64,
    /// Memory of the pages in use, of tables and of mappings, in bytes.
    pub used_bytes: u64,
    /// Memory of all pages, in bytes.
    pub room_bytes: u64,
    /// Tables that were compiled.
    pub compiled: u64,
    /// Time that compiling took, in nanoseconds.
    pub compile_ns: u64,
    /// Files of which no table could be made.
    pub refused: u64,
    /// Times that a file waited because the compiler's queue was full.
    pub queue_full: u64,
    /// Tables that gave way to others.
    pub tables_evicted: u64,
    /// Processes that gave way to others.
    pub processes_evicted: u64,
    /// Times that a table found no room although all that is idle had given way.
    pub no_room: u64,
    /// Mappings beyond what is searched of one process.
    pub mappings_dropped: u64,
    /// Times that the kernel did not take something.
    pub store_failed: u64,
}

/// Files whose failures are counted one by one; those of further files are counted together.
pub const FILES_MAX: usize = 256;
/// What those are counted under.
const OTHER_FILES: &str = "(other)";

/// How stacks ended, in all and, where they broke, by file.
#[derive(Debug, Clone, Default)]
pub struct OutcomeCounts {
    by_outcome: [u64; Outcome::ALL.len()],
    guessed: u64,
    by_file: FxHashMap<(Arc<str>, Outcome), u64>,
    news: FxHashMap<(Arc<str>, Outcome), u64>,
}

impl OutcomeCounts {
    /// Counts one user stack.
    pub fn add(&mut self, outcome: Outcome, guessed: bool) {
        self.by_outcome[usize::from(outcome.code())] += 1;
        self.guessed += u64::from(guessed);
    }

    /// Counts one that broke in `file`; empty for code without a file.
    pub fn broke(&mut self, file: Arc<str>, outcome: Outcome) {
        let mut key = (file, outcome);
        if self.by_file.len() >= FILES_MAX && !self.by_file.contains_key(&key) {
            key.0 = OTHER_FILES.into();
        }
        *self.news.entry(key.clone()).or_default() += 1;
        *self.by_file.entry(key).or_default() += 1;
    }

    /// Those that broke since the last call.
    pub fn take_news(&mut self) -> Vec<BrokenStacks> {
        let news = self.news.drain().map(|((file, outcome), stacks)| BrokenStacks {
            file,
            reason: outcome.name().into(),
            stacks,
        });
        news.collect()
    }

    /// Every outcome with the number of stacks.
    pub fn totals(&self) -> impl Iterator<Item = (Outcome, u64)> {
        Outcome::ALL.into_iter().zip(self.by_outcome)
    }

    /// How many stacks have a frame that no table vouches for.
    #[must_use]
    pub fn guessed(&self) -> u64 {
        self.guessed
    }

    /// The files and reasons that break most stacks, at most `most`, the worst first.
    #[must_use]
    pub fn worst(&self, most: usize) -> Vec<(Arc<str>, Outcome, u64)> {
        let all = self.by_file.iter();
        let mut all: Vec<_> = all.map(|((f, o), n)| (Arc::clone(f), *o, *n)).collect();
        all.sort_unstable_by(|a, b| b.2.cmp(&a.2).then_with(|| (&a.0, a.1).cmp(&(&b.0, b.1))));
        all.truncate(most);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_bounded_and_the_worst_come_first() {
        let mut counts = OutcomeCounts::default();
        for file in 0..FILES_MAX + 10 {
            counts.broke(file.to_string().into(), Outcome::Gap);
        }
        counts.broke("7".into(), Outcome::Gap);
        let worst = counts.worst(2);
        assert_eq!((&*worst[0].0, worst[0].2), ("(other)", 10));
        assert_eq!((&*worst[1].0, worst[1].2), ("7", 2));
    }

    #[test]
    fn news_are_told_once() {
        let mut counts = OutcomeCounts::default();
        counts.broke("libx.so".into(), Outcome::Gap);
        counts.broke("libx.so".into(), Outcome::Gap);
        let told = BrokenStacks { file: "libx.so".into(), reason: "gap".into(), stacks: 2 };
        assert_eq!(counts.take_news(), std::slice::from_ref(&told));
        assert_eq!(counts.take_news(), []);
        counts.broke("libx.so".into(), Outcome::Gap);
        assert_eq!(counts.take_news(), [BrokenStacks { stacks: 1, ..told }]);
        assert_eq!(counts.worst(1)[0].2, 3);
    }
}
