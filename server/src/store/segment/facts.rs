//! What hosts said of each window, as columns: host by host, in order of time. Most of what a host says is
//! what it said before, or near to it, so a number is told as what it differs by from the host's last.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use stoker_dag::{UnixNanos, WINDOW_NS};
use stoker_wire::{CgroupUsage, HostFacts, LostSamples, limits};

use super::super::api::WindowFacts;
use super::columns::{ColumnWriter, Reader, columns, put, unzigzag, zigzag};
use super::rows::LAST_WINDOW;

/// Numbers that are told of each window.
pub const NUMBERS: usize = 9;
/// Columns before those of numbers: head, lengths of texts, texts, ids of hosts, hosts, steps in time, samples
/// lost, control groups.
const FIRST_NUMBER: usize = 8;
const COLUMNS: usize = FIRST_NUMBER + NUMBERS;
const HOST_ID_BYTES: usize = 16;

/// What stays as it is from window to window: a host, and how it samples.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Way {
    pub host_name: Arc<str>,
    pub host_id: [u8; HOST_ID_BYTES],
    pub sample_source: Arc<str>,
    pub cpus: u32,
    pub frequency_hz: u32,
}

/// What was said in one window.
#[derive(Debug, Default)]
pub struct Said {
    pub numbers: [u64; NUMBERS],
    pub lost: Vec<LostSamples>,
    pub cgroup_usage: Vec<CgroupUsage>,
}

impl Way {
    pub fn of(held: &WindowFacts) -> Self {
        Self {
            host_name: Arc::clone(&held.host_name),
            host_id: held.host_id,
            sample_source: Arc::clone(&held.facts.sample_source),
            cpus: held.facts.cpus,
            frequency_hz: held.facts.frequency_hz,
        }
    }

    /// The facts of a window.
    pub fn facts(&self, window: UnixNanos, said: Said) -> WindowFacts {
        let Said { numbers, lost, cgroup_usage } = said;
        let [observed_ns, samples_expected, samples_taken, stacks_complete, ..] = numbers;
        let [.., stacks_truncated, stacks_failed, busy_ns, frames_named, frames_nameless] = numbers;
        let facts = HostFacts {
            observed_ns,
            cpus: self.cpus,
            samples_expected,
            samples_taken,
            lost,
            cgroup_usage,
            sample_source: Arc::clone(&self.sample_source),
            frequency_hz: self.frequency_hz,
            stacks_complete,
            stacks_truncated,
            stacks_failed,
            busy_ns,
            frames_named,
            frames_nameless,
            broken: Vec::new(),
            nameless: Vec::new(),
        };
        WindowFacts { window, host_id: self.host_id, host_name: Arc::clone(&self.host_name), facts }
    }
}

/// The numbers of a window, in the order of their columns.
pub fn numbers(facts: &HostFacts) -> [u64; NUMBERS] {
    [
        facts.observed_ns,
        facts.samples_expected,
        facts.samples_taken,
        facts.stacks_complete,
        facts.stacks_truncated,
        facts.stacks_failed,
        facts.busy_ns,
        facts.frames_named,
        facts.frames_nameless,
    ]
}

/// Facts by host, each in their order.
pub fn by_way(facts: &[WindowFacts]) -> BTreeMap<Way, Vec<&WindowFacts>> {
    let mut ways: BTreeMap<Way, Vec<&WindowFacts>> = BTreeMap::new();
    for held in facts {
        ways.entry(Way::of(held)).or_default().push(held);
    }
    ways
}

/// Texts by number, in the order in which they come up.
#[derive(Default)]
struct Texts {
    numbers: FxHashMap<Arc<str>, u64>,
    lengths: Vec<u8>,
    bytes: Vec<u8>,
}

impl Texts {
    fn put(&mut self, text: &Arc<str>, out: &mut Vec<u8>) {
        let next = self.numbers.len() as u64;
        let number = *self.numbers.entry(Arc::clone(text)).or_insert(next);
        if number == next {
            put(&mut self.lengths, text.len() as u64);
            self.bytes.extend_from_slice(text.as_bytes());
        }
        put(out, number);
    }
}

/// Facts, and the length when decompressed. What is told of single files, which no
/// query reads, is left out.
///
/// # Errors
/// When compression fails for want of memory.
pub fn write_facts(facts: &[WindowFacts], level: i32) -> io::Result<(Vec<u8>, u64)> {
    let [mut head, mut ids, mut hosts, mut steps, mut lost, mut usage] = [const { Vec::new() }; 6];
    let mut columns = [const { Vec::new() }; NUMBERS];
    let mut texts = Texts::default();
    let first_window = facts.iter().map(|held| held.window.0 / WINDOW_NS).min().unwrap_or(0);
    put(&mut head, first_window);
    put(&mut head, facts.len() as u64);
    for (way, mut of_way) in by_way(facts) {
        of_way.sort_by_key(|held| held.window);
        ids.extend_from_slice(&way.host_id);
        texts.put(&way.host_name, &mut hosts);
        texts.put(&way.sample_source, &mut hosts);
        [way.cpus.into(), way.frequency_hz.into(), of_way.len() as u64]
            .iter()
            .for_each(|number| put(&mut hosts, *number));
        let (mut window, mut last) = (first_window, [0; NUMBERS]);
        for held in of_way {
            let next = held.window.0 / WINDOW_NS;
            put(&mut steps, next - window);
            window = next;
            let all = numbers(&held.facts);
            for (column, (number, last)) in columns.iter_mut().zip(all.iter().zip(last)) {
                put(column, zigzag(number.wrapping_sub(last).cast_signed()));
            }
            last = all;
            put(&mut lost, held.facts.lost.len() as u64);
            for LostSamples { reason, samples } in &held.facts.lost {
                texts.put(reason, &mut lost);
                put(&mut lost, *samples);
            }
            put(&mut usage, held.facts.cgroup_usage.len() as u64);
            for CgroupUsage { path, usage_usec } in &held.facts.cgroup_usage {
                texts.put(path, &mut usage);
                put(&mut usage, *usage_usec);
            }
        }
    }
    for column in columns.iter_mut().chain([&mut lost, &mut usage]) {
        if column.iter().all(|byte| *byte == 0) {
            column.clear();
        }
    }
    let mut writer = ColumnWriter::default();
    let first = [head, texts.lengths, texts.bytes, ids, hosts, steps, lost, usage];
    first.iter().chain(&columns).try_for_each(|column| writer.push(column, level))?;
    Ok(writer.finish())
}

/// A column that is nothing where all of it is 0.
struct Sparse<'a>(Option<Reader<'a>>);

impl<'a> Sparse<'a> {
    fn new(column: &'a [u8]) -> Self {
        Self((!column.is_empty()).then(|| Reader::new(column)))
    }

    #[inline]
    fn get(&mut self) -> Option<u64> {
        self.0.as_mut().map_or(Some(0), Reader::get)
    }

    fn is_at_end(&self) -> bool {
        self.0.as_ref().is_none_or(Reader::is_at_end)
    }

    /// Pairs of a text and a number.
    fn pairs<T>(&mut self, texts: &[Arc<str>], of: impl Fn(Arc<str>, u64) -> T) -> Option<Vec<T>> {
        let count = usize::try_from(self.get()?).ok()?;
        if count > limits::MAX_FACTS {
            return None;
        }
        let mut pairs = Vec::new();
        for _ in 0..count {
            let text = texts.get(usize::try_from(self.get()?).ok()?)?;
            pairs.push(of(Arc::clone(text), self.get()?));
        }
        Some(pairs)
    }
}

/// Gives what a block of `rows` facts says: host by host, of each in order of time. Nothing where it
/// contradicts itself or its footer; some of it may have been given then.
pub fn read_facts(
    block: &[u8],
    (rows, raw_length): (u64, u64),
    mut take: impl FnMut(&Way, UnixNanos, Said),
) -> Option<()> {
    let all = columns::<COLUMNS>(block, raw_length)?;
    let mut head = Reader::new(&all[0]);
    let texts = texts(&all[1], &all[2])?;
    let (mut hosts, mut steps) = (Reader::new(&all[4]), Reader::new(&all[5]));
    let [mut lost, mut usage] = [6, 7].map(|at: usize| Sparse::new(&all[at]));
    let mut columns: [Sparse<'_>; NUMBERS] =
        std::array::from_fn(|at| Sparse::new(&all[FIRST_NUMBER + at]));
    let (first_window, count) = (head.get()?, head.get()?);
    // Each has a byte at least in the column of steps, so the count is bounded by what is there.
    if count != rows || count > steps.remaining() as u64 {
        return None;
    }
    let mut left = count;
    let (ids, rest) = all[3].as_chunks::<HOST_ID_BYTES>();
    for host_id in ids {
        let mut text = || texts.get(usize::try_from(hosts.get()?).ok()?).cloned();
        let (host_name, sample_source) = (text()?, text()?);
        let (cpus, frequency_hz) = (hosts.get32()?, hosts.get32()?);
        let way = Way { host_name, host_id: *host_id, sample_source, cpus, frequency_hz };
        let of_way = hosts.get()?;
        left = left.checked_sub(of_way)?;
        let (mut window, mut numbers) = (first_window, [0u64; NUMBERS]);
        for _ in 0..of_way {
            window = window.checked_add(steps.get()?).filter(|window| *window <= LAST_WINDOW)?;
            for (number, column) in numbers.iter_mut().zip(&mut columns) {
                *number = number.wrapping_add(unzigzag(column.get()?).cast_unsigned());
            }
            let lost = lost.pairs(&texts, |reason, samples| LostSamples { reason, samples })?;
            let cgroup_usage =
                usage.pairs(&texts, |path, usage_usec| CgroupUsage { path, usage_usec })?;
            take(&way, UnixNanos(window * WINDOW_NS), Said { numbers, lost, cgroup_usage });
        }
    }
    let plain = [head, hosts, steps].iter().all(Reader::is_at_end);
    let sparse = columns.iter().chain([&lost, &usage]).all(Sparse::is_at_end);
    (left == 0 && rest.is_empty() && plain && sparse).then_some(())
}

fn texts(lengths: &[u8], bytes: &[u8]) -> Option<Vec<Arc<str>>> {
    let (mut lengths, mut bytes) = (Reader::new(lengths), Reader::new(bytes));
    let mut texts = Vec::new();
    while !lengths.is_at_end() {
        let length = usize::try_from(lengths.get()?).ok()?;
        if length > limits::MAX_STRING_BYTES {
            return None;
        }
        texts.push(std::str::from_utf8(bytes.bytes(length)?).ok()?.into());
    }
    bytes.is_at_end().then_some(texts)
}
