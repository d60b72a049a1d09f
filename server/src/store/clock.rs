//! What time it is, believed slowly. Retention removes by the clock, so a clock that jumps must not
//! decide at once: a year too far, and all that is stored would be over.
//!
//! The wall clock is held against one that only runs on (the time since boot, sleep included). Where
//! the two part by more than [`TOLERANCE_NS`] the wall clock is not believed for [`HOLD_NS`]; time goes
//! on from where it was, and the server's log says so. At a start the newest window that is stored
//! takes the place of what was believed before, where the wall clock would remove all of it.

use std::sync::{Mutex, PoisonError};

use rustix::time::{ClockId, clock_gettime};

/// A step of the clock that is believed at once.
pub const TOLERANCE_NS: u64 = 300_000_000_000;
/// How long a jump must last to be believed.
pub const HOLD_NS: u64 = 3_600_000_000_000;

/// A clock. All times in nanoseconds.
#[derive(Debug)]
pub struct Clock {
    wall: fn() -> u64,
    running: fn() -> u64,
    state: Mutex<Option<State>>,
}

/// What was believed, and when on the clock that runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    believed: u64,
    at: u64,
    /// Since when the wall clock says something else.
    apart_since: Option<u64>,
}

impl Clock {
    /// A clock that holds `wall`, in Unix nanoseconds, against the time since boot.
    pub fn new(wall: fn() -> u64) -> Self {
        Self { wall, running: since_boot, state: Mutex::new(None) }
    }

    /// What is believed, in Unix nanoseconds.
    pub fn now(&self) -> u64 {
        self.look(None)
    }

    /// The earlier and the later of what is believed and what the wall clock says. Only what is out of
    /// the question by both is refused: it cannot be sent again.
    pub fn span(&self) -> (u64, u64) {
        let (believed, wall) = (self.now(), (self.wall)());
        (believed.min(wall), believed.max(wall))
    }

    /// As [`Self::now`] at a start, where what is stored ends at `newest` and would all be over by the
    /// wall clock.
    pub fn start_from(&self, newest: u64) {
        self.look(Some(newest));
    }

    fn look(&self, start: Option<u64>) -> u64 {
        let (wall, running) = ((self.wall)(), (self.running)());
        let mut held = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = || State { believed: start.unwrap_or(wall), at: running, apart_since: None };
        let before = held.unwrap_or_else(fresh);
        let after = before.step(wall, running);
        *held = Some(after);
        drop(held);
        report(before, after, wall);
        after.believed
    }
}

impl State {
    fn step(self, wall: u64, running: u64) -> Self {
        let expected = self.believed.saturating_add(running.saturating_sub(self.at));
        let of = |believed, apart_since| Self { believed, at: running, apart_since };
        if wall.abs_diff(expected) <= TOLERANCE_NS {
            return of(wall, None);
        }
        let since = self.apart_since.unwrap_or(running);
        match running.saturating_sub(since) >= HOLD_NS {
            true => of(wall, None),
            false => of(expected, Some(since)),
        }
    }
}

fn report(before: State, after: State, wall: u64) {
    let (wall_s, believed_s) = (wall / 1_000_000_000, after.believed / 1_000_000_000);
    match (before.apart_since, after.apart_since) {
        (None, Some(_)) => tracing::error!(
            wall_s,
            believed_s,
            "the clock of this machine jumped: it is not believed for an hour; set it right"
        ),
        (Some(_), None) => {
            tracing::warn!(believed_s, "the clock of this machine is believed again");
        }
        _ => {}
    }
}

fn since_boot() -> u64 {
    let time = clock_gettime(ClockId::Boottime);
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u64::try_from(time.tv_nsec));
    seconds.unwrap_or(0).saturating_mul(1_000_000_000).saturating_add(nanos.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    fn run(steps: &[(u64, u64)]) -> Vec<u64> {
        let mut state = State { believed: 1_000_000 * S, at: 0, apart_since: None };
        let mut believed = Vec::new();
        for (running, wall) in steps {
            state = state.step(wall * S, running * S);
            believed.push(state.believed / S);
        }
        believed
    }

    #[test]
    fn small_steps_are_followed_and_jumps_are_not_until_they_last() {
        assert_eq!(
            run(&[(10, 1_000_010), (20, 1_000_200), (30, 1_000_000)]),
            [1_000_010, 1_000_200, 1_000_000]
        );
        // A year ahead, and back again.
        assert_eq!(
            run(&[(10, 32_000_000), (20, 32_000_010), (30, 1_000_030)]),
            [1_000_010, 1_000_020, 1_000_030]
        );
        // To 1970, and it stays there.
        assert_eq!(
            run(&[(10, 5), (3_609, 3_604), (3_610, 3_605), (3_620, 3_615)]),
            [1_000_010, 1_003_609, 3_605, 3_615]
        );
        // Another jump does not begin the hour anew.
        assert_eq!(
            run(&[(10, 5), (1_800, 9_000_000), (3_610, 9_001_810)]),
            [1_000_010, 1_001_800, 9_001_810]
        );
    }

    #[test]
    fn at_a_start_what_is_stored_says_what_time_it_was() {
        let clock = Clock { wall: || 9_000_000 * S, running: || 50 * S, state: Mutex::new(None) };
        clock.start_from(1_000_000 * S);
        assert_eq!(clock.now(), 1_000_000 * S);
        let clock = Clock { wall: || 1_000_100 * S, running: || 50 * S, state: Mutex::new(None) };
        clock.start_from(1_000_000 * S);
        assert_eq!(clock.now(), 1_000_100 * S);
        assert!(since_boot() > 0);
    }
}
