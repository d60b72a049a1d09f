//! Any bytes as a file with frame information, or as the frame information of a file that is sound
//! otherwise: the table is one that the unwinder can read, or the file is refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stoker_agent::unwind::compile::{Rules, Table, compile};
use stoker_unwind::BLOCK_BYTES;

const TEXT: u64 = 0x1000;
const FRAMES: u64 = 0x10_0000;
const HEADERS: u64 = 64 + 2 * 56;
const NAMES: &[u8] = b"\0.eh_frame\0.debug_frame\0";

fuzz_target!(|data: &[u8]| {
    let Some((&how, bytes)) = data.split_first() else { return };
    let mut rules = Rules::default();
    let table = match how {
        1 => compile(&file(bytes, 1)[..], &mut rules),
        2 => compile(&file(bytes, 11)[..], &mut rules),
        _ => compile(bytes, &mut rules),
    };
    if let Ok(table) = table {
        check(&table, &rules);
    }
});

fn check(table: &Table, rules: &Rules) {
    assert_eq!(table.text_start % BLOCK_BYTES, 0);
    let blocks = u64::from(table.text_bytes).div_ceil(BLOCK_BYTES);
    assert_eq!(table.index.len() as u64, blocks + 1);
    assert_eq!(table.index.first().copied().unwrap_or(0), 0);
    assert_eq!(table.index.last().map(|&end| end as usize), Some(table.rows.len()));
    assert_eq!(table.report.rows, table.rows.len() as u64);
    for block in table.index.windows(2) {
        let rows = &table.rows[block[0] as usize..block[1] as usize];
        assert!(rows.is_sorted_by(|one, next| one.offset() < next.offset()));
        assert!(rows.iter().all(|row| u64::from(row.offset()) < BLOCK_BYTES));
    }
    assert!(table.rows.iter().all(|row| usize::from(row.rule().0) < rules.as_slice().len()));
    assert!(table.rows.windows(2).all(|pair| pair[0].rule() != pair[1].rule()));
}

/// A file whose section of the name at `name` is `frames`.
fn file(frames: &[u8], name: u32) -> Vec<u8> {
    let names_at = HEADERS + frames.len() as u64;
    let sections_at = names_at + NAMES.len() as u64;
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    file.extend([3_u16, 62, 1, 0].map(u16::to_le_bytes).concat());
    file.extend([TEXT, 64, sections_at].map(u64::to_le_bytes).concat());
    file.extend([0_u16, 0, 64, 56, 2, 64, 2, 1].map(u16::to_le_bytes).concat());
    let size = frames.len() as u64;
    for (flags, offset, address, size) in [(5, 0, TEXT, 0x8000), (4, HEADERS, FRAMES, size)] {
        file.extend([1_u32, flags].map(u32::to_le_bytes).concat());
        file.extend([offset, address, address, size, size, 1].map(u64::to_le_bytes).concat());
    }
    file.extend(frames);
    file.extend(NAMES);
    let names = NAMES.len() as u64;
    for (name, address, offset, size) in [(name, FRAMES, HEADERS, size), (0, 0, names_at, names)] {
        file.extend([name, 1].map(u32::to_le_bytes).concat());
        file.extend([2, address, offset, size, 0, 1, 0].map(u64::to_le_bytes).concat());
    }
    file
}
