//! Collapsed ("folded") stacks: one line per stack, frames from the outermost on with `;` between
//! them, a space, the value. What `stackcollapse-*.pl`, inferno, async-profiler and many others write.
//!
//! The format says neither what values count nor where names come from. `ReadOptions` may say the
//! first; the annotations of FlameGraph (`_[k]` kernel, `_[j]` just-in-time, `_[i]` inlined) stay
//! part of the name, so that what was read is written again as it was.

mod read;
mod write;

pub use read::read;
pub(crate) use read::stack_and_value;
pub(crate) use write::lines;
pub use write::write;
