//! Two sides of a comparison, each of many replicates, and what can be said of their difference:
//! `docs/diffs.md` explains the method, section by section of these modules.
//!
//! [`Table`] aligns the sides, [`sums`] adds up by key and replicate, `evidence` decides what kind of
//! test the replicates allow, `select` finds which keys changed of themselves and which only look so,
//! `moves` recognises cost that moved, and [`compare`] puts it together.

mod align;
mod engine;
mod evidence;
mod family;
mod moves;
mod report;
mod select;
mod sums;
mod table;

pub use align::{Aligner, CompareBy};
pub use engine::{Options, compare};
pub use evidence::{MIN_PAIRS, MIN_REPLICATES, Method};
pub use report::{Change, Comparison, Finding, Move, MoveKind, Row, SideTotals, Warning, What};
pub use sums::{Explained, Sums, sums};
pub use table::{Key, KeyIx, NO_STACK, PlaceIx, Replicate, ReplicateIx, Side, Table};
