//! Hostile rows, rules and memory: a walk of as many rounds as a record has frames ends, whatever
//! they say, and reads at most three words a round.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stoker_unwind::{Cursor, Machine, Place, Row, Rule, RuleId, SEARCH_STEPS, Step, step};

const ROUNDS: u32 = 127;

/// Everything comes out of one piece of bytes; the tables may be of any length.
struct Hostile<'a> {
    bytes: &'a [u8],
    blocks: u64,
    reads: u32,
    rows: u32,
}

impl Hostile<'_> {
    fn take<const N: usize>(&self, at: u64) -> Option<[u8; N]> {
        let at = usize::try_from(at % self.bytes.len() as u64).ok()?;
        self.bytes.get(at..)?.first_chunk().copied()
    }
}

impl Machine for Hostile<'_> {
    fn find(&mut self, address: u64) -> Place {
        match address & 0xf000 {
            0xf000 => Place::Unmapped,
            0xe000 => Place::NoTable,
            _ => Place::Text(address & 0xffff),
        }
    }

    fn index(&mut self, at: u64) -> Option<u32> {
        (at < self.blocks).then(|| self.take(at * 4).map(u32::from_le_bytes))?
    }

    fn row(&mut self, at: u32) -> Option<Row> {
        self.rows += 1;
        self.take(u64::from(at) * 4).map(|bytes| Row(u32::from_le_bytes(bytes)))
    }

    fn rule(&mut self, id: RuleId) -> Option<Rule> {
        let [cfa, frame, ra, flags, c0, c1, c2, c3, f0, f1, f2, f3, r0, r1, t0, t1] =
            self.take(u64::from(id.0) * 16)?;
        Some(Rule {
            cfa: cfa % 8,
            frame: frame % 6,
            ra: ra % 6,
            flags,
            cfa_offset: i32::from_le_bytes([c0, c1, c2, c3]),
            frame_offset: i32::from_le_bytes([f0, f1, f2, f3]),
            ra_offset: i16::from_le_bytes([r0, r1]),
            operand: u16::from_le_bytes([t0, t1]),
        })
    }

    fn word(&mut self, address: u64) -> Option<u64> {
        self.reads += 1;
        self.take(address).map(u64::from_le_bytes)
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((start, bytes)) = data.split_first_chunk::<25>() else { return };
    if bytes.is_empty() {
        return;
    }
    let word = |at: usize| start[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let mut machine = Hostile { bytes, blocks: u64::from(start[24]), reads: 0, rows: 0 };
    let mut cursor = Cursor { pc: word(0), sp: word(8), bp: word(16), ..Cursor::default() };
    for _ in 0..ROUNDS {
        if !matches!(step(&mut machine, &mut cursor), Step::Caller(_)) {
            break;
        }
    }
    assert!(machine.reads <= 3 * ROUNDS && machine.rows <= (SEARCH_STEPS + 1) * ROUNDS);
});
