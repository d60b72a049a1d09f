//! From a frame to its caller.
//!
//! One round of [`step`] looks up the rule for where a frame is, says which address to record for
//! it, and moves the cursor to the caller. Everything that differs between the kernel and the host
//! (where mappings, tables and memory are) is behind [`Machine`].
//!
//! Which address is looked up: a return address is the first byte after the call, and the call may
//! be the last instruction of its function, so it is looked up one byte before. The leaf, and what
//! a signal interrupted, are not return addresses and are looked up as they are. Addresses are
//! recorded so that a reader needs no more than "one byte before, unless it is the leaf": for a
//! frame that is not to be moved, one more than its address is recorded.
//!
//! Promises: no loop but a search of at most [`SEARCH_STEPS`] steps; no panic whatever rows, rules
//! and memory say. A caller that takes at most N rounds ends after N rounds.

use crate::{BLOCK_BYTES, BLOCK_SHIFT, Outcome, Row, Rule, RuleId, cfa, flags, saved};

/// Steps of the search in one block: at most one row per byte of [`crate::BLOCK_BYTES`].
pub const SEARCH_STEPS: u32 = BLOCK_SHIFT + 1;

/// How far above the stack pointer a frame pointer may point that nothing vouches for.
const GUESS_SPAN: u64 = 1 << 20;

/// Stands for a frame pointer that is lost: odd, so that nobody follows it and it is not the 0 that
/// ends a chain.
const LOST: u64 = 1;

/// Where an address lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In no executable mapping.
    Unmapped,
    /// In a mapping without a table.
    NoTable,
    /// So many bytes into the text of a table, which the machine remembers for [`Machine::index`]
    /// and [`Machine::row`].
    Text(u64),
}

/// A process that stands still, and the tables of its files.
pub trait Machine {
    /// Finds the mapping and the table for an address.
    fn find(&mut self, address: u64) -> Place;
    /// An entry of the index of the table found last; `None` beyond its end.
    fn index(&mut self, at: u64) -> Option<u32>;
    /// A row of the table found last; `None` beyond its end.
    fn row(&mut self, at: u32) -> Option<Row>;
    /// A rule of the machine's array.
    fn rule(&mut self, id: RuleId) -> Option<Rule>;
    /// Eight bytes of the process's memory.
    fn word(&mut self, address: u64) -> Option<u64>;
    /// The same number, of which the compiler forgets what it knew.
    #[inline(always)]
    fn opaque(number: u64) -> u64 {
        number
    }
}

/// What kind of address a cursor's [`Cursor::pc`] is.
pub mod kind {
    /// Where the sample hit.
    pub const LEAF: u32 = 0;
    /// A return address.
    pub const CALL: u32 = 1;
    /// Where a signal hit.
    pub const INTERRUPTED: u32 = 2;
    /// A word where a frame pointer pointed that nothing vouches for: a return address if it lies
    /// in a mapping.
    pub const GUESS: u32 = 3;
}

/// A frame that is about to be looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// Instruction pointer.
    pub pc: u64,
    /// Stack pointer.
    pub sp: u64,
    /// Frame pointer.
    pub bp: u64,
    /// One of [`kind`].
    pub kind: u32,
    /// The code of the [`Outcome`] for which the last guess was made; 0 without any.
    pub guessed: u32,
}

/// What one round found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Record this address; the cursor is at the caller.
    Caller(u64),
    /// Record this address; it is the last, for this reason.
    Last(u64, Outcome),
    /// Record nothing: what was guessed is no address in code. The stack ends for this reason.
    Nothing(Outcome),
}

/// Looks at the frame at the cursor and moves to its caller.
#[inline(always)]
pub fn step<M: Machine>(machine: &mut M, cursor: &mut Cursor) -> Step {
    let is_exact = cursor.kind == kind::LEAF || cursor.kind == kind::INTERRUPTED;
    let address = if is_exact { cursor.pc } else { cursor.pc.wrapping_sub(1) };
    let record = cursor.pc.wrapping_add((cursor.kind == kind::INTERRUPTED) as u64);
    let offset = match machine.find(address) {
        Place::Text(offset) => offset,
        Place::Unmapped if cursor.kind == kind::GUESS => {
            return Step::Nothing(Outcome::of_guess(cursor.guessed));
        }
        Place::Unmapped => return guess(machine, cursor, record, Outcome::NoMapping),
        Place::NoTable => return guess(machine, cursor, record, Outcome::NoTable),
    };
    let id = find_rule(machine, offset);
    if id.0 < RuleId::FIRST_FREE.0 {
        return fixed(machine, cursor, record, id);
    }
    let Some(rule) = machine.rule(id) else { return Step::Last(record, Outcome::Broken) };
    // The kernel made the frame below a signal frame return to the signal frame's first byte.
    let record = if rule.flags & flags::SIGNAL != 0 { address_of_signal(cursor) } else { record };
    follow(machine, cursor, &rule, address, record)
}

#[inline(always)]
fn address_of_signal(cursor: &Cursor) -> u64 {
    cursor.pc.wrapping_add((cursor.kind != kind::LEAF) as u64)
}

/// The rule that begins at or before an offset; [`RuleId::NONE`] where there is none.
#[inline(always)]
pub fn find_rule<M: Machine>(machine: &mut M, offset: u64) -> RuleId {
    let block = offset >> BLOCK_SHIFT;
    let (Some(first), Some(end)) = (machine.index(block), machine.index(block.wrapping_add(1)))
    else {
        return RuleId::NONE;
    };
    // Rows compare as numbers: the offset is above the rule.
    let wanted = (offset & (BLOCK_BYTES - 1)) << 16 | 0xffff;
    // The row before the block's first is the answer where none of the block is. The search has no
    // branch on what it compares: the processor cannot predict it, and the kernel's verifier would
    // follow every way through it.
    let (mut after, mut left) = (first, end.wrapping_sub(first));
    for _ in 0..SEARCH_STEPS {
        if left == 0 {
            break;
        }
        let half = left >> 1;
        let Some(row) = machine.row(after.wrapping_add(half)) else { return RuleId::NONE };
        let is_before = all_ones_if_less(M::opaque(u64::from(row.0)), wanted + 1);
        after = after.wrapping_add((half + 1) & is_before);
        left = (half & !is_before) | ((left - half - 1) & is_before);
    }
    if after == 0 {
        return RuleId::NONE;
    }
    machine.row(after - 1).map_or(RuleId::NONE, Row::rule)
}

/// All bits set where `a < b`, none otherwise; both below 2^63. Made of no comparison, which would
/// become a branch.
#[inline(always)]
#[must_use]
pub fn all_ones_if_less(a: u64, b: u64) -> u32 {
    low_half((a.wrapping_sub(b).cast_signed() >> 63).cast_unsigned())
}

/// The rules that no file made.
#[inline(always)]
fn fixed<M: Machine>(machine: &mut M, cursor: &mut Cursor, record: u64, id: RuleId) -> Step {
    match id {
        RuleId::END => Step::Last(record, Outcome::Complete),
        RuleId::FRAME_POINTER => frame_pointer(machine, cursor, record),
        RuleId::UNSUPPORTED => Step::Last(record, Outcome::Unsupported),
        RuleId::NONE => {
            // An outermost frame that nobody described: its frame pointer was set to 0 for the
            // sake of those who walk it (System V ABI, x86-64, 3.4.1).
            if cursor.bp == 0 && cursor.kind == kind::CALL {
                cursor.guessed = Outcome::Gap.code() as u32;
                return Step::Last(record, Outcome::Complete);
            }
            guess(machine, cursor, record, Outcome::Gap)
        }
        _ => Step::Last(record, Outcome::Broken),
    }
}

/// A frame of code that is known to keep frame pointers. Stacks may be switched on the way (Go), so
/// the caller's may lie below.
#[inline(always)]
fn frame_pointer<M: Machine>(machine: &mut M, cursor: &mut Cursor, record: u64) -> Step {
    let bp = cursor.bp;
    if bp == 0 {
        return Step::Last(record, Outcome::Complete);
    }
    let (Some(above), Some(pc)) = (machine.word(bp), machine.word(bp.wrapping_add(8))) else {
        return Step::Last(record, Outcome::Unreadable);
    };
    if above == bp {
        return Step::Last(record, Outcome::NotAscending);
    }
    *cursor = Cursor {
        pc,
        sp: bp.wrapping_add(16),
        bp: above,
        kind: kind::CALL,
        guessed: cursor.guessed,
    };
    Step::Caller(record)
}

/// The last resort: follows the frame pointer if it may be one. What is found is believed only when
/// it lies in a mapping, which the next round tells.
#[inline(always)]
fn guess<M: Machine>(machine: &mut M, cursor: &mut Cursor, record: u64, why: Outcome) -> Step {
    let bp = cursor.bp;
    let above_stack = bp.wrapping_sub(cursor.sp);
    if bp & 7 != 0 || bp < cursor.sp || above_stack > GUESS_SPAN {
        return Step::Last(record, why);
    }
    let (Some(above), Some(pc)) = (machine.word(bp), machine.word(bp.wrapping_add(8))) else {
        return Step::Last(record, why);
    };
    *cursor = Cursor {
        pc,
        sp: bp.wrapping_add(16),
        bp: above,
        kind: kind::GUESS,
        guessed: why.code() as u32,
    };
    Step::Caller(record)
}

/// A frame that its file describes.
#[inline(always)]
fn follow<M: Machine>(
    machine: &mut M,
    cursor: &mut Cursor,
    rule: &Rule,
    address: u64,
    record: u64,
) -> Step {
    if rule.ra == saved::UNDEFINED {
        return Step::Last(record, Outcome::Complete);
    }
    let is_signal = rule.flags & flags::SIGNAL != 0;
    let (sp, bp) = (cursor.sp, cursor.bp);
    let offset = signed(rule.cfa_offset);
    let stub = rule.cfa == cfa::STUB && address & 15 >= rule.operand as u64;
    let from = if rule.cfa == cfa::FRAME || rule.cfa == cfa::AT_FRAME { bp } else { sp };
    let named = from.wrapping_add(offset).wrapping_add(if stub { 8 } else { 0 });
    let caller_sp = match rule.cfa {
        cfa::STACK | cfa::FRAME | cfa::STUB => Some(named),
        cfa::AT_STACK | cfa::AT_FRAME => {
            machine.word(named).map(|word| word.wrapping_add(u64::from(rule.operand)))
        }
        _ => return Step::Last(record, Outcome::Broken),
    };
    let Some(caller_sp) = caller_sp else { return Step::Last(record, Outcome::Unreadable) };
    // A signal may have its own stack.
    if caller_sp <= sp && !is_signal {
        return Step::Last(record, Outcome::NotAscending);
    }
    let base = |how: u8| match how {
        saved::AT_STACK => sp,
        saved::AT_FRAME => bp,
        _ => caller_sp,
    };
    // The frame pointer before the return address: it lies below, where reading ahead began.
    let caller_bp = match rule.frame {
        saved::SAME => Some(bp),
        saved::UNDEFINED => Some(LOST),
        how => machine.word(base(how).wrapping_add(signed(rule.frame_offset))),
    };
    let pc = match rule.ra {
        saved::SAME => return Step::Last(record, Outcome::Broken),
        how => machine.word(base(how).wrapping_add(signed(i32::from(rule.ra_offset)))),
    };
    let (Some(caller_bp), Some(pc)) = (caller_bp, pc) else {
        return Step::Last(record, Outcome::Unreadable);
    };
    let kind = if is_signal { kind::INTERRUPTED } else { kind::CALL };
    *cursor = Cursor { pc, sp: caller_sp, bp: caller_bp, kind, guessed: cursor.guessed };
    Step::Caller(record)
}

/// For adding with wrap-around.
#[inline(always)]
fn signed(offset: i32) -> u64 {
    i64::from(offset).cast_unsigned()
}

#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the lower half")]
fn low_half(word: u64) -> u32 {
    word as u32
}

#[cfg(test)]
#[path = "step_tests.rs"]
mod tests;
