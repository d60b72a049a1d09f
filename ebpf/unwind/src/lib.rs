//! Unwinding by compact tables: what the tables look like, and the step from a frame to its caller,
//! which the kernel-side program and the host run from the same source.
//!
//! Promises: `no_std`, no dependency, no `unsafe`, no allocation, no panic.
#![no_std]
#![forbid(unsafe_code)]

mod outcome;
mod row;
mod rule;
mod step;

pub use outcome::Outcome;
pub use row::{BLOCK_BYTES, BLOCK_SHIFT, Row};
pub use rule::{Rule, RuleId, cfa, flags, saved};
pub use step::{
    Cursor, Machine, Place, SEARCH_STEPS, Step, all_ones_if_less, find_rule, kind, step,
};
