//! Segments slice after slice, decoded on all CPUs. Whoever asks goes over slices in their order, so that
//! an answer never hangs on who was quicker; what comes next is decoded meanwhile by others, or by the asker
//! where it would have to wait. Few slices are ahead at any time, which bounds what they take of memory.

use std::ops::ControlFlow;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::blobs::Blobs;
use super::cache::Cache;
use super::guarded::guarded;
use super::segment::{Segment, SliceIx, Wanted};

/// Slices that are decoded, or being decoded, before they are asked for.
const MAX_AHEAD: usize = 4;
/// Threads that decode for one question, the asker's apart.
const MAX_HELPERS: usize = 3;
/// Nodes that have to be decoded before it is worth a thread (some milliseconds).
const MIN_NODES: u64 = 50_000;

/// A slice of a segment that a question goes over.
#[derive(Debug, Clone, Copy)]
pub struct Piece<'s> {
    /// The segment.
    pub segment: &'s Segment,
    /// The slice.
    pub slice: SliceIx,
}

impl Piece<'_> {
    /// Whether no other slice of its segment comes after it.
    pub fn is_last(&self) -> bool {
        self.segment.slices().last() == Some(self.slice)
    }
}

/// Calls `each` with the slices of segments in their order, until it breaks, and with a cache in which some of
/// their blocks are that `wanted` needs.
pub fn in_order<'s>(
    segments: impl Iterator<Item = &'s Segment>,
    (blobs, cache): (&dyn Blobs, &Cache),
    wanted: Wanted<'_>,
    mut each: impl FnMut(Piece<'s>, &Cache) -> ControlFlow<()>,
) {
    let slices = |segment: &'s Segment| segment.slices().map(move |slice| Piece { segment, slice });
    let pieces: Vec<Piece<'s>> = segments.flat_map(slices).collect();
    let helpers = helpers(&pieces, cache, wanted);
    if helpers == 0 {
        let _ = pieces.into_iter().try_for_each(|piece| each(piece, cache));
        return;
    }
    let [cache, ahead] = cache.with_ahead();
    let decode = |Piece { segment, slice }: &Piece<'_>| {
        // What cannot be decoded is so again when it is asked for, and whoever asks says so.
        let _ =
            guarded("decode a segment", || segment.decode_ahead(blobs, &ahead, (*slice, wanted)));
    };
    in_line(&pieces, helpers, &decode, |piece| {
        let flow = each(*piece, &cache);
        cache.let_go(|key| piece.segment.is_of(key, piece.slice));
        flow
    });
}

/// Calls `each` with items in their order, until it breaks; most of them were given to `decode` before, by one
/// of so many helpers or by the caller.
fn in_line<T: Sync>(
    items: &[T],
    helpers: usize,
    decode: &(impl Fn(&T) + Sync),
    mut each: impl FnMut(&T) -> ControlFlow<()>,
) {
    let line = Line { items, state: Mutex::default(), changed: Condvar::new() };
    thread::scope(|scope| {
        let _end = End(&line);
        for _ in 0..helpers {
            // Without a thread all is decoded as it is asked for.
            let help = || while line.help(decode) {};
            let _ = thread::Builder::new().name("store-ahead".to_owned()).spawn_scoped(scope, help);
        }
        for (at, item) in items.iter().enumerate() {
            line.arrive(at, decode);
            if each(item).is_break() {
                break;
            }
        }
    });
}

/// How many threads are worth it.
fn helpers(pieces: &[Piece<'_>], cache: &Cache, wanted: Wanted<'_>) -> usize {
    let is_missing =
        |Piece { segment, slice }: &&Piece<'_>| !segment.is_decoded(cache, (*slice, wanted));
    let (mut count, mut nodes) = (0usize, 0u64);
    for Piece { segment, slice } in pieces.iter().filter(is_missing) {
        count += 1;
        nodes = nodes.saturating_add(segment.nodes_of(*slice));
    }
    if nodes < MIN_NODES {
        return 0;
    }
    let cpus = thread::available_parallelism().map_or(1, usize::from);
    count.min(cpus).saturating_sub(1).min(MAX_HELPERS)
}

/// Items in order, and how far those are who work on them.
struct Line<'a, T> {
    items: &'a [T],
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The item that is asked for.
    asked: usize,
    /// The first that nobody took.
    next: usize,
    /// Those that are being decoded.
    taken: Vec<usize>,
    is_over: bool,
}

impl<T> Line<'_, T> {
    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is one step, so a panic leaves it whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Decodes the next item once there is one to be decoded; says whether there may be another.
    fn help(&self, decode: &impl Fn(&T)) -> bool {
        let mut state = self.state();
        loop {
            if state.is_over || state.next >= self.items.len() {
                return false;
            }
            if let Some(at) = state.take(self.items.len()) {
                drop(state);
                self.decode(at, decode);
                return true;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Asks for an item. Returns when nobody works on it: it was decoded, or nobody took it.
    fn arrive(&self, at: usize, decode: &impl Fn(&T)) {
        let mut state = self.state();
        state.asked = at;
        state.next = state.next.max(at + 1);
        self.changed.notify_all();
        while state.taken.contains(&at) {
            state = match state.take(self.items.len()) {
                Some(other) => {
                    drop(state);
                    self.decode(other, decode);
                    self.state()
                }
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// Decodes an item that was taken.
    fn decode(&self, at: usize, decode: &impl Fn(&T)) {
        decode(&self.items[at]);
        self.state().taken.retain(|taken| *taken != at);
        self.changed.notify_all();
    }
}

impl State {
    /// Takes the next item, if it is not too far ahead.
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
struct End<'a, 'b, T>(&'a Line<'b, T>);

impl<T> Drop for End<'_, '_, T> {
    fn drop(&mut self) {
        self.0.state().is_over = true;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    const COUNT: usize = 40;

    /// In what order items came, and how often each was decoded.
    fn run(helpers: usize, last: usize, slow: usize) -> (Vec<usize>, Vec<usize>) {
        let items: Vec<(usize, AtomicUsize)> = (0..COUNT).map(|at| (at, 0.into())).collect();
        let mut came = Vec::new();
        let decode = |(at, decoded): &(usize, AtomicUsize)| {
            if at % 7 == slow {
                thread::sleep(Duration::from_millis(2));
            }
            decoded.fetch_add(1, Ordering::Relaxed);
        };
        in_line(&items, helpers, &decode, |(at, _)| {
            came.push(*at);
            if *at == last { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        (came, items.into_iter().map(|(_, decoded)| decoded.into_inner()).collect())
    }

    #[test]
    fn items_come_in_order_and_are_decoded_once_and_not_too_far_ahead() {
        for helpers in 0..4 {
            for last in [0, 20, COUNT] {
                let (came, decoded) = run(helpers, last, helpers);
                assert_eq!(came, (0..COUNT.min(last + 1)).collect::<Vec<_>>());
                assert!(decoded.iter().all(|times| *times <= 1));
                assert_eq!(decoded.iter().skip(last + MAX_AHEAD + 1).sum::<usize>(), 0);
            }
        }
    }

    #[test]
    fn an_asker_that_panics_leaves_nobody_waiting() {
        let items: Vec<usize> = (0..COUNT).collect();
        let asked = catch_unwind(AssertUnwindSafe(|| {
            in_line(&items, 2, &|_| {}, |at| {
                if *at == 5 { panic!("asked") } else { ControlFlow::Continue(()) }
            });
        }));
        assert!(asked.is_err());
    }
}
