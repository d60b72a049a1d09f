#![expect(clippy::cast_possible_truncation, reason = "small numbers")]

use proptest::prelude::*;

use super::*;

extern crate std;
use std::collections::BTreeMap;
use std::vec;
use std::vec::Vec;

/// One table at [`TEXT`], unmapped elsewhere but for [`JIT`].
#[derive(Debug, Default, Clone)]
struct Mock {
    index: Vec<u32>,
    rows: Vec<Row>,
    rules: Vec<Rule>,
    memory: BTreeMap<u64, u64>,
    reads: u32,
}

const TEXT: u64 = 0x40_0000;
const JIT: core::ops::Range<u64> = 0x7000..0x8000;
/// The number of `rules[0]`.
const FIRST: u16 = RuleId::FIRST_FREE.0;

impl Machine for Mock {
    fn find(&mut self, address: u64) -> Place {
        let blocks = self.index.len().saturating_sub(1) as u64;
        match address.checked_sub(TEXT) {
            Some(offset) if offset < blocks << BLOCK_SHIFT => Place::Text(offset),
            _ if JIT.contains(&address) => Place::NoTable,
            _ => Place::Unmapped,
        }
    }

    fn index(&mut self, at: u64) -> Option<u32> {
        self.index.get(usize::try_from(at).ok()?).copied()
    }

    fn row(&mut self, at: u32) -> Option<Row> {
        self.rows.get(at as usize).copied()
    }

    fn rule(&mut self, id: RuleId) -> Option<Rule> {
        self.rules.get(usize::from(id.0.checked_sub(FIRST)?)).copied()
    }

    fn word(&mut self, address: u64) -> Option<u64> {
        self.reads += 1;
        self.memory.get(&address).copied()
    }
}

/// A table of one block with these rows.
fn block(rows: &[(u16, u16)], rules: &[Rule]) -> Mock {
    Mock {
        index: vec![0, rows.len() as u32],
        rows: rows.iter().map(|&(at, rule)| Row::new(at, RuleId(rule))).collect(),
        rules: rules.to_vec(),
        ..Mock::default()
    }
}

fn leaf(offset: u64, sp: u64, bp: u64) -> Cursor {
    Cursor { pc: TEXT + offset, sp, bp, ..Cursor::default() }
}

/// As compilers have it: return address just below the CFA.
fn plain(cfa: u8, cfa_offset: i32) -> Rule {
    Rule { cfa, ra: saved::AT_CFA, cfa_offset, ra_offset: -8, ..Rule::default() }
}

/// Recorded addresses and how it ended, within 127 rounds.
fn walk(machine: &mut Mock, mut cursor: Cursor) -> (Vec<u64>, Outcome) {
    let mut frames = Vec::new();
    for _ in 0..127 {
        match step(machine, &mut cursor) {
            Step::Caller(address) => frames.push(address),
            Step::Last(address, outcome) => {
                frames.push(address);
                return (frames, outcome);
            }
            Step::Nothing(outcome) => return (frames, outcome),
        }
    }
    (frames, Outcome::TooDeep)
}

#[test]
fn callers_are_looked_up_in_the_call_and_the_leaf_where_it_is() {
    // A function at 0 that calls the one at 16 with its last instruction; 32 is the start.
    let rules = [plain(cfa::STACK, 8), plain(cfa::STACK, 32)];
    let mut machine = block(&[(0, FIRST + 1), (16, FIRST), (32, 1)], &rules);
    machine.memory.extend([(0x1000, TEXT + 16), (0x1020, TEXT + 40)]);
    let (frames, outcome) = walk(&mut machine, leaf(16, 0x1000, 7));
    assert_eq!(frames, [TEXT + 16, TEXT + 16, TEXT + 40]);
    assert_eq!(outcome, Outcome::Complete);
}

#[test]
fn what_a_signal_interrupted_is_no_return_address() {
    // At 64 the trampoline, to whose first byte the handler returns. glibc describes one byte more.
    let signal = Rule {
        cfa: cfa::AT_STACK,
        cfa_offset: 160,
        ra: saved::AT_STACK,
        ra_offset: 168,
        frame: saved::AT_STACK,
        frame_offset: 120,
        flags: flags::SIGNAL,
        ..Rule::default()
    };
    let rules = [plain(cfa::STACK, 8), signal, plain(cfa::STACK, 8)];
    let rows = [(0, FIRST), (63, FIRST + 1), (72, 0), (80, 1), (96, FIRST + 2)];
    let mut machine = block(&rows, &rules);
    machine.memory.extend([
        (0x1000, TEXT + 64),
        (0x1008 + 160, 0x900),
        (0x1008 + 168, TEXT + 96),
        (0x1008 + 120, 5),
        (0x900, TEXT + 88),
    ]);
    let (frames, outcome) = walk(&mut machine, leaf(0, 0x1000, 0));
    // The handler, the trampoline by its own address, the very first byte of the function that was
    // hit, and the start, by a stack that lies lower.
    assert_eq!(frames, [TEXT, TEXT + 65, TEXT + 97, TEXT + 88]);
    assert_eq!(outcome, Outcome::Complete);
}

#[test]
fn a_return_address_of_zero_is_not_the_end() {
    let mut machine = block(&[(0, FIRST)], &[plain(cfa::STACK, 8)]);
    machine.memory.insert(0x1000, 0);
    assert_eq!(walk(&mut machine, leaf(0, 0x1000, 1)), (vec![TEXT, 0], Outcome::NoMapping));
}

#[test]
fn every_failure_has_its_reason() {
    let broken = Rule { cfa: 77, ..plain(0, 0) };
    let rules = [plain(cfa::STACK, 8), plain(cfa::STACK, 0), broken, plain(cfa::AT_FRAME, 0)];
    let rows = [
        (0, FIRST),
        (16, FIRST + 1),
        (32, FIRST + 2),
        (48, FIRST + 3),
        (64, FIRST + 9),
        (80, 3),
        (96, 4),
        (112, 0),
        (128, 9),
    ];
    for (at, wanted) in [
        (0, Outcome::Unreadable),
        (16, Outcome::NotAscending),
        (32, Outcome::Broken),
        (48, Outcome::Unreadable),
        (64, Outcome::Broken),
        (80, Outcome::Unsupported),
        (96, Outcome::Broken),
        (112, Outcome::Gap),
        (128, Outcome::Broken),
        (5000, Outcome::NoMapping),
    ] {
        let (frames, outcome) = walk(&mut block(&rows, &rules), leaf(at, 0x1000, 1));
        assert_eq!((frames, outcome), (vec![TEXT + at], wanted), "{at}");
    }
}

#[test]
fn stubs_push_in_the_second_half_of_their_sixteen_bytes() {
    let stub = Rule { operand: 11, ..plain(cfa::STUB, 8) };
    let mut machine = block(&[(0, FIRST), (512, 1)], &[stub]);
    machine.memory.extend([(0x1000, TEXT + 600), (0x1008, TEXT + 700)]);
    for (at, wanted) in [(16, 600), (26, 600), (27, 700), (31, 700)] {
        let (frames, outcome) = walk(&mut machine, leaf(at, 0x1000, 0));
        assert_eq!((frames, outcome), (vec![TEXT + at, TEXT + wanted], Outcome::Complete));
    }
}

#[test]
fn a_saved_stack_pointer_may_lie_some_words_off() {
    let rule = Rule { operand: 8, ..plain(cfa::AT_STACK, 24) };
    let mut machine = block(&[(0, FIRST), (64, 1)], &[rule]);
    machine.memory.extend([(0x1018, 0x2000), (0x2000, TEXT + 65)]);
    let (frames, outcome) = walk(&mut machine, leaf(0, 0x1000, 0));
    assert_eq!((frames, outcome), (vec![TEXT, TEXT + 65], Outcome::Complete));
}

#[test]
fn frame_pointers_end_at_zero_and_may_change_the_stack() {
    let mut machine = block(&[(0, RuleId::FRAME_POINTER.0)], &[]);
    machine.memory.extend([(0x1000, 0x500), (0x1008, TEXT + 8), (0x500, 0), (0x508, TEXT + 9)]);
    let (frames, outcome) = walk(&mut machine, leaf(4, 0xf00, 0x1000));
    assert_eq!((frames, outcome), (vec![TEXT + 4, TEXT + 8, TEXT + 9], Outcome::Complete));
    machine.memory.insert(0x500, 0x500);
    assert_eq!(walk(&mut machine, leaf(4, 0xf00, 0x1000)).1, Outcome::NotAscending);
}

#[test]
fn guesses_are_believed_only_in_code() {
    let mut machine = block(&[(0, 0), (64, 1)], &[]);
    machine.memory.extend([(0x1000, 0x1010), (0x1008, JIT.start + 4), (0x1010, 3)]);
    machine.memory.insert(0x1018, TEXT + 70);
    let (frames, outcome) = walk(&mut machine, leaf(4, 0xf00, 0x1000));
    assert_eq!(frames, [TEXT + 4, JIT.start + 4, TEXT + 70]);
    assert_eq!(outcome, Outcome::Complete);
    // The second frame pointer leads to a word that is no code.
    machine.memory.insert(0x1018, 12345);
    let (frames, outcome) = walk(&mut machine, leaf(4, 0xf00, 0x1000));
    assert_eq!((frames, outcome), (vec![TEXT + 4, JIT.start + 4], Outcome::NoTable));
    // Frame pointers that cannot be.
    for bp in [0x1001, 0xe00, 0xf00 + (1 << 20) + 8, 0] {
        assert_eq!(walk(&mut machine, leaf(4, 0xf00, bp)), (vec![TEXT + 4], Outcome::Gap));
    }
}

#[test]
fn an_outermost_frame_without_description_has_frame_pointer_zero() {
    let mut machine = block(&[(0, FIRST), (64, 0)], &[plain(cfa::STACK, 8)]);
    machine.memory.insert(0x1000, TEXT + 70);
    assert_eq!(walk(&mut machine, leaf(0, 0x1000, 0)).1, Outcome::Complete);
    assert_eq!(walk(&mut machine, leaf(0, 0x1000, 3)).1, Outcome::Gap);
}

#[test]
fn a_row_of_an_earlier_block_holds_until_the_next() {
    let rows = [(4, FIRST), (8, FIRST + 1), (12, FIRST + 2)];
    let mut machine = block(&rows, &[]);
    machine.index = vec![0, 2, 2, 3];
    let mut rule = |offset| find_rule(&mut machine, offset).0;
    assert_eq!([rule(3), rule(4), rule(9), rule(1024), rule(2047)], [0, 16, 17, 17, 17]);
    assert_eq!([rule(2048), rule(2059), rule(2060), rule(3072)], [17, 17, 18, 0]);
}

fn any_rule() -> impl Strategy<Value = Rule> {
    let small = -64i32..64;
    let parts = (0..7u8, 0..6u8, 0..6u8, 0..2u8, small.clone(), small, -64i16..64, 0..20u16);
    parts.prop_map(|(cfa, frame, ra, flags, cfa_offset, frame_offset, ra_offset, operand)| Rule {
        cfa,
        frame,
        ra,
        flags,
        cfa_offset,
        frame_offset,
        ra_offset,
        operand,
    })
}

proptest! {
    /// Damaged tables and hostile memory: every walk ends, and reads few words on its way.
    #[test]
    fn hostile_input_ends(
        index in prop::collection::vec(0..40u32, 0..6),
        rows in prop::collection::vec(any::<u32>(), 0..40),
        ids in prop::collection::vec(0..24u16, 40),
        rules in prop::collection::vec(any_rule(), 0..8),
        memory in prop::collection::btree_map(0x1000..0x1100u64, 0..0x1200u64, 0..200),
        (pc, sp, bp) in (0..6000u64, 0x1000..0x1100u64, 0x1000..0x1100u64),
    ) {
        let rows = rows.iter().zip(ids).map(|(row, id)| Row::new((row >> 16) as u16, RuleId(id)));
        let memory = memory.into_iter().map(|(at, word)| {
            (at, if word < 0x1000 { TEXT + word } else { word })
        });
        let mut machine =
            Mock { index, rows: rows.collect(), rules, memory: memory.collect(), reads: 0 };
        let (frames, _) = walk(&mut machine, leaf(pc, sp, bp));
        prop_assert!(frames.len() <= 127);
        prop_assert!(machine.reads <= 3 * 127);
    }

    /// The search gives what a plain scan gives.
    #[test]
    fn the_search_finds_the_last_row_before(
        starts in prop::collection::btree_set(0..4096u64, 1..200),
        offset in 0..4096u64,
    ) {
        let starts: Vec<u64> = starts.into_iter().collect();
        let at = |start: &u64| (start & 1023) as u16;
        let rows: Vec<Row> = starts.iter().enumerate()
            .map(|(number, start)| Row::new(at(start), RuleId(number as u16 + 1))).collect();
        let index = (0..=4).map(|block| starts.partition_point(|s| *s < block << 10) as u32);
        let mut machine = Mock { index: index.collect(), rows, ..Mock::default() };
        let wanted = starts.partition_point(|start| *start <= offset);
        prop_assert_eq!(usize::from(find_rule(&mut machine, offset).0), wanted);
    }
}
