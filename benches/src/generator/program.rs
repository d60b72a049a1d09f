//! Programs as call graphs, and walks through them.
//!
//! Nothing is stored: what stands at a place in a program is worked out from its numbers by hashing, so
//! it is the same each time a walk comes by. That is what makes it a graph and not an endless tree: a
//! function has a fixed list of call sites, a site has a fixed list of callees (one, but for indirect
//! calls), and the frame of a caller is a call site, as return addresses are.

use fastrand::Rng;

/// Shared libraries, in the order in which they stand on one another.
pub const LIBRARIES: u32 = 8;
/// Functions of all libraries together.
pub const LIBRARY_FUNCTIONS: u32 = 8_000;
/// The first function of a service's own: it calls those that handle requests.
const DISPATCH: u32 = LIBRARY_FUNCTIONS;
/// Functions of each service's own.
pub const OWN_FUNCTIONS: u32 = 400;
/// The deepest stack.
pub const MAX_DEPTH: usize = 120;
/// No stack ends before it has as many frames.
pub const MIN_DEPTH: usize = 5;
/// Frames of a program's stacks before its own begin, at most: the thread's start, the runtime, what
/// stands between a connection and its handler.
const MAX_ENTRY_FRAMES: u32 = 18;
/// Call sites that a function has at most.
const MAX_SITES: u64 = 8;
/// What requests of a service are about; each has a function that handles it.
const HANDLERS: u64 = 24;
/// Instructions of a function at which samples are taken.
const INSTRUCTIONS: f64 = 40.0;
/// One call site in so many calls its own function or the caller's again, sixty times in a hundred: most
/// recursion is shallow.
const RECURSIVE: u64 = 24;
/// One in so many does it 97 times in a hundred, as parsers and visitors of trees do.
const DEEPLY_RECURSIVE: u64 = 480;
/// One of a library's functions in so many keeps [`OWN_TIME_PERCENT`] of its time for itself, the others
/// only call; of a service's own functions it is one in four times as many.
const OWN_TIME: u64 = 3;
const OWN_TIME_PERCENT: u64 = 50;
/// One call site in so many is indirect.
const INDIRECT: u64 = 20;

/// A place in a program where a stack can stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place {
    /// Functions of libraries first, then those of the service's own.
    pub function: u32,
    /// Bytes behind the start of the function, below [`FUNCTION_BYTES`]: odd behind a call, even where a
    /// stack ends.
    pub address: u32,
}

/// Bytes of each function.
pub const FUNCTION_BYTES: u32 = 512;

/// Numbers as unlike one another as random ones, the same for the same input (splitmix64's finish).
pub fn mix(a: u64, b: u64) -> u64 {
    let mut z = a.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ b.wrapping_add(0x632B_E59B_D9B4_E019);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A number below `bound`, low ones far more often, the more the higher the power.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the product is below a bound that was a whole number"
)]
fn skewed(random: &mut Rng, bound: f64, power: i32) -> u64 {
    (bound * random.f64().powi(power)) as u64
}

/// A service's program.
#[derive(Debug, Clone, Copy)]
pub struct Program {
    /// Which service's.
    pub service: u32,
}

impl Program {
    /// The stack of one sample, outermost first, into `stack`. `load` is what kind of requests come most.
    pub fn walk(self, random: &mut Rng, load: u64, stack: &mut Vec<Place>) {
        stack.clear();
        for outer in 0..self.entry_frames() {
            let function = LIBRARY_FUNCTIONS - 1 - outer;
            stack.push(Place { function, address: 41 });
        }
        let handler = (skewed(random, HANDLERS as f64, 6) + load * 5) % HANDLERS;
        let dispatch = Place { function: DISPATCH, address: 81 };
        stack.push(dispatch);
        let mut at = DISPATCH + 1 + u32::try_from(handler).unwrap_or(0);
        while stack.len() < MAX_DEPTH - 1 {
            let own = self.own_time_percent(at);
            if stack.len() + 1 >= MIN_DEPTH && random.u64(..100) < own {
                break;
            }
            let site = self.site(random, at);
            let Some(callee) = self.callee(random, at, site) else { break };
            let address = u32::try_from(site).unwrap_or(0) * 38 + 17;
            stack.push(Place { function: at, address });
            at = callee;
        }
        let instruction = skewed(random, INSTRUCTIONS, 8);
        let address = mix(self.shape(at), instruction) % u64::from(FUNCTION_BYTES / 2) * 2;
        stack.push(Place { function: at, address: u32::try_from(address).unwrap_or(0) });
    }

    fn entry_frames(self) -> u32 {
        2 + u32::try_from(mix(self.service.into(), 3) % 17).unwrap_or(0)
    }

    /// What a function is like; libraries are the same in all services.
    fn shape(self, function: u32) -> u64 {
        mix(if is_own(function) { u64::from(self.service) + 1 } else { 0 }, function.into())
    }

    fn own_time_percent(self, function: u32) -> u64 {
        let one_in = if is_own(function) { 4 * OWN_TIME } else { OWN_TIME };
        if self.shape(function).is_multiple_of(one_in) { OWN_TIME_PERCENT } else { 0 }
    }

    /// Which of its call sites a function is at. What a service does itself is much the same for each
    /// request, what libraries do for it is less so.
    fn site(self, random: &mut Rng, function: u32) -> u64 {
        let shape = self.shape(function);
        let sites = 1 + shape / OWN_TIME % MAX_SITES;
        let (least, more) = if is_own(function) { (64, 256) } else { (24, 96) };
        let power = least + i32::try_from(shape / 64 % more).unwrap_or(0);
        skewed(random, sites as f64, power).min(sites - 1)
    }

    /// What a site calls; nothing where there is nothing deeper.
    fn callee(self, random: &mut Rng, at: u32, site: u64) -> Option<u32> {
        let seed = mix(self.shape(at), site + 100);
        let is_recursive = [RECURSIVE, DEEPLY_RECURSIVE].map(|every| seed.is_multiple_of(every));
        let percent = [0, 60, 97][is_recursive.into_iter().filter(|is| *is).count()];
        if percent > 0 && random.u64(..100) < percent {
            // Itself, or one that stands a little higher.
            let higher = at - u32::try_from(seed >> 32 & 3).unwrap_or(0).min(at);
            return Some(if is_own(higher) == is_own(at) && higher != DISPATCH {
                higher
            } else {
                at
            });
        }
        let choice = match (seed >> 8).is_multiple_of(INDIRECT) {
            true => skewed(random, 4.0, 3),
            false => 0,
        };
        self.deeper(at, mix(seed, choice))
    }

    /// A function that stands deeper: the next ones of the same program, or a library's.
    fn deeper(self, at: u32, seed: u64) -> Option<u32> {
        if is_own(at) {
            let gap = 1 + u32::try_from(seed % u64::from(OWN_FUNCTIONS / 10)).unwrap_or(0);
            let next = at + gap;
            let is_library = (seed >> 16) % 100 < 4;
            if !is_library && next < LIBRARY_FUNCTIONS + OWN_FUNCTIONS {
                return Some(next);
            }
            return Some(popular((seed >> 24) % u64::from(LIBRARY_FUNCTIONS / 4 * 3), seed >> 44));
        }
        let gap = 1 + (seed % 30) * (seed / 30 % 30);
        let next = popular(u64::from(at) + gap, seed >> 44);
        let next = if next > at { next } else { at + 1 };
        // The last ones are where threads start.
        (next < LIBRARY_FUNCTIONS - MAX_ENTRY_FRAMES).then_some(next)
    }
}

/// Whether a function is the service's own.
pub fn is_own(function: u32) -> bool {
    function >= LIBRARY_FUNCTIONS
}

/// Of functions that stand near one another few are called from many places: half of all calls go to one
/// in 8, a quarter to one in 64, an eighth to one in 512 (Zipf).
fn popular(function: u64, seed: u64) -> u32 {
    let step = match seed % 8 {
        0..=3 => 8,
        4..=5 => 64,
        6 => 512,
        _ => 1,
    };
    u32::try_from(function / step * step).unwrap_or(0)
}
