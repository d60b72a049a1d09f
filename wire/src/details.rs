//! Samples one by one: when each was taken, in which thread and on which CPU, beside the rows that count
//! them. An optional block of a batch; who does not know it reads the rows and misses nothing of them.
//!
//! Samples stand CPU by CPU in order of time, because a sampler is a clock: the next sample of a CPU comes
//! one usual gap later, give or take microseconds, so a moment costs a byte. A thread is a place in a table
//! of the batch, and most often that of the sample before. A row is told against that of the thread's sample
//! before: what one thread does stands close together among the rows.

use stoker_dag::WINDOW_NS;

use crate::body::{BatchBody, RowGroup};
use crate::decode::{WireError, within};
use crate::limits;
use crate::proto;

/// A thread, by the number that the kernel gives it in the first of its pid namespaces.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ThreadId(pub u32);

/// A CPU, by the number that the kernel gives it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CpuId(pub u32);

/// Microseconds in a window: moments are kept as exactly as that.
pub const WINDOW_US: u32 = 10_000_000;
const _: () = assert!(WINDOW_US as u64 * 1000 == WINDOW_NS);

/// One sample of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DetailedSample {
    /// Where it was taken.
    pub cpu: CpuId,
    /// When, in microseconds from the start of the batch's window on; below [`WINDOW_US`].
    pub offset_us: u32,
    /// The thread that ran.
    pub thread: ThreadId,
    /// The row of the group that counts it.
    pub row: u32,
}

/// Samples of one group of rows: of each row as many as it counts, or fewer where some have no moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Details {
    /// Which of the batch's groups.
    pub group: usize,
    /// In order of CPU, then of time.
    pub samples: Vec<DetailedSample>,
}

/// What travels of `details`, whose samples are in order.
pub(crate) fn write(details: &Details) -> proto::Details {
    let samples = &details.samples;
    let mut threads: Vec<ThreadId> = samples.iter().map(|sample| sample.thread).collect();
    threads.sort_unstable();
    threads.dedup();
    let interval_us = usual_gap(samples);
    let group = u32::try_from(details.group).expect("fewer than 2^32 groups");
    let mut out = proto::Details { group, interval_us, ..proto::Details::default() };
    let mut before = 0;
    for thread in &threads {
        out.thread.push(thread.0 - before);
        before = thread.0;
    }
    let mut last_rows = vec![0; threads.len()];
    for run in samples.chunk_by(|a, b| a.cpu == b.cpu) {
        out.run_cpu.push(run[0].cpu.0);
        out.run_length.push(u32::try_from(run.len()).expect("fewer than 2^32 samples"));
        let (mut time, mut thread) = (0, None);
        for sample in run {
            let gap = i64::from(sample.offset_us) - time - i64::from(interval_us);
            time = i64::from(sample.offset_us);
            out.time_delta.push(i32::try_from(gap).expect("a window is far below 2^31 us"));
            let place = threads.partition_point(|known| *known < sample.thread);
            let is_same = thread.replace(place) == Some(place);
            let told = if is_same { 0 } else { place + 1 };
            out.thread_place.push(u32::try_from(told).expect("fewer than 2^32 threads"));
            out.row_delta.push(row_of(sample) - last_rows[place]);
            last_rows[place] = row_of(sample);
        }
    }
    out
}

fn row_of(sample: &DetailedSample) -> i32 {
    i32::try_from(sample.row).expect("a batch has far fewer rows than 2^31")
}

/// The median of the gaps between samples of one CPU.
fn usual_gap(samples: &[DetailedSample]) -> u32 {
    let pairs = samples.windows(2).filter(|pair| pair[0].cpu == pair[1].cpu);
    let mut gaps: Vec<u32> = pairs.map(|pair| pair[1].offset_us - pair[0].offset_us).collect();
    if gaps.is_empty() {
        return 0;
    }
    let middle = gaps.len() / 2;
    *gaps.select_nth_unstable(middle).1
}

/// What a batch says of the samples of its groups.
pub(crate) fn read(
    from: &[proto::Details],
    groups: &[RowGroup],
) -> Result<Vec<Details>, WireError> {
    let samples = from.iter().map(|details| details.row_delta.len()).sum();
    within("samples of a batch", samples, limits::MAX_BATCH_DETAILS)?;
    if !from.is_sorted_by(|a, b| a.group < b.group) {
        return Err(WireError::Malformed("samples of one group of rows stand in two places"));
    }
    from.iter().map(|details| read_one(details, groups)).collect()
}

fn read_one(from: &proto::Details, groups: &[RowGroup]) -> Result<Details, WireError> {
    let group = from.group as usize;
    let of = groups.get(group).filter(|of| of.period != 0);
    let of = of.ok_or(WireError::Malformed("samples of a group of rows that has none"))?;
    let in_runs = from.run_length.iter().map(|&length| u64::from(length)).sum::<u64>();
    let count = from.row_delta.len();
    if from.run_cpu.len() != from.run_length.len()
        || in_runs != count as u64
        || from.time_delta.len() != count
        || from.thread_place.len() != count
    {
        return Err(WireError::Malformed("the columns of samples differ in length"));
    }
    if !from.run_cpu.is_sorted_by(|a, b| a < b) {
        return Err(WireError::Malformed("samples are not in order of CPU"));
    }
    let threads = threads(&from.thread)?;
    let mut last_rows = vec![0u32; threads.len()];
    let mut left: Vec<u64> = of.rows.iter().map(|row| row.count).collect();
    let mut samples = Vec::with_capacity(count);
    for (&cpu, &length) in from.run_cpu.iter().zip(&from.run_length) {
        let (mut time, mut place) = (0, None);
        for _ in 0..length {
            let at = samples.len();
            let offset_us = moment(time, from.time_delta[at], from.interval_us)?;
            time = i64::from(offset_us);
            let told = (from.thread_place[at] as usize).checked_sub(1);
            place = told.or(place).filter(|place| *place < threads.len());
            let place = place.ok_or(WireError::Malformed("a sample of no thread"))?;
            let row = last_rows[place].wrapping_add_signed(from.row_delta[at]);
            last_rows[place] = row;
            let left =
                left.get_mut(row as usize).and_then(|left| Some((left.checked_sub(1)?, left)));
            let (fewer, left) =
                left.ok_or(WireError::Malformed("more samples of a row than it counts"))?;
            *left = fewer;
            samples.push(DetailedSample {
                cpu: CpuId(cpu),
                offset_us,
                thread: threads[place],
                row,
            });
        }
    }
    Ok(Details { group, samples })
}

fn threads(differences: &[u32]) -> Result<Vec<ThreadId>, WireError> {
    let mut before = 0u32;
    let mut thread = |difference: &u32| {
        before = before.checked_add(*difference)?;
        Some(ThreadId(before))
    };
    let threads: Option<Vec<ThreadId>> = differences.iter().map(&mut thread).collect();
    threads.ok_or(WireError::Malformed("a thread beyond 32 bits"))
}

fn moment(before_us: i64, delta: i32, interval_us: u32) -> Result<u32, WireError> {
    let offset_us = before_us + i64::from(delta) + i64::from(interval_us);
    let in_order = u32::try_from(offset_us).ok().filter(|_| offset_us >= before_us);
    let in_window = in_order.filter(|offset_us| *offset_us < WINDOW_US);
    in_window.ok_or(WireError::Malformed("samples out of order, or outside the batch's window"))
}

/// Samples of a group whose rows were put in another order: `places` says where each row went.
pub(crate) fn moved(details: &Details, places: &[u32]) -> Details {
    let to =
        |sample: &DetailedSample| DetailedSample { row: places[sample.row as usize], ..*sample };
    let mut samples: Vec<DetailedSample> = details.samples.iter().map(to).collect();
    samples.sort_unstable();
    Details { group: details.group, samples }
}

impl BatchBody {
    /// How many of its samples are told one by one.
    #[must_use]
    pub fn detailed_samples(&self) -> usize {
        self.details.iter().map(|details| details.samples.len()).sum()
    }
}
