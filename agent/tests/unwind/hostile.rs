//! Files that nobody's compiler wrote: each is refused with a reason, or its damage is counted.

use stoker_agent::unwind::compile::limits::{
    CIE_BYTES_MAX, CIES_KEPT_MAX, FDES_MAX, REMEMBERED_MAX,
};
use stoker_agent::unwind::compile::{CompileError, Report, Rules, Table, compile};
use stoker_unwind::{RuleId, cfa, flags, saved};

use crate::elf_file::{ElfFile, Frames, TEXT};

fn try_table(file: &ElfFile) -> Result<Table, CompileError> {
    compile(&file.build()[..], &mut Rules::default())
}

fn table(file: &ElfFile) -> Table {
    try_table(file).expect("a file that has a table")
}

fn of(frames: Frames) -> Table {
    table(&ElfFile::with_eh_frame(frames.bytes))
}

/// The fixed rules, and the number of the first that a file adds.
const NONE: RuleId = RuleId::NONE;
const PLAIN: RuleId = RuleId::FIRST_FREE;

fn rules_at(table: &Table, offsets: &[u64]) -> Vec<RuleId> {
    offsets.iter().map(|offset| table.rule_at(TEXT + offset)).collect()
}

#[test]
fn what_is_no_program_of_this_machine_is_refused_by_name() {
    let refused = |file: &ElfFile| try_table(file).expect_err("refused").to_string();
    let text = |file: ElfFile| ElfFile { sections: vec![], ..file };
    assert!(compile(&b"#!/bin/sh"[..], &mut Rules::default()).is_err());
    assert!(matches!(compile(&[][..], &mut Rules::default()), Err(CompileError::NotElf)));
    let arm = refused(&text(ElfFile { machine: 183, ..ElfFile::default() }));
    assert!(arm.contains("machine 183"), "{arm}");
    let short = refused(&text(ElfFile { class: 1, ..ElfFile::default() }));
    assert!(short.contains("class 1"), "{short}");
    let object = refused(&ElfFile { kind: 1, ..ElfFile::default() });
    assert!(object.contains("type 1"), "{object}");
    let no_text = ElfFile { text_bytes: 0, ..ElfFile::default() };
    assert!(matches!(try_table(&no_text), Err(CompileError::NoText)));
    for text_bytes in [1 << 32, u64::MAX, u64::MAX - TEXT] {
        let long = ElfFile { text_bytes, ..ElfFile::default() };
        let error = try_table(&long).expect_err("refused");
        assert!(matches!(error, CompileError::TextTooLong(_) | CompileError::Damaged(_)));
    }
}

#[test]
fn every_truncation_of_a_file_is_read_or_refused() {
    let mut frames = Frames::eh_frame();
    frames.fde(TEXT, 16, &[0x41, 0x0e, 16]);
    let whole = ElfFile::with_eh_frame(frames.bytes).build();
    for length in 0..whole.len() {
        let _ = compile(&whole[..length], &mut Rules::default());
    }
    let table = compile(&whole[..], &mut Rules::default()).expect("whole");
    assert_eq!(table.report.fdes, 1);
}

#[test]
fn absurd_sizes_cost_nothing() {
    let mut file = ElfFile::with_eh_frame(Frames::eh_frame().bytes);
    file.claimed_bytes = Some(1 << 60);
    assert!(
        matches!(try_table(&file), Err(CompileError::FramesTooLarge(bytes)) if bytes == 1 << 60)
    );
    // What the headers claim but the file does not have is not there.
    file.claimed_bytes = Some(16 << 20);
    assert!(try_table(&file).is_ok());
}

#[test]
fn functions_gaps_and_blocks() {
    let mut frames = Frames::eh_frame();
    // push rbp; mov rbp, rsp; later leave
    frames.fde(TEXT + 0x10, 0x800, &[0x41, 0x0e, 16, 0x86, 2, 0x43, 0x0d, 6]);
    frames.fde(TEXT + 0x900, 0x10, &[]);
    let table = of(frames);
    let told =
        rules_at(&table, &[0, 0x0f, 0x10, 0x11, 0x14, 0x500, 0x80f, 0x810, 0x900, 0x910, 0xfff]);
    let [a, b] = [17, 18].map(RuleId);
    assert_eq!(told, [NONE, NONE, PLAIN, a, b, b, b, NONE, PLAIN, NONE, NONE]);
    assert_eq!(table.rule_at(TEXT - 1), NONE);
    assert_eq!(table.rule_at(TEXT + 0x1000), NONE);
    assert_eq!(table.index, [0, 4, 4, 7, 7]);
    assert_eq!(table.report.bytes_none, 0x1000 - 0x810);
    assert_eq!((table.report.fdes, table.report.rows), (2, 7));
}

#[test]
fn bytes_that_align_a_function_take_no_row() {
    let mut frames = Frames::eh_frame();
    frames.fde(TEXT, 0x31, &[]);
    frames.fde(TEXT + 0x40, 0x31, &[]);
    frames.fde(TEXT + 0x78, 0x8, &[]);
    frames.fde(TEXT + 0x90, 0x8, &[]);
    let table = of(frames);
    let told = rules_at(&table, &[0, 0x31, 0x3f, 0x40, 0x71, 0x77, 0x78, 0x80, 0x8f, 0x90, 0x98]);
    let p = PLAIN;
    assert_eq!(told, [p, p, p, p, NONE, NONE, p, NONE, NONE, p, NONE]);
}

#[test]
fn a_table_is_the_same_each_time_and_rules_are_shared() {
    let mut frames = Frames::eh_frame();
    frames.fde(TEXT, 16, &[0x41, 0x0e, 16]);
    let file = ElfFile::with_eh_frame(frames.bytes).build();
    let mut rules = Rules::default();
    let first = compile(&file[..], &mut rules).expect("a table");
    let before = rules.as_slice().len();
    assert_eq!(compile(&file[..], &mut rules).expect("a table"), first);
    assert_eq!(rules.as_slice().len(), before);
}

#[test]
fn damaged_instructions_break_their_function_from_there_on() {
    let nest = [0x0a; REMEMBERED_MAX + 1];
    let back = [&[0x44, 0x01][..], &TEXT.to_le_bytes()].concat();
    for damaged in
        [&[0x44, 0x3e][..], &[0x44, 0x0b], &[0x44, 0x0c], &[&[0x44], &nest[..]].concat(), &back]
    {
        let mut frames = Frames::eh_frame();
        frames.fde(TEXT, 16, damaged);
        frames.fde(TEXT + 16, 16, &[]);
        let table = of(frames);
        let told = rules_at(&table, &[0, 3, 4, 15, 16]);
        assert_eq!(told, [PLAIN, PLAIN, RuleId::BROKEN, RuleId::BROKEN, PLAIN], "{damaged:x?}");
        assert_eq!((table.report.dropped.cut, table.report.rows_broken), (1, 1));
    }
}

#[test]
fn entries_that_refer_to_nothing_are_counted() {
    let mut frames = Frames::eh_frame();
    let own = 4;
    for cie in [own, 0x7fff_ffff, 1, 0xffff_ffff] {
        frames.fde_of(cie, TEXT, 16, &[]);
    }
    frames.fde(TEXT, 0, &[]);
    frames.fde(0, 16, &[]);
    frames.fde(TEXT, u64::MAX, &[]);
    frames.fde(u64::MAX, 16, &[]);
    frames.bytes.extend([0xf0, 0, 0, 0, 0, 0]);
    let Report { dropped, fdes, .. } = of(frames).report;
    assert_eq!((dropped.broken, dropped.empty, dropped.outside, fdes), (4, 1, 3, 0));
    assert_eq!(dropped.truncated, 1);
}

#[test]
fn of_overlapping_functions_the_later_start_wins() {
    let mut frames = Frames::eh_frame();
    frames.fde(TEXT + 8, 8, &[0x0e, 24]);
    frames.fde(TEXT, 32, &[0x0e, 16]);
    frames.fde(TEXT, 4, &[0x0e, 32]);
    let table = of(frames);
    let told = rules_at(&table, &[0, 7, 8, 15, 16]);
    let [first, second] = [16, 17].map(RuleId);
    assert_eq!(told, [first, first, second, second, NONE]);
    assert_eq!(table.report.dropped.overlapped, 2);
}

#[test]
fn endless_chains_end_at_a_limit() {
    let mut frames = Frames::eh_frame();
    for _ in 0..=FDES_MAX {
        frames.fde(TEXT, 1, &[]);
    }
    let error = try_table(&ElfFile::with_eh_frame(frames.bytes)).expect_err("refused");
    assert!(matches!(error, CompileError::TooManyFdes), "{error}");
}

#[test]
fn more_rows_than_any_program_has_are_refused() {
    let mut frames = Frames::eh_frame();
    let rows: Vec<u8> = [0x41, 0x0e, 16, 0x41, 0x0e, 8].repeat(3 << 20);
    frames.fde(TEXT, 8 << 20, &rows);
    let file = ElfFile { text_bytes: 8 << 20, ..ElfFile::with_eh_frame(frames.bytes) };
    assert!(matches!(try_table(&file), Err(CompileError::TooManyRows)));
}

#[test]
fn what_must_be_read_again_and_again_is_refused() {
    let mut frames = Frames::eh_frame();
    let nops = vec![0; usize::try_from(CIE_BYTES_MAX).expect("small") - 24];
    let common: Vec<usize> = (0..=CIES_KEPT_MAX)
        .map(|_| {
            let at = frames.bytes.len();
            frames.cie(b"", &nops);
            at
        })
        .collect();
    for &cie in common.iter().cycle().take(200_000) {
        let back = frames.bytes.len() + 4 - cie;
        frames.fde_of(u32::try_from(back).expect("small"), TEXT, 1, &[]);
    }
    let error = try_table(&ElfFile::with_eh_frame(frames.bytes)).expect_err("refused");
    assert!(matches!(error, CompileError::TooMuchWork), "{error}");
}

#[test]
fn no_file_fills_the_machines_rules() {
    let mut frames = Frames::eh_frame();
    let mut instructions = Vec::new();
    for offset in 0..8000_u32 {
        let [low, high] =
            [offset & 0x7f | 0x80, offset >> 7].map(|b| u8::try_from(b).expect("7 bits"));
        instructions.extend([0x41, 0x0e, low, high]);
    }
    frames.fde(TEXT, 0x4000, &instructions);
    let file = ElfFile { text_bytes: 0x4000, ..ElfFile::with_eh_frame(frames.bytes) };
    let mut rules = Rules::default();
    let report = compile(&file.build()[..], &mut rules).expect("a table").report;
    assert!(report.dropped.rules > 3000, "{report:?}");
    assert!(report.rows_broken > 0 && rules.as_slice().len() < 5000);
}

#[test]
fn threads_begin_where_the_return_address_is_undefined_and_at_entry_points() {
    let mut frames = Frames::eh_frame();
    frames.fde(TEXT, 16, &[0x07, 16]);
    frames.fde(TEXT + 0x80, 16, &[]);
    let file = ElfFile { entry: TEXT + 0x70, ..ElfFile::with_eh_frame(frames.bytes) };
    let table = table(&file);
    let told = rules_at(&table, &[0, 15, 16, 0x6f, 0x70, 0x7f, 0x80, 0x90]);
    let end = RuleId::END;
    assert_eq!(told, [end, end, NONE, NONE, end, end, PLAIN, NONE]);
    assert!(table.report.has_entry_stub);
}

#[test]
fn signal_frames_and_states_without_a_rule() {
    let mut frames = Frames::eh_frame();
    frames.cie(b"S", &[]);
    // The CFA is a word of the stack, as are the registers: glibc's __restore_rt.
    let signal =
        [0x0f, 4, 0x77, 0xa0, 1, 0x06, 0x10, 16, 3, 0x77, 0xa8, 1, 0x10, 6, 3, 0x77, 0xf8, 0];
    frames.fde(TEXT, 16, &signal);
    frames.cie(b"", &[]);
    frames.fde(TEXT + 16, 16, &[0x0c, 10, 0]); // CFA = r10
    frames.fde(TEXT + 32, 16, &[0x09, 16, 1]); // return address in rdx
    frames.fde(TEXT + 48, 16, &[0x0f, 1, 0x30]); // CFA = literal 0
    frames.fde(TEXT + 64, 16, &[0x09, 6, 3]); // frame pointer in rbx
    let mut rules = Rules::default();
    let file = ElfFile::with_eh_frame(frames.bytes).build();
    let table = compile(&file[..], &mut rules).expect("a table");
    let unsupported = RuleId::UNSUPPORTED;
    let told = rules_at(&table, &[0, 16, 32, 48, 64]);
    assert_eq!(told, [RuleId(16), unsupported, unsupported, unsupported, RuleId(17)]);
    let [signal, lost] = [16, 17].map(|number| rules.as_slice()[number]);
    assert_eq!((signal.cfa, signal.cfa_offset, signal.flags), (cfa::AT_STACK, 160, flags::SIGNAL));
    assert_eq!((signal.ra, signal.ra_offset), (saved::AT_STACK, 168));
    assert_eq!((signal.frame, signal.frame_offset), (saved::AT_STACK, 120));
    assert_eq!(lost.frame, saved::UNDEFINED);
    let counts = table.report.unsupported;
    assert_eq!((counts.cfa_register, counts.return_address, counts.cfa_expression), (1, 1, 1));
    assert_eq!((counts.frame_pointer, counts.states(), table.report.rows_unsupported), (1, 3, 1));
}

#[test]
fn a_register_after_an_expression_goes_on_with_the_offset_of_before() {
    let mut frames = Frames::eh_frame();
    frames.fde(TEXT, 16, &[0x0e, 56, 0x41, 0x0f, 3, 0x77, 8, 0x06, 0x41, 0x0d, 7]);
    let told = rules_at(&of(frames), &[0, 1, 2]);
    assert_eq!(told, [16, 17, 16].map(RuleId));
}

#[test]
fn debug_frame_tells_what_eh_frame_does_not() {
    let (mut eh, mut debug) = (Frames::eh_frame(), Frames::debug_frame());
    eh.fde(TEXT, 16, &[0x0e, 16]);
    debug.fde(TEXT + 8, 16, &[0x0e, 24]);
    debug.fde(TEXT + 32, 16, &[0x0e, 32]);
    let sections = vec![(".eh_frame", eh.bytes), (".debug_frame", debug.bytes)];
    let table = table(&ElfFile { sections, ..ElfFile::default() });
    let told = rules_at(&table, &[0, 16, 31, 32, 48]);
    assert_eq!(told, [RuleId(16), NONE, NONE, RuleId(17), NONE]);
    assert_eq!(table.report.dropped.duplicate, 1);
}

#[test]
fn stripped_section_headers_leave_the_segment() {
    let mut frames = Frames::eh_frame();
    frames.fde(TEXT, 16, &[]);
    frames.bytes.extend([0; 4]);
    let end = frames.bytes.len();
    frames.fde(TEXT + 16, 16, &[]);
    let mut file = ElfFile::with_eh_frame(frames.bytes);
    // A section has an end of its own, and goes on behind a terminator.
    assert_eq!(rules_at(&table(&file), &[0, 16, 32]), [PLAIN, PLAIN, NONE]);
    file.has_section_headers = false;
    assert_eq!(rules_at(&table(&file), &[0, 16, 32]), [PLAIN, NONE, NONE]);
    file.sections[0].1.truncate(end);
    assert_eq!(table(&file).report.dropped.truncated, 0);
}
