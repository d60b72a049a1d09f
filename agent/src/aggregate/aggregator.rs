//! The dictionary of all that was seen, the cache of whole stacks, and the counts.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use stoker_dag::{
    BuildId, Definition, Frame, FrameId, FrameIx, LabelIx, LabelSet, Module, NodeIx, StackInterner,
    UnixNanos,
};
use stoker_wire::{BatchBody, Dictionary};

use super::details::Place;
use super::window::{Counts, FlushFacts, Interval, QualityCounts, touched};

/// Bounds of the aggregator.
#[derive(Debug, Clone, Copy)]
pub struct AggregatorConfig {
    /// What one sample is worth, in nanoseconds.
    pub period_ns: u64,
    /// Whether samples are told one by one, too: when, in which thread, on which CPU.
    pub detailed: bool,
    /// Whole stacks that are remembered by their addresses; past it all are forgotten, which costs
    /// time and no sample.
    pub max_cached_stacks: usize,
    /// Nodes in the dictionary; past it a new one is begun after a flush.
    pub max_nodes: usize,
}

impl AggregatorConfig {
    /// The usual bounds at a frequency.
    #[must_use]
    pub fn at_frequency(frequency_hz: u32) -> Self {
        Self {
            period_ns: period_ns(frequency_hz),
            detailed: false,
            max_cached_stacks: 32 << 10,
            max_nodes: 512 << 10,
        }
    }
}

/// What one sample is worth at a frequency, in nanoseconds.
fn period_ns(frequency_hz: u32) -> u64 {
    1_000_000_000 / u64::from(frequency_hz.max(1))
}

/// How far a stack could be followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StackQuality {
    /// To its thread's start, as far as the walk can tell.
    Complete,
    /// To the limit of depth.
    Truncated,
    /// Not at all, or into what is not known.
    Failed,
}

/// What makes two samples one stack: the process, the state of its mappings, and all addresses.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StackKey(Box<[u64]>);

impl StackKey {
    /// The key of these addresses. `generation` changes when the same address can mean something
    /// else; `flags` are whatever else the resolved stack depends on.
    #[must_use]
    pub fn new(pid: u32, generation: u64, flags: u32, user: &[u64], kernel: &[u64]) -> Self {
        let head = [u64::from(pid) << 32 | u64::from(flags), generation, user.len() as u64];
        Self([&head, user, kernel].concat().into())
    }
}

/// A stack after its addresses were resolved.
#[derive(Debug, Clone)]
pub struct ResolvedStack {
    /// Outermost first.
    pub frames: Vec<Frame>,
    /// How far it could be followed.
    pub quality: StackQuality,
}

/// Interns, counts and cuts into batches.
#[derive(Debug)]
pub struct Aggregator {
    config: AggregatorConfig,
    dictionary: Dictionary,
    interner: StackInterner,
    stacks: FxHashMap<StackKey, (NodeIx, StackQuality)>,
    counts: BTreeMap<UnixNanos, Counts>,
    definitions: Vec<(FrameIx, Definition)>,
    /// Frames that nobody has asked names for yet.
    unnamed: Vec<FrameIx>,
    flushed: UnixNanos,
    epoch: u64,
    quality: QualityCounts,
}

impl Aggregator {
    /// Begins to count at `now`.
    #[must_use]
    pub fn new(config: AggregatorConfig, now: UnixNanos) -> Self {
        Self {
            config,
            dictionary: Dictionary::default(),
            interner: StackInterner::default(),
            stacks: FxHashMap::default(),
            counts: BTreeMap::new(),
            definitions: Vec::new(),
            unnamed: Vec::new(),
            flushed: now,
            epoch: 0,
            quality: QualityCounts::default(),
        }
    }

    /// The index of a label set.
    pub fn labels(&mut self, set: &LabelSet) -> LabelIx {
        self.dictionary.labels.intern(set)
    }

    /// Counts one sample; `resolve` is called when its stack is new.
    pub fn add(
        &mut self,
        (at, place): (UnixNanos, Place),
        key: StackKey,
        labels: (LabelIx, LabelIx),
        resolve: impl FnOnce() -> ResolvedStack,
    ) {
        let (node, quality) = match self.stacks.get(&key) {
            Some(&known) => known,
            None => self.intern(key, &resolve()),
        };
        let counts = self.counts.entry(at.window_start()).or_default();
        let key = (labels.0, labels.1, node);
        counts.add(self.config.period_ns, key, quality);
        if self.config.detailed {
            counts.add_moment(self.config.period_ns, key, at, place);
        }
        self.quality.add(quality);
    }

    /// Samples that are added from now on were taken at this frequency.
    pub fn set_frequency(&mut self, frequency_hz: u32) {
        self.config.period_ns = period_ns(frequency_hz);
    }

    /// How far all stacks could be followed, since the start.
    #[must_use]
    pub fn quality(&self) -> QualityCounts {
        self.quality
    }

    /// Forgets which addresses made which stack: they may mean something else now.
    pub fn forget_stacks(&mut self) {
        self.stacks = FxHashMap::default();
    }

    fn intern(&mut self, key: StackKey, stack: &ResolvedStack) -> (NodeIx, StackQuality) {
        let first_new = self.dictionary.frames.len();
        let frames = &mut self.dictionary.frames;
        let path: Vec<FrameIx> = stack.frames.iter().map(|frame| frames.intern(frame)).collect();
        self.unnamed.extend(path.iter().copied().filter(|frame| frame.at() >= first_new));
        let node = self.interner.intern(&mut self.dictionary.nodes, &path);
        if self.stacks.len() >= self.config.max_cached_stacks {
            self.stacks.clear();
        }
        self.stacks.insert(key, (node, stack.quality));
        (node, stack.quality)
    }

    /// Learns which file is behind a build id.
    pub fn learn_module(&mut self, build_id: &BuildId, module: Module) {
        self.dictionary.modules.learn(build_id, module);
    }

    /// Learns what a frame means; it travels with the next batch.
    pub fn learn(&mut self, frame: &FrameId, definition: Definition) {
        if let Some(ix) = self.dictionary.frames.find(frame) {
            self.definitions.push((ix, definition));
        }
    }

    /// Frames that were seen for the first time since the last call.
    pub fn take_unnamed(&mut self) -> Vec<Frame> {
        let news = std::mem::take(&mut self.unnamed);
        news.into_iter().map(|ix| self.dictionary.frames.frame(ix).clone()).collect()
    }

    /// Gives what was counted since the last flush to `out`, a batch per window, and at least one:
    /// an idle host is a fact too.
    pub fn flush(
        &mut self,
        now: UnixNanos,
        facts: &FlushFacts,
        mut out: impl FnMut(&Dictionary, &BatchBody),
    ) {
        let interval = Interval { from: self.flushed, until: now.max(self.flushed) };
        self.flushed = interval.until;
        let windows = touched(&mut self.counts, interval);
        let newest = windows.len().saturating_sub(1);
        for (at, (window, (counts, observed))) in windows.into_iter().enumerate() {
            let mut body = self.body(window, &counts, observed, facts);
            if at == newest {
                self.add_flush_facts(&mut body, facts);
            }
            out(&self.dictionary, &body);
        }
        self.bound_dictionary();
    }

    fn body(
        &self,
        window: UnixNanos,
        counts: &Counts,
        observed: Option<Interval>,
        facts: &FlushFacts,
    ) -> BatchBody {
        let rows = counts.row_groups(self.config.period_ns);
        BatchBody {
            start: observed.map_or(window, |interval| interval.from),
            duration_ns: observed.map_or(0, Interval::ns),
            details: counts.details(&rows),
            rows,
            facts: counts.facts(observed, facts),
            ..BatchBody::default()
        }
    }

    fn add_flush_facts(&mut self, body: &mut BatchBody, flush: &FlushFacts) {
        body.definitions = std::mem::take(&mut self.definitions);
        let lost: u64 = flush.lost.iter().map(|lost| lost.samples).sum();
        body.facts.samples_taken += lost;
        body.facts.lost.clone_from(&flush.lost);
        body.facts.cgroup_usage.clone_from(&flush.cgroup_usage);
        body.facts.busy_ns = flush.busy_ns;
        body.facts.broken.clone_from(&flush.broken);
        body.facts.frames_named = flush.names.named;
        body.facts.frames_nameless = flush.names.nameless;
        body.facts.nameless.clone_from(&flush.names.files);
    }

    fn bound_dictionary(&mut self) {
        if self.dictionary.nodes.len() > self.config.max_nodes {
            self.begin_dictionary();
        }
    }

    /// Begins a new dictionary and gives back the memory of the old one; nothing happens while
    /// there are samples that refer to it, so call it after a flush.
    pub fn begin_dictionary(&mut self) {
        if self.counts.is_empty() && self.definitions.is_empty() {
            let modules = std::mem::take(&mut self.dictionary.modules);
            self.dictionary = Dictionary { modules, ..Dictionary::default() };
            self.interner = StackInterner::default();
            self.forget_stacks();
            self.unnamed = Vec::new();
            self.epoch += 1;
        }
    }

    /// Counts up when a new dictionary is begun: label indexes from before are void then.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }
}

#[cfg(test)]
mod tests {
    use stoker_wire::{CpuId, ThreadId};

    use super::*;

    fn add(aggregator: &mut Aggregator) {
        let labels = aggregator.labels(&LabelSet::new([("host", "a")]));
        let stack = || ResolvedStack { frames: Vec::new(), quality: StackQuality::Complete };
        let key = StackKey::new(1, 1, 0, &[1], &[]);
        aggregator.add((UnixNanos(1), Place::default()), key, (labels, labels), stack);
    }

    #[test]
    fn a_sample_is_worth_the_period_that_it_was_taken_at() {
        let mut aggregator = Aggregator::new(AggregatorConfig::at_frequency(100), UnixNanos(0));
        add(&mut aggregator);
        add(&mut aggregator);
        aggregator.set_frequency(10);
        add(&mut aggregator);
        let mut found = Vec::new();
        aggregator.flush(UnixNanos(2), &FlushFacts::default(), |_, body| {
            for group in &body.rows {
                found.extend(group.rows.iter().map(|row| (group.period, row.count, row.value)));
            }
        });
        assert_eq!(found, [(10_000_000, 2, 20_000_000), (100_000_000, 1, 100_000_000)]);
    }

    #[test]
    fn detailed_samples_are_those_that_rows_count() {
        let config = AggregatorConfig { detailed: true, ..AggregatorConfig::at_frequency(100) };
        let mut aggregator = Aggregator::new(config, UnixNanos(0));
        let labels = aggregator.labels(&LabelSet::new([("host", "a")]));
        let ms = |at: u64| UnixNanos(at * 1_000_000);
        for (at, cpu, depth) in [(21_500, 1, 1), (3_250, 0, 1), (3_500, 0, 2), (3_000, 1, 1)] {
            let special = Frame::Special(stoker_dag::SpecialFrame::Truncated);
            let frames = vec![special; depth];
            let stack = || ResolvedStack { frames, quality: StackQuality::Complete };
            let place = Place { thread: ThreadId(70 + cpu), cpu: CpuId(cpu) };
            let key = StackKey::new(1, 1, 0, &[depth as u64], &[]);
            aggregator.add((ms(at), place), key, (labels, labels), stack);
        }
        let mut found = Vec::new();
        aggregator.flush(ms(29_000), &FlushFacts::default(), |_, body| {
            assert_eq!(body.detailed_samples() as u64, body.samples());
            for sample in body.details.iter().flat_map(|details| &details.samples) {
                let row = body.rows[0].rows[sample.row as usize];
                let window = body.start.0 / 10_000_000_000;
                found.push((window, sample.cpu.0, sample.offset_us, row.node.0, row.count));
            }
        });
        let wanted = [
            (0, 0, 3_250_000, 1, 2),
            (0, 0, 3_500_000, 2, 1),
            (0, 1, 3_000_000, 1, 2),
            (2, 1, 1_500_000, 1, 1),
        ];
        assert_eq!(found, wanted);
    }

    #[test]
    fn memory_is_given_back_only_when_nothing_refers_to_it() {
        let mut aggregator = Aggregator::new(AggregatorConfig::at_frequency(19), UnixNanos(0));
        add(&mut aggregator);
        aggregator.begin_dictionary();
        assert_eq!(aggregator.epoch(), 0);
        aggregator.flush(UnixNanos(2), &FlushFacts::default(), |_, _| {});
        aggregator.begin_dictionary();
        assert_eq!(aggregator.epoch(), 1);
    }
}
