//! Facts summed by host and hour: what questions are made of that do not ask when. A host that speaks every ten
//! seconds is one in 360 then, to be decoded, to be kept, and to be gone over by every question.

use std::mem;
use std::sync::Arc;

use stoker_dag::UnixNanos;
use stoker_wire::LostSamples;

use super::super::api::WindowFacts;
use super::super::blobs::Blobs;
use super::super::cache::{Cache, Cached, Key, Place};
use super::super::error::StoreError;
use super::super::level::HOUR_NS;
use super::super::messages::{BlockEntry, FactsBlock};
use super::facts::{NUMBERS, Said, Way, by_way, numbers, read_facts};
use super::read::{Segment, Wanted};
use super::{BlockKind, MAX_BLOCK_BYTES};

impl Segment {
    /// What hosts said, in order of window, of a block that has some of what is wanted. Where sums do and all of
    /// the block lies in the range, it is summed by host and hour, under the first window that was summed.
    ///
    /// # Errors
    /// When the block cannot be read.
    pub(super) fn facts(
        &self,
        blobs: &dyn Blobs,
        cache: &Cache,
        wanted: Wanted<'_>,
    ) -> Result<Arc<Vec<WindowFacts>>, StoreError> {
        let kinds = [BlockKind::Facts.code(), BlockKind::FactColumns.code()];
        let windows =
            |entry: &BlockEntry| (UnixNanos(entry.first_window), UnixNanos(entry.last_window));
        let is_wanted = |entry: &BlockEntry| {
            let (first, last) = windows(entry);
            kinds.contains(&entry.kind) && wanted.range.overlaps(first, last)
        };
        let Some(at) = self.footer.blocks.iter().position(is_wanted) else {
            return Ok(Arc::default());
        };
        let entry = &self.footer.blocks[at];
        let (first, last) = windows(entry);
        let sums = wanted.sums && wanted.range.holds(first) && wanted.range.holds(last);
        let place = if sums { Place::Sums(at) } else { Place::Block(at) };
        let key = Key { segment: self.id(), place };
        if let Some(Cached::Facts(held)) = cache.get(key) {
            return Ok(held);
        }
        let facts = match (entry.kind == BlockKind::FactColumns.code(), sums) {
            (true, _) => self.fact_columns(blobs, entry, sums)?,
            (false, true) => summed(&self.fact_messages(blobs, entry)?),
            (false, false) => self.fact_messages(blobs, entry)?,
        };
        let facts = Arc::new(facts);
        cache.put(key, Cached::Facts(Arc::clone(&facts)), bytes(&facts));
        Ok(facts)
    }

    fn fact_columns(
        &self,
        blobs: &dyn Blobs,
        entry: &BlockEntry,
        sums: bool,
    ) -> Result<Vec<WindowFacts>, StoreError> {
        let block = self.stored(blobs, entry)?;
        let bounds = (entry.rows, entry.raw_length.min(MAX_BLOCK_BYTES));
        let mut facts = Vec::new();
        let read = if sums {
            let mut summing = Summing::default();
            let read = read_facts(&block, bounds, |way, window, said| {
                summing.add(way, window, said);
            });
            facts = summing.finish();
            read
        } else {
            read_facts(&block, bounds, |way, window, said| facts.push(way.facts(window, said)))
        };
        read.ok_or_else(|| self.contradicts(blobs, entry))?;
        facts.sort_by_key(|held| held.window);
        Ok(facts)
    }

    /// As earlier versions have them.
    fn fact_messages(
        &self,
        blobs: &dyn Blobs,
        entry: &BlockEntry,
    ) -> Result<Vec<WindowFacts>, StoreError> {
        let block: FactsBlock = self.message(blobs, entry)?;
        block.records.iter().map(|record| self.window_facts(blobs, record)).collect()
    }
}

/// About how much memory they take, texts apart, which they share.
fn bytes(facts: &[WindowFacts]) -> usize {
    let lists = facts.iter().map(|held| {
        size_of_val(held.facts.lost.as_slice()) + size_of_val(held.facts.cgroup_usage.as_slice())
    });
    size_of_val(facts) + lists.sum::<usize>()
}

fn summed(facts: &[WindowFacts]) -> Vec<WindowFacts> {
    let mut summing = Summing::default();
    for (way, of_way) in by_way(facts) {
        for held in of_way {
            let (numbers, lost) = (numbers(&held.facts), held.facts.lost.clone());
            summing.add(&way, held.window, Said { numbers, lost, ..Said::default() });
        }
    }
    let mut facts = summing.finish();
    facts.sort_by_key(|held| held.window);
    facts
}

/// Sums what comes host by host, in order of time.
#[derive(Default)]
struct Summing {
    done: Vec<WindowFacts>,
    last: Option<(Way, UnixNanos, Said)>,
}

impl Summing {
    fn add(&mut self, way: &Way, window: UnixNanos, said: Said) {
        if let Some((last_way, first, sum)) = &mut self.last
            && first.0 / HOUR_NS == window.0 / HOUR_NS
            && last_way == way
            && add(sum, &said)
        {
            return;
        }
        // What is told of control groups is no sum, and nobody asks for it where sums do.
        let said = Said { cgroup_usage: Vec::new(), ..said };
        self.end();
        self.last = Some((way.clone(), window, said));
    }

    fn end(&mut self) {
        if let Some((way, window, said)) = mem::take(&mut self.last) {
            self.done.push(way.facts(window, said));
        }
    }

    fn finish(mut self) -> Vec<WindowFacts> {
        self.end();
        self.done
    }
}

/// Adds what was said later; says whether all sums have 64 bits. Where one has not, nothing was added.
fn add(sum: &mut Said, more: &Said) -> bool {
    let mut numbers = [0; NUMBERS];
    for (to, (held, more)) in numbers.iter_mut().zip(sum.numbers.iter().zip(more.numbers)) {
        let Some(both) = held.checked_add(more) else { return false };
        *to = both;
    }
    if !more.lost.is_empty() {
        let mut lost = sum.lost.clone();
        if !more.lost.iter().all(|more| add_lost(&mut lost, more)) {
            return false;
        }
        sum.lost = lost;
    }
    sum.numbers = numbers;
    true
}

fn add_lost(sum: &mut Vec<LostSamples>, more: &LostSamples) -> bool {
    let Some(held) = sum.iter_mut().find(|held| held.reason == more.reason) else {
        sum.push(more.clone());
        return true;
    };
    let both = held.samples.checked_add(more.samples);
    held.samples = both.unwrap_or(held.samples);
    both.is_some()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use stoker_dag::WINDOW_NS;
    use stoker_wire::{CgroupUsage, HostFacts};

    use super::super::facts::write_facts;
    use super::*;

    fn facts() -> impl Strategy<Value = Vec<WindowFacts>> {
        let number = prop_oneof![Just(0), 0..1000u64, any::<u64>()];
        let texts = || prop::collection::vec(("[ab]{0,2}", any::<u32>()), 0..3);
        let one = (0..900u64, 0..3u8, 0..2u32, [number.clone(), number], texts(), texts());
        let one =
            one.prop_map(|(window, host, frequency_hz, [observed_ns, busy_ns], lost, usage)| {
                let lost = lost.into_iter().map(|(reason, samples)| LostSamples {
                    reason: reason.into(),
                    samples: samples.into(),
                });
                let usage = usage.into_iter().map(|(path, usage_usec)| CgroupUsage {
                    path: path.into(),
                    usage_usec: usage_usec.into(),
                });
                let facts = HostFacts {
                    observed_ns,
                    busy_ns,
                    cpus: 4,
                    frequency_hz,
                    lost: lost.collect(),
                    cgroup_usage: usage.collect(),
                    sample_source: "cpu-clock".into(),
                    ..HostFacts::default()
                };
                let host_name = format!("host-{host}").into();
                let window = UnixNanos(window * WINDOW_NS);
                WindowFacts { window, host_id: [host; 16], host_name, facts }
            });
        prop::collection::vec(one, 0..60).prop_map(|mut all| {
            all.sort_by_key(|held| held.window);
            all
        })
    }

    fn read(block: &[u8], bounds: (u64, u64)) -> Option<Vec<WindowFacts>> {
        let mut facts = Vec::new();
        read_facts(block, bounds, |way, window, said| facts.push(way.facts(window, said)))?;
        facts.sort_by_key(|held| held.window);
        Some(facts)
    }

    /// What a question adds up of facts, by hour and host.
    fn totals(facts: &[WindowFacts]) -> BTreeMap<(u64, String, u32), [u128; 3]> {
        let mut totals: BTreeMap<_, [u128; 3]> = BTreeMap::new();
        for WindowFacts { window, host_name, facts, .. } in facts {
            let key = (window.0 / HOUR_NS, host_name.to_string(), facts.frequency_hz);
            let lost: u64 = facts.lost.iter().map(|lost| lost.samples).sum();
            let more = [facts.observed_ns, facts.busy_ns, lost];
            let held = totals.entry(key).or_default();
            held.iter_mut().zip(more).for_each(|(held, more)| *held += u128::from(more));
        }
        totals
    }

    proptest! {
        #[test]
        fn facts_are_read_back_or_refused(
            facts in facts(),
            flips in prop::collection::vec((any::<prop::sample::Index>(), 1..=255u8), 1..4),
        ) {
            let (mut block, raw) = write_facts(&facts, 3).unwrap();
            let bounds = (facts.len() as u64, raw);
            let held = read(&block, bounds).unwrap();
            let in_order = |facts: &[WindowFacts]| {
                let mut facts = facts.to_vec();
                facts.sort_by_key(|held| (held.window, Way::of(held)));
                facts
            };
            prop_assert_eq!(in_order(&held), in_order(&facts));
            prop_assert!(held.is_sorted_by_key(|held| held.window));
            for (at, flip) in flips {
                let at = at.index(block.len());
                block[at] ^= flip;
            }
            prop_assert!(read(&block, bounds).is_none_or(|read| read.len() == facts.len()));
        }

        #[test]
        fn sums_come_to_what_facts_do(facts in facts()) {
            let (block, raw) = write_facts(&facts, 3).unwrap();
            let mut summing = Summing::default();
            read_facts(&block, (facts.len() as u64, raw), |way, window, said| {
                summing.add(way, window, said);
            })
            .unwrap();
            let mut of_columns = summing.finish();
            of_columns.sort_by_key(|held| held.window);
            let of_messages = summed(&facts);
            prop_assert_eq!(totals(&of_columns), totals(&facts));
            prop_assert_eq!(of_columns, of_messages, "whatever the version");
        }
    }
}
