//! A recording that knows when its samples were taken: one sampled profile for each thread, in order of
//! time, each sample for what it is worth.
//!
//! A sample stands for the period that ends with it. Where a thread was not sampled for a period or more,
//! a stack without frames stands for the time between, so that each thread's samples are where they
//! belong from the recording's start on, to a period. Sums go by stacks with frames and are exact: what
//! is in the tree and in no thread's samples is a profile of its own at the end.

use std::cmp::Reverse;
use std::io::Write;

use serde::ser::{Serialize, SerializeStruct, Serializer};
use stoker_dag::{BoxIx, CallTree, ProfileType, UnixNanos};

use super::model::Ours;
use super::unit_word;
use super::write::{Frames, write_file};
use crate::WriteError;
use crate::limits::MAX_PROFILES;
use crate::text::harmless;

/// Threads that get a profile of their own, those with the most samples. What the others did goes into
/// one profile together.
pub const MAX_THREADS: usize = 250;
const _: () = assert!(MAX_THREADS + 2 <= MAX_PROFILES, "what is written can be read");

/// What the profile of samples is called of which nobody knows when and where they were taken.
const WITHOUT_TIME: &str = "samples without a time";

/// One sample of a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimedSample {
    /// When it was taken, in nanoseconds from the recording's start on.
    pub at: u64,
    /// What it is worth, in nanoseconds.
    pub weight: u64,
    /// The box of the tree in which its stack ends.
    pub stack: BoxIx,
}

/// One thread's samples, in any order.
#[derive(Debug, Clone, Default)]
pub struct TimedThread {
    /// What it is called.
    pub name: String,
    /// Of those that the tree counts.
    pub samples: Vec<TimedSample>,
}

impl TimedThread {
    fn weight(&self) -> u64 {
        self.samples.iter().fold(0, |sum, sample| sum.saturating_add(sample.weight))
    }
}

/// A recording.
#[derive(Debug, Clone)]
pub struct TimedSource<'a> {
    /// What values count: nanoseconds.
    pub profile_type: &'a ProfileType,
    /// The stacks of all samples.
    pub tree: &'a CallTree,
    /// When the recording began; zero where nobody knows.
    pub start: UnixNanos,
    /// How long it was.
    pub duration_ns: u64,
    /// Samples one by one, by thread.
    pub threads: Vec<TimedThread>,
}

/// Writes a recording as one file that shows `name` as its title; busier threads come first.
///
/// # Errors
/// When `out` does not take the bytes.
pub fn write_timed(
    source: TimedSource<'_>,
    name: &str,
    out: &mut impl Write,
) -> Result<(), WriteError> {
    let TimedSource { profile_type, tree, start, duration_ns, threads } = source;
    let whole = Ours { profile_type, start_unix_ns: start.0, duration_ns };
    let mut frames = Frames::default();
    let of_boxes = frames.of_boxes(tree);
    let stacks = Stacks { tree, of_boxes: &of_boxes, none: frames.of_no_stack() };
    let rest = without_time(tree, &threads);
    let over =
        |name: String, run: Vec<Stretch>, least: u64| Over { name, whole, stacks, run, least };
    let mut profiles: Vec<Over<'_>> = bounded(threads)
        .into_iter()
        .map(|thread| over(thread.name, laid_out(thread.samples), duration_ns))
        .collect();
    if !rest.is_empty() || profiles.is_empty() {
        profiles.push(over(WITHOUT_TIME.to_owned(), rest, 0));
    }
    write_file(&frames, &profiles, name, out)
}

/// The busiest first; those beyond the bound as one.
fn bounded(mut threads: Vec<TimedThread>) -> Vec<TimedThread> {
    threads.sort_by_cached_key(|thread| (Reverse(thread.weight()), thread.name.clone()));
    if threads.len() > MAX_THREADS {
        let others = threads.split_off(MAX_THREADS);
        let name = format!("{} other threads", others.len());
        let samples = others.into_iter().flat_map(|thread| thread.samples).collect();
        threads.push(TimedThread { name, samples });
    }
    threads
}

/// What ends in a box, or nothing that ran, and how much of it.
type Stretch = (Option<BoxIx>, u64);

/// Samples in order of time, with what lies between them.
fn laid_out(mut samples: Vec<TimedSample>) -> Vec<Stretch> {
    samples.sort_unstable();
    let mut run = Vec::with_capacity(samples.len());
    let mut end = 0u64;
    for TimedSample { at, weight, stack } in samples {
        // A timer is never to the point: what is shorter than a period is none, and is not forgotten.
        let gap = at.saturating_sub(weight).saturating_sub(end);
        if gap >= weight.max(1) {
            run.push((None, gap));
            end += gap;
        }
        run.push((Some(stack), weight));
        end = end.saturating_add(weight);
    }
    run
}

/// What is in the tree and in no thread's samples.
fn without_time(tree: &CallTree, threads: &[TimedThread]) -> Vec<Stretch> {
    let mut rest = tree.self_value.clone();
    for sample in threads.iter().flat_map(|thread| &thread.samples) {
        let left = &mut rest[sample.stack.at()];
        *left = left.saturating_sub(sample.weight);
    }
    let boxes = (0u32..).map(|at| Some(BoxIx(at)));
    boxes.zip(rest).filter(|(_, value)| *value > 0).collect()
}

#[derive(Clone, Copy)]
struct Stacks<'a> {
    tree: &'a CallTree,
    /// The frame of each box.
    of_boxes: &'a [u32],
    /// The frame of a sample that has none.
    none: u32,
}

impl Stacks<'_> {
    /// The frames of a stretch, outermost first.
    fn of(&self, end: Option<BoxIx>) -> Vec<u32> {
        let Some(end) = end else { return Vec::new() };
        if end == BoxIx::ROOT {
            return vec![self.none];
        }
        let up = |at: &BoxIx| Some(self.tree.parent[at.at()]).filter(|up| *up != BoxIx::ROOT);
        let mut stack: Vec<u32> =
            std::iter::successors(Some(end), up).map(|at| self.of_boxes[at.at()]).collect();
        stack.reverse();
        stack
    }
}

/// One profile over time.
struct Over<'a> {
    name: String,
    /// Of the recording.
    whole: Ours<&'a ProfileType>,
    stacks: Stacks<'a>,
    run: Vec<Stretch>,
    /// How long it is at least.
    least: u64,
}

impl Serialize for Over<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let end = self.run.iter().fold(0u64, |sum, (_, weight)| sum.saturating_add(*weight));
        let mut profile = serializer.serialize_struct("Profile", 8)?;
        profile.serialize_field("type", "sampled")?;
        profile.serialize_field("name", &harmless(&self.name))?;
        let Ours { profile_type, start_unix_ns, duration_ns } = self.whole;
        let ours = Ours { profile_type: profile_type.as_str(), start_unix_ns, duration_ns };
        profile.serialize_field("stoker", &ours)?;
        profile.serialize_field("unit", unit_word(profile_type.unit()))?;
        profile.serialize_field("startValue", &0)?;
        profile.serialize_field("endValue", &end.max(self.least))?;
        profile.serialize_field("samples", &StacksOf(self))?;
        profile.serialize_field("weights", &Weights(&self.run))?;
        profile.end()
    }
}

struct StacksOf<'a>(&'a Over<'a>);

impl Serialize for StacksOf<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.run.iter().map(|(end, _)| self.0.stacks.of(*end)))
    }
}

struct Weights<'a>(&'a [Stretch]);

impl Serialize for Weights<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|(_, weight)| weight))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at: u64, stack: u32) -> TimedSample {
        TimedSample { at, weight: 10, stack: BoxIx(stack) }
    }

    #[test]
    fn samples_stand_where_they_were_taken_to_a_period() {
        let run = |samples: &[TimedSample]| laid_out(samples.to_vec());
        let (one, two) = ((Some(BoxIx(1)), 10), (Some(BoxIx(2)), 10));
        assert_eq!(run(&[sample(20, 2), sample(10, 1)]), [one, two]);
        // A timer that is late now and then, and never by a period.
        assert_eq!(run(&[sample(13, 1), sample(28, 2), sample(31, 1)]), [one, two, one]);
        // Late by little, again and again, is late.
        assert_eq!(run(&[sample(16, 1), sample(32, 2)]), [one, (None, 12), two]);
        assert_eq!(run(&[sample(60, 1)]), [(None, 50), one]);
        // Two at once, on two CPUs: none is lost.
        assert_eq!(run(&[sample(10, 1), sample(10, 2)]), [one, two]);
        assert_eq!(run(&[]), []);
    }

    #[test]
    fn threads_beyond_the_bound_go_together() {
        let thread = |at: usize| TimedThread {
            name: format!("thread {at}"),
            samples: vec![sample(0, 1); if at == 7 { 9 } else { 1 }],
        };
        let kept = bounded((0..MAX_THREADS + 5).map(thread).collect());
        assert_eq!(kept.len(), MAX_THREADS + 1);
        assert_eq!(kept[0].name, "thread 7");
        assert_eq!(
            (&*kept[MAX_THREADS].name, kept[MAX_THREADS].samples.len()),
            ("5 other threads", 5)
        );
        assert_eq!(bounded((0..MAX_THREADS).map(thread).collect()).len(), MAX_THREADS);
    }
}
