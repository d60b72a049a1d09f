//! A gate: an expression over a comparison, and whether it holds for sure, surely does not, or
//! cannot be told. `total > 1% or function > 5%` fails a change that makes all dearer by more than
//! 1 %, or any function by more than 5 % of the whole.

mod judge;
mod parse;

pub use judge::{Answer, ClauseAnswer, Reason, Subject, judge};
pub use parse::{Clause, Gate, GateError, Quantity};
