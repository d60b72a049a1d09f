//! `drop_frames` and `keep_frames`: what a profile's writer asks every reader to leave out, such as
//! the allocator's own functions at the leaf ends of a heap profile.
//!
//! From the root on, the first frame whose function matches `drop_frames` (wholly, without its
//! arguments) and not `keep_frames` goes, and all that it called goes with it. Frames that match
//! before any that does not are kept, so that no stack loses everything. This is what google/pprof
//! does before it shows a profile (`profile/prune.go`, `RemoveUninteresting`).

use regex::{Regex, RegexBuilder};

use super::message::{Message, malformed};
use crate::error::{Place, ReadError};

/// Memory that one compiled expression may take.
const MAX_REGEX_BYTES: usize = 1 << 20;
/// Names with parentheses of their own, which do not open a list of arguments.
const RESERVED: [&str; 2] = ["(anonymous namespace)", "operator()"];

/// The two expressions.
pub(super) struct Pruner {
    drop: Regex,
    keep: Option<Regex>,
}

/// What becomes of a location.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// It stays, and what it called.
    Stays,
    /// It goes, and what it called.
    Goes,
    /// It stays with fewer functions; what it called goes.
    Ends,
}

impl Pruner {
    /// The pruner that a message asks for.
    pub(super) fn new(message: &Message<'_>) -> Result<Option<Self>, ReadError> {
        let drop = message.text(message.drop_frames, || whole("drop_frames"))?;
        let keep = message.text(message.keep_frames, || whole("keep_frames"))?;
        if drop.is_empty() {
            return Ok(None);
        }
        let drop = compile("drop_frames", drop)?;
        let keep = if keep.is_empty() { None } else { Some(compile("keep_frames", keep)?) };
        Ok(Some(Self { drop, keep }))
    }

    /// Whether the function `name` is to go.
    pub(super) fn drops(&self, name: &str) -> bool {
        let name = without_arguments(name);
        !name.is_empty()
            && self.drop.is_match(name)
            && !self.keep.as_ref().is_some_and(|keep| keep.is_match(name))
    }
}

fn whole(table: &'static str) -> Place {
    Place::Entry { table, index: 0, byte: None }
}

fn compile(what: &'static str, expression: &str) -> Result<Regex, ReadError> {
    let anchored = format!("^(?:{expression})$");
    let compiled = RegexBuilder::new(&anchored).size_limit(MAX_REGEX_BYTES).build();
    compiled.map_err(|error| malformed(whole(what), error.to_string()))
}

fn without_arguments(name: &str) -> &str {
    let name = name.strip_prefix('.').unwrap_or(name);
    let opens = name.match_indices('(').map(|(at, _)| at);
    for open in opens {
        let is_reserved = RESERVED.iter().any(|reserved| {
            let within = reserved.find('(').unwrap_or(0);
            open >= within && name.as_bytes()[open - within..].starts_with(reserved.as_bytes())
        });
        if !is_reserved {
            return &name[..open];
        }
    }
    name
}

/// How many locations of a stack remain, from the root on, when `cut` says what becomes of each
/// (leaf first, as in the file).
pub(super) fn remaining(cuts: impl DoubleEndedIterator<Item = Cut>) -> Option<usize> {
    let mut found_other = false;
    for (kept, cut) in cuts.rev().enumerate() {
        match cut {
            Cut::Stays => found_other = true,
            _ if !found_other => {}
            Cut::Goes => return Some(kept),
            Cut::Ends => return Some(kept + 1),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_no_part_of_a_name() {
        for (name, wanted) in [
            ("malloc", "malloc"),
            (".malloc", "malloc"),
            ("f(int, char)", "f"),
            ("(anonymous namespace)::f(int)", "(anonymous namespace)::f"),
            ("A::operator()(int)", "A::operator()"),
            ("f(void (*)(int))", "f"),
            ("\u{fffd}bcdefghi(x", "\u{fffd}bcdefghi"),
        ] {
            assert_eq!(without_arguments(name), wanted);
        }
    }

    #[test]
    fn stacks_are_cut_below_the_first_other_frame() {
        use Cut::{Ends, Goes, Stays};
        for (leaf_first, wanted) in [
            (&[Stays, Stays][..], None),
            (&[Goes, Goes, Stays], Some(1)),
            (&[Stays, Goes, Stays, Goes], Some(2)),
            (&[Goes, Ends, Stays], Some(2)),
            (&[Goes, Goes], None),
        ] {
            assert_eq!(remaining(leaf_first.iter().copied()), wanted, "{leaf_first:?}");
        }
    }
}
