//! A small, seeded fleet: stacks with shared prefixes whose weights fall off like 1/rank, as real
//! profiles' do.

use stoker_dag::{
    BuildId, BuildIdKind, Frame, FrameIx, LabelIx, LabelSet, NodeIx, ProfileType, SampleRow,
    StackInterner, UnixNanos, WINDOW_NS,
};
use stoker_wire::{BatchBody, Dictionary, HostFacts, RowGroup};

/// What a sample is worth at 99 Hz.
const PERIOD_NS: u64 = 10_101_010;
/// Functions of all binaries together.
const FUNCTIONS: u64 = 20_000;
const BUILDS: u64 = 50;

/// Makes batches.
pub(crate) struct Fleet {
    random: fastrand::Rng,
    builds: Vec<BuildId>,
    interner: StackInterner,
    /// What the batches refer to.
    pub(crate) dictionary: Dictionary,
    stacks: Vec<NodeIx>,
    series: Vec<LabelIx>,
}

impl Fleet {
    /// A fleet of 100 series.
    pub(crate) fn new() -> Self {
        let build = |n: u64| BuildId::new(BuildIdKind::Gnu, &[u8::try_from(n).unwrap_or(0); 20]);
        let mut dictionary = Dictionary::default();
        let set = |n: u32| {
            let (host, service) = (format!("host-{}", n / 5), format!("service-{}", n % 5));
            LabelSet::new([("host", host), ("service_name", service)])
        };
        let series = (0..100).map(|n| dictionary.labels.intern(&set(n))).collect();
        Self {
            random: fastrand::Rng::with_seed(7),
            builds: (1..=BUILDS).filter_map(|n| build(n).ok()).collect(),
            interner: StackInterner::default(),
            dictionary,
            stacks: Vec::new(),
            series,
        }
    }

    /// Adds stacks of 10 to 50 frames that nobody has seen; each shares most of its callers with
    /// one that is there.
    pub(crate) fn grow(&mut self, stacks: usize) {
        for _ in 0..stacks {
            let mut path = match self.stacks.len() {
                0 => Vec::new(),
                known => self.dictionary.nodes.stack(self.stacks[self.random.usize(..known)]),
            };
            path.truncate(self.random.usize(0..40));
            for _ in 0..self.random.usize(5..15) {
                path.push(self.frame());
            }
            self.stacks.push(self.interner.intern(&mut self.dictionary.nodes, &path));
        }
    }

    fn frame(&mut self) -> FrameIx {
        // Each halving of the bound is as likely: weights fall off like 1/rank.
        let bound = FUNCTIONS >> self.random.u32(0..14);
        let offset = self.random.u64(0..=bound) * 64;
        let build = &self.builds[usize::try_from(offset % BUILDS).unwrap_or(0)];
        let build_id = BuildId::clone(build);
        self.dictionary.frames.intern(&Frame::Native { build_id, offset })
    }

    /// A batch of `rows` rows on the stacks from `first` on.
    pub(crate) fn batch(
        &mut self,
        sequence: u64,
        start: UnixNanos,
        rows: usize,
        first: usize,
    ) -> BatchBody {
        let mut group =
            RowGroup { profile_type: ProfileType::cpu(), period: PERIOD_NS, rows: Vec::new() };
        let series = self.series[usize::try_from(sequence).unwrap_or(0) % self.series.len()];
        for at in 0..rows {
            let node = self.stacks[first + at % (self.stacks.len() - first)];
            let count = self.random.u64(1..4);
            let attributes = LabelIx::default();
            group.rows.push(SampleRow {
                series,
                attributes,
                node,
                value: count * PERIOD_NS,
                count,
            });
        }
        let samples = group.rows.iter().map(|row| row.count).sum();
        let facts = HostFacts { samples_taken: samples, ..HostFacts::default() };
        let duration_ns = WINDOW_NS;
        BatchBody { sequence, start, duration_ns, rows: vec![group], facts, ..BatchBody::default() }
    }
}
