//! Segments one after the other, decoded on all CPUs. Whoever asks goes over segments in their order, so that
//! an answer never hangs on who was quicker; what comes next is decoded meanwhile by others, or by the asker
//! where it would have to wait. Few segments are ahead at any time, which bounds what they take of memory.

use std::ops::ControlFlow;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::blobs::Blobs;
use super::cache::Cache;
use super::guarded::guarded;
use super::segment::{Segment, Wanted};

/// Segments that are decoded, or being decoded, before they are asked for.
const MAX_AHEAD: usize = 4;
/// Threads that decode for one question, the asker's apart.
const MAX_HELPERS: usize = 3;
/// Nodes that have to be decoded before it is worth a thread (some milliseconds).
const MIN_NODES: u64 = 50_000;

/// Calls `each` with the segments in their order, until it breaks, and with a cache in which some of their
/// blocks are that `wanted` needs.
pub fn in_order<'s>(
    segments: impl Iterator<Item = &'s Segment>,
    (blobs, cache): (&dyn Blobs, &Cache),
    wanted: Wanted<'_>,
    mut each: impl FnMut(&Segment, &Cache) -> ControlFlow<()>,
) {
    let segments: Vec<&Segment> = segments.collect();
    let helpers = helpers(&segments, cache, wanted);
    if helpers == 0 {
        let _ = segments.into_iter().try_for_each(|segment| each(segment, cache));
        return;
    }
    let [cache, ahead] = cache.with_ahead();
    let line = Line { segments: &segments, state: Mutex::default(), changed: Condvar::new() };
    let decode = |segment: &Segment| {
        // What cannot be decoded is so again when it is asked for, and whoever asks says so.
        let _ = guarded("decode a segment", || segment.decode_ahead(blobs, &ahead, wanted));
    };
    thread::scope(|scope| {
        let end = End(&line);
        for _ in 0..helpers {
            // Without a thread all is decoded as it is asked for.
            let help = || while line.help(&decode) {};
            let _ = thread::Builder::new().name("store-ahead".to_owned()).spawn_scoped(scope, help);
        }
        for (at, segment) in segments.iter().enumerate() {
            line.arrive(at, &decode);
            let flow = each(segment, &cache);
            cache.let_go(segment.id());
            if flow.is_break() {
                break;
            }
        }
        drop(end);
    });
}

/// How many threads are worth it.
fn helpers(segments: &[&Segment], cache: &Cache, wanted: Wanted<'_>) -> usize {
    let missing = segments.iter().filter(|segment| !segment.is_decoded(cache, wanted));
    let (mut count, mut nodes) = (0usize, 0u64);
    for segment in missing {
        count += 1;
        nodes = nodes.saturating_add(segment.nodes());
    }
    if nodes < MIN_NODES {
        return 0;
    }
    let cpus = thread::available_parallelism().map_or(1, usize::from);
    count.min(cpus).saturating_sub(1).min(MAX_HELPERS)
}

/// Segments in order, and how far those are who work on them.
struct Line<'a> {
    segments: &'a [&'a Segment],
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The segment that is asked for.
    asked: usize,
    /// The first that nobody took.
    next: usize,
    /// Those that are being decoded.
    taken: Vec<usize>,
    is_over: bool,
}

impl Line<'_> {
    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is one step, so a panic leaves it whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Decodes the next segment once there is one to be decoded; says whether there may be another.
    fn help(&self, decode: &dyn Fn(&Segment)) -> bool {
        let mut state = self.state();
        loop {
            if state.is_over || state.next >= self.segments.len() {
                return false;
            }
            if let Some(at) = state.take(self.segments.len()) {
                drop(state);
                self.decode(at, decode);
                return true;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Asks for a segment. Returns when nobody works on it: it was decoded, or nobody took it.
    fn arrive(&self, at: usize, decode: &dyn Fn(&Segment)) {
        let mut state = self.state();
        state.asked = at;
        state.next = state.next.max(at + 1);
        self.changed.notify_all();
        while state.taken.contains(&at) {
            state = match state.take(self.segments.len()) {
                Some(other) => {
                    drop(state);
                    self.decode(other, decode);
                    self.state()
                }
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// Decodes a segment that was taken.
    fn decode(&self, at: usize, decode: &dyn Fn(&Segment)) {
        decode(self.segments[at]);
        self.state().taken.retain(|taken| *taken != at);
        self.changed.notify_all();
    }
}

impl State {
    /// Takes the next segment, if it is not too far ahead.
    fn take(&mut self, count: usize) -> Option<usize> {
        let at = self.next;
        if at >= count || at > self.asked + MAX_AHEAD {
            return None;
        }
        self.next += 1;
        self.taken.push(at);
        Some(at)
    }
}

/// Sends helpers home, whatever ends the question.
struct End<'a, 'b>(&'a Line<'b>);

impl Drop for End<'_, '_> {
    fn drop(&mut self) {
        self.0.state().is_over = true;
        self.0.changed.notify_all();
    }
}
