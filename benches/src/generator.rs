//! A made-up fleet, from a fixed seed: the same shape gives the same samples on every machine.
//!
//! What it has of real ones:
//!
//! - **Programs.** [`FUNCTIONS`] functions in [`BUILDS`] files, shared by hundreds of services. A function
//!   calls up to six others, the usual one fifteen times in sixteen, so stacks share their callers and
//!   functions are as unequal as real ones (Zipf). Stacks have 5 to 120 frames, 30 on average.
//! - **Services** each have their own entry and their hot stacks, which are taken by 1/rank; one sample in
//!   fifty is a fresh walk through the same calls, so new stacks never cease to come.
//! - **Hosts** run a few services each and differ: in how busy they are (0.4 to 1.6 of the mean) and in
//!   which of a service's stacks are hot.
//! - **Versions** follow one another in the course of an hour, at another time for each service.
//! - **Names** as compilers make them, with files and lines, told once per frame.

use std::collections::BTreeMap;

use stoker_dag::{
    BuildId, BuildIdKind, Definition, DefinitionSource, Frame, FrameIx, LabelSet, Location, Module,
    NodeIx, ProfileType, SampleRow, UnixNanos, WINDOW_NS,
};
use stoker_wire::{BatchBody, Dictionary, HostFacts, RowGroup};

/// Functions of all programs and libraries.
pub const FUNCTIONS: u64 = 20_000;
/// Files that they are in.
pub const BUILDS: u64 = 40;
/// What a sample is worth at 19 Hz, in nanoseconds.
pub const PERIOD_NS: u64 = 52_631_578;
/// Versions that a service has had.
const VERSIONS: u64 = 30;
/// Windows of an hour.
const HOUR_WINDOWS: u64 = 360;

/// How large a fleet is.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Services of the whole fleet.
    pub services: u64,
    /// Services that each host runs.
    pub on_each: u64,
    /// Samples of one service on one host in one window, on average: 190 is 19 Hz of one busy CPU.
    pub samples: u64,
    /// Hot stacks of a service.
    pub hot_stacks: usize,
}

impl Shape {
    /// Hundreds of services, four on each host, 19 Hz of one busy CPU for each.
    pub const FLEET: Self = Self { services: 200, on_each: 4, samples: 190, hot_stacks: 100 };
}

/// Makes batches.
#[derive(Debug)]
pub struct Fleet {
    shape: Shape,
    random: fastrand::Rng,
    /// What batches refer to.
    pub dictionary: Dictionary,
    frames: Vec<FrameIx>,
    hot: Vec<Vec<NodeIx>>,
    /// How many frames of `frames` were told of.
    told: Vec<bool>,
}

fn small(n: u64) -> u8 {
    u8::try_from(n % 251).unwrap_or(0)
}

fn index(n: u64) -> usize {
    usize::try_from(n).unwrap_or(0)
}

impl Fleet {
    /// A fleet; `salt` is what makes the samples of two of one shape differ, their programs do not.
    #[must_use]
    pub fn new(shape: Shape, salt: u64) -> Self {
        let mut dictionary = Dictionary::default();
        let mut random = fastrand::Rng::with_seed(11);
        let mut frames = Vec::new();
        for n in 0..FUNCTIONS {
            let build_id = build(n);
            let offset = (n / BUILDS) * 200 + random.u64(..100);
            frames.push(dictionary.frames.intern(&Frame::Native { build_id, offset }));
        }
        for n in 0..BUILDS {
            let name = if n < 8 { format!("lib{n}.so") } else { format!("service-{n}") };
            dictionary
                .modules
                .learn(&build(n), Module { main_executable: n >= 8, name: name.into() });
        }
        let told = vec![false; frames.len()];
        let mut fleet = Self { shape, random, dictionary, frames, hot: Vec::new(), told };
        for service in 0..shape.services {
            let stacks = (0..shape.hot_stacks).map(|_| fleet.walk(service)).collect();
            fleet.hot.push(stacks);
        }
        fleet.random = fastrand::Rng::with_seed(13 + salt);
        fleet
    }

    /// A stack: from the service's entry, each time to one of the few that are called there.
    fn walk(&mut self, service: u64) -> NodeIx {
        let (mut node, mut at) = (NodeIx::ROOT, service);
        let depth = 5 + (0..5).map(|_| self.random.u64(..11)).sum::<u64>();
        let depth = if self.random.u8(..50) == 0 { depth * 3 } else { depth };
        for _ in 0..depth.min(120) {
            node = self.dictionary.nodes.child(node, self.frames[index(at % FUNCTIONS)]);
            let callees = 1 + at % 6;
            let is_usual = self.random.u8(..16) != 0;
            let choice = if is_usual { 0 } else { self.random.u64(..=callees) };
            at = at.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(choice * 7919) >> 7;
        }
        node
    }

    /// Counts by stack of one service's samples on one host in one window.
    fn counts(&mut self, host: u64, service: u64) -> BTreeMap<NodeIx, u64> {
        let busy = 40 + host.wrapping_mul(2_654_435_761) % 121;
        let mut counts = BTreeMap::new();
        for _ in 0..(self.shape.samples * busy / 100).max(1) {
            let node = if self.random.u8(..50) == 0 {
                self.walk(service)
            } else {
                // Each halving of the bound is as likely: weights fall off like 1/rank.
                let bound = (self.shape.hot_stacks >> self.random.u32(..7)).max(1);
                let rank = self.random.usize(..bound) + index(host % 3);
                self.hot[index(service)][rank % self.shape.hot_stacks]
            };
            *counts.entry(node).or_insert(0) += 1;
        }
        counts
    }

    /// What a host sends for one window, `number` windows after `epoch` (Unix nanoseconds).
    pub fn batch(&mut self, host: u64, number: u64, epoch: u64) -> BatchBody {
        let mut rows = Vec::new();
        for n in 0..self.shape.on_each {
            let service = (host + n * 37) % self.shape.services;
            let version = (number + service * 7) / HOUR_WINDOWS % VERSIONS;
            let series = self.dictionary.labels.intern(&LabelSet::new([
                ("host", format!("host-{host}")),
                ("service_name", format!("service-{service}")),
                ("version", format!("1.{version}")),
                ("zone", format!("zone-{}", host % 3)),
            ]));
            let comm = LabelSet::new([("comm", format!("worker-{}", service % 5))]);
            let attributes = self.dictionary.labels.intern(&comm);
            for (node, count) in self.counts(host, service) {
                rows.push(SampleRow { series, attributes, node, value: count * PERIOD_NS, count });
            }
        }
        rows.sort_by_key(|row| (row.series, row.attributes, row.node));
        let samples_taken = rows.iter().map(|row| row.count).sum();
        BatchBody {
            sequence: number + 1,
            start: UnixNanos(epoch + number * WINDOW_NS),
            duration_ns: WINDOW_NS,
            definitions: self.news(&rows),
            rows: vec![RowGroup { profile_type: ProfileType::cpu(), period: PERIOD_NS, rows }],
            facts: HostFacts { samples_taken, cpus: 4, ..HostFacts::default() },
        }
    }

    /// Names of frames that come for the first time.
    fn news(&mut self, rows: &[SampleRow]) -> Vec<(FrameIx, Definition)> {
        let mut news = Vec::new();
        for row in rows {
            let mut node = row.node;
            while let Some(frame) = self.dictionary.nodes.frame(node) {
                if !std::mem::replace(&mut self.told[frame.at()], true) {
                    news.push((frame, definition(frame)));
                }
                node = self.dictionary.nodes.parent(node);
            }
        }
        news
    }
}

fn build(n: u64) -> BuildId {
    let build = BuildId::new(BuildIdKind::Gnu, &[small(n % BUILDS); 20]);
    build.unwrap_or_else(|_| unreachable!("20 bytes are a build id"))
}

fn definition(frame: FrameIx) -> Definition {
    let n = frame.at();
    let words = ["codec", "store", "router", "session", "index", "queue", "cache", "parser"];
    let (module, kind) = (words[n % 8], words[n / 8 % 8]);
    let function = format!("{module}::{kind}::Handler{}::process_{}", n / 64 % 50, n / 3200);
    let file = format!("src/{module}/{kind}.rs");
    let line = u32::try_from(n % 900 + 10).unwrap_or(0);
    let location = Location { function: function.into(), file: file.into(), line };
    Definition { source: DefinitionSource::AgentDwarf, locations: [location].into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_samples_and_depths_are_real_ones() {
        let shape = Shape { services: 20, ..Shape::FLEET };
        let (mut one, mut other) = (Fleet::new(shape, 1), Fleet::new(shape, 1));
        let mut depths = Vec::new();
        for number in 0..5 {
            let batch = one.batch(3, number, 0);
            assert_eq!(batch, other.batch(3, number, 0));
            let rows = &batch.rows[0].rows;
            depths.extend(rows.iter().map(|row| one.dictionary.nodes.stack(row.node).len()));
        }
        depths.sort_unstable();
        let mean = depths.iter().sum::<usize>() / depths.len();
        assert!((20..45).contains(&mean), "{mean}");
        assert!(depths[0] >= 5 && depths[depths.len() - 1] <= 120 && depths[depths.len() - 1] > 80);
        assert_ne!(Fleet::new(shape, 2).batch(3, 0, 0), Fleet::new(shape, 1).batch(3, 0, 0));
    }
}
