//! A made-up fleet, from a fixed seed: the same shape gives the same samples on every machine.
//!
//! What it has of real ones:
//!
//! - **Programs** ([`program`]) are call graphs: a function has up to eight call sites, the first far more
//!   often taken than the last, a site calls one function, one site in twenty (an indirect call) up to four.
//!   Functions are as unequal as real ones (Zipf), one call site in 24 recurs. A frame is a call site, the last one
//!   an instruction at which the sample was taken. Stacks have 5 to 120 frames.
//! - **Services** have functions of their own and eight libraries below them. Half of the services carry
//!   the libraries in their own file, as Go and Rust do, so that their frames are nobody else's.
//! - **Versions** are other files with other frames: each service gets a new one every day, at another
//!   time, host by host.
//! - **Hosts** run a few services each and differ: in how busy they are (0.4 to 1.6 of the mean) and in
//!   what they are asked for most.
//! - **New stacks never cease to come**: every sample is a walk of its own through the graph, so most are
//!   of a few stacks, and how many are new falls as slowly with time as it does in real programs.
//! - **Names** as compilers make them, with files and lines, told once per frame.
//!
//! How all of this compares with what real programs do is measured by `--bin shape`
//! (`docs/store.md` has the table).

pub mod program;

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use stoker_dag::{
    BuildId, BuildIdKind, Definition, DefinitionSource, Frame, FrameIx, LabelSet, Location, Module,
    NodeIx, ProfileType, SampleRow, UnixNanos, WINDOW_NS,
};
use stoker_wire::{BatchBody, Dictionary, HostFacts, RowGroup};

use program::{
    FUNCTION_BYTES, LIBRARIES, LIBRARY_FUNCTIONS, OWN_FUNCTIONS, Place, Program, is_own, mix,
};

/// What a sample is worth at 19 Hz, in nanoseconds.
pub const PERIOD_NS: u64 = 52_631_578;
/// Versions that a service has had.
const VERSIONS: u64 = 30;
/// Windows of a day, after which a service gets its next version.
const DAY_WINDOWS: u64 = 8_640;
/// Kinds of load that hosts have.
const LOADS: u64 = 3;

/// How large a fleet is.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Services of the whole fleet.
    pub services: u64,
    /// Services that each host runs.
    pub on_each: u64,
    /// Samples of one service on one host in one window, on average: 190 is 19 Hz of one busy CPU.
    pub samples: u64,
}

impl Shape {
    /// Hundreds of services, four on each host, 19 Hz of one busy CPU for each.
    pub const FLEET: Self = Self { services: 200, on_each: 4, samples: 190 };
}

/// Makes batches.
#[derive(Debug)]
pub struct Fleet {
    shape: Shape,
    random: fastrand::Rng,
    /// What batches refer to.
    pub dictionary: Dictionary,
    frames: FxHashMap<(Binary, u32), FrameIx>,
    /// What a frame of the dictionary is, and whether it was told of.
    known: Vec<(Place, u32, bool)>,
}

/// A version of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Release {
    service: u32,
    version: u32,
}

/// A file that frames are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Binary {
    Library(u32),
    Executable(Release),
}

fn narrow(n: u64) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

impl Fleet {
    /// A fleet; `salt` is what makes the samples of two of one shape differ, their programs do not.
    #[must_use]
    pub fn new(shape: Shape, salt: u64) -> Self {
        Self {
            shape,
            random: fastrand::Rng::with_seed(13 + salt),
            dictionary: Dictionary::default(),
            frames: FxHashMap::default(),
            known: Vec::new(),
        }
    }

    /// The node of a walk through a release's program.
    fn node(&mut self, release: Release, stack: &[Place]) -> NodeIx {
        let mut node = NodeIx::ROOT;
        for place in stack {
            let (binary, offset) = located(release, *place);
            let frame = match self.frames.get(&(binary, offset)) {
                Some(frame) => *frame,
                None => self.frame(release.service, binary, offset, *place),
            };
            node = self.dictionary.nodes.child(node, frame);
        }
        node
    }

    fn frame(&mut self, service: u32, binary: Binary, offset: u32, place: Place) -> FrameIx {
        let build_id = binary.build();
        let (main_executable, name) = match binary {
            Binary::Library(n) => (false, format!("lib{n}.so.1")),
            Binary::Executable(release) => (true, format!("service-{}", release.service)),
        };
        self.dictionary.modules.learn(&build_id, Module { main_executable, name: name.into() });
        let frame = Frame::Native { build_id, offset: offset.into() };
        let frame = self.dictionary.frames.intern(&frame);
        self.known.push((place, service, false));
        self.frames.insert((binary, offset), frame);
        frame
    }

    /// Counts by stack of one release's samples on one host in one window.
    fn counts(&mut self, host: u64, release: Release) -> BTreeMap<NodeIx, u64> {
        let busy = 40 + host.wrapping_mul(2_654_435_761) % 121;
        let (load, program) = (host % LOADS, Program { service: release.service });
        let mut walk = Vec::new();
        let mut counts = BTreeMap::new();
        for _ in 0..(self.shape.samples * busy / 100).max(1) {
            program.walk(&mut self.random, load, &mut walk);
            let node = self.node(release, &walk);
            *counts.entry(node).or_insert(0) += 1;
        }
        counts
    }

    /// What a host sends for one window, `number` windows after `epoch` (Unix nanoseconds).
    pub fn batch(&mut self, host: u64, number: u64, epoch: u64) -> BatchBody {
        let mut rows = Vec::new();
        for n in 0..self.shape.on_each {
            let service = (host + n * 37) % self.shape.services;
            // Deployed at another time of the day for each service, and within minutes on all hosts.
            let days = (number + mix(service, 7) % DAY_WINDOWS + host) / DAY_WINDOWS;
            let version = (days + service * 7) % VERSIONS;
            let series = self.dictionary.labels.intern(&LabelSet::new([
                ("host", format!("host-{host}")),
                ("service_name", format!("service-{service}")),
                ("version", format!("1.{version}")),
                ("zone", format!("zone-{}", host % 3)),
            ]));
            let comm = LabelSet::new([("comm", format!("worker-{}", service % 5))]);
            let attributes = self.dictionary.labels.intern(&comm);
            let release = Release { service: narrow(service), version: narrow(version) };
            for (node, count) in self.counts(host, release) {
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
            ..BatchBody::default()
        }
    }

    /// So many stacks of a service that nobody has seen.
    pub fn new_stacks(&mut self, service: u32, stacks: usize) -> Vec<NodeIx> {
        let release = Release { service, version: 0 };
        let (mut new, mut walk) = (Vec::with_capacity(stacks), Vec::new());
        while new.len() < stacks {
            Program { service }.walk(&mut self.random, 0, &mut walk);
            let before = self.dictionary.nodes.len();
            let node = self.node(release, &walk);
            new.extend((self.dictionary.nodes.len() > before).then_some(node));
        }
        new
    }

    /// Names of frames that come for the first time.
    fn news(&mut self, rows: &[SampleRow]) -> Vec<(FrameIx, Definition)> {
        let mut news = Vec::new();
        for row in rows {
            let mut node = row.node;
            while let Some(frame) = self.dictionary.nodes.frame(node) {
                let (place, service, is_told) = &mut self.known[frame.at()];
                if !std::mem::replace(is_told, true) {
                    news.push((frame, definition(*place, *service)));
                }
                node = self.dictionary.nodes.parent(node);
            }
        }
        news
    }
}

/// Where a place of a release's program is: a file, and an offset in it.
fn located(release: Release, place: Place) -> (Binary, u32) {
    let carries_libraries = release.service.is_multiple_of(2);
    let offset = place.function * FUNCTION_BYTES + place.address;
    if is_own(place.function) || carries_libraries {
        return (Binary::Executable(release), offset);
    }
    (Binary::Library(place.function / (LIBRARY_FUNCTIONS / LIBRARIES)), offset)
}

impl Binary {
    fn build(self) -> BuildId {
        let seed = match self {
            Self::Library(n) => mix(1, n.into()),
            Self::Executable(r) => mix(2, u64::from(r.service) << 32 | u64::from(r.version)),
        };
        let bytes: Vec<u8> = (0..20).map(|n| mix(seed, n).to_le_bytes()[0]).collect();
        let build = BuildId::new(BuildIdKind::Gnu, &bytes);
        build.unwrap_or_else(|_| unreachable!("20 bytes are a build id"))
    }
}

/// A function has one name and file, a place in it a line.
fn definition(place: Place, service: u32) -> Definition {
    let Place { function: n, address } = place;
    let words = ["codec", "store", "router", "session", "index", "queue", "cache", "parser"];
    let word = |n: u32| words[n as usize % words.len()];
    let krate = match is_own(n) {
        true => format!("service_{service}"),
        false => format!("lib{}", n / (LIBRARY_FUNCTIONS / LIBRARIES)),
    };
    let (module, kind) = (word(n), word(n / 8));
    let function = format!("{krate}::{module}::{kind}::Handler{}::process_{}", n / 64 % 50, n % 97);
    let file = format!("src/{module}/{kind}.rs");
    let line = n % OWN_FUNCTIONS * 8 + address / 32 + 10;
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
        assert!(depths[0] >= program::MIN_DEPTH && depths[depths.len() - 1] <= program::MAX_DEPTH);
        assert_ne!(Fleet::new(shape, 2).batch(3, 0, 0), Fleet::new(shape, 1).batch(3, 0, 0));
    }

    #[test]
    fn a_call_site_calls_few_functions_however_long_one_looks() {
        let mut random = fastrand::Rng::with_seed(1);
        let mut callees: FxHashMap<Place, std::collections::BTreeSet<u32>> = FxHashMap::default();
        let mut stack = Vec::new();
        for _ in 0..20_000 {
            Program { service: 3 }.walk(&mut random, 0, &mut stack);
            for pair in stack.windows(2).skip(20) {
                callees.entry(pair[0]).or_default().insert(pair[1].function);
            }
        }
        assert!(callees.len() > 500 && callees.values().all(|of| of.len() <= 5), "{callees:?}");
    }
}
