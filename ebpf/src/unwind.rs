//! User stacks by tables.
//!
//! The step from a frame to its caller is `stoker-unwind`'s, the same code that the host tests run;
//! here is the machine under it: mappings, tables and rules out of maps, memory of the interrupted
//! process through a window that is read ahead.
//!
//! Why a window: reading eight bytes of a process costs nearly as much as reading some hundred, and
//! a stack is walked upwards.

use core::{arch::asm, ffi::c_void};

use aya_ebpf::{
    bindings::pt_regs,
    helpers::generated::{
        bpf_get_current_task_btf, bpf_loop, bpf_probe_read_user, bpf_task_pt_regs,
    },
};
use stoker_ebpf_abi::{
    FRAMES_MAX, MAPPING_PAGE_LEN, Mapping, Process, SampleHeader, TABLE_PAGE_WORDS, TableSpan,
    UNWIND_MAPPINGS_MAX, flags,
};
use stoker_unwind::{Cursor, Machine, Outcome, Place, Row, Rule, RuleId, Step, all_ones_if_less, step};

use crate::{
    maps::{MAPPING_PAGES, PROCESSES, RULES, SCRATCH, TABLE_PAGES, TABLES},
    sample::Frames,
};

/// Words of the window, a power of two.
const WINDOW_WORDS: usize = 64;
const WINDOW_BYTES: u32 = (WINDOW_WORDS * 8) as u32;

/// Steps of the search among a process's mappings.
const MAPPING_STEPS: u32 = UNWIND_MAPPINGS_MAX.ilog2() + 1;

/// The code segment of 64-bit user code (`__USER_CS` in arch/x86/include/asm/segment.h).
const USER_CODE_64: u16 = 0x33;

/// What a walk up a stack remembers, in the map that a record is put together in.
#[repr(C)]
pub struct Walk {
    cursor: Cursor,
    /// Frames recorded.
    depth: u32,
    /// The code of the [`Outcome`], once there is one.
    outcome: u32,
    process: Process,
    /// The mapping found last and its table: neighbouring frames mostly share them.
    mapping: Mapping,
    table: TableSpan,
    /// Where the window's first word lies in the process.
    window_at: u64,
    window: [u64; WINDOW_WORDS],
}

/// What a walk gave.
pub struct Walked {
    pub frames: usize,
    /// The code of the [`Outcome`].
    pub outcome: u8,
    /// The reason for which a frame was guessed; 0 where none was.
    pub guessed: u8,
}

impl Walked {
    /// Number of frames, flags to set, what became of the stack.
    #[inline(always)]
    pub fn described(&self) -> (usize, u32, u32) {
        let too_deep = self.outcome == Outcome::TooDeep.code();
        let flags = if too_deep { flags::USER_TRUNCATED } else { 0 };
        (self.frames, flags, SampleHeader::unwind_word(self.outcome, self.guessed))
    }
}

/// Walks up the user stack of the current task, a thread of `tgid`; `None` where the tables know
/// nothing of it, so that the kernel's own walk is the better one.
#[inline(always)]
pub fn user_stack(tgid: u32) -> Option<Walked> {
    let process = PROCESSES.get_ptr(tgid)?;
    // SAFETY: the kernel gave the pointer for the program's duration; the agent replaces entries
    // as a whole, at worst between the two loads, and then a walk goes wrong as it may.
    let process = unsafe { *process };
    let walk = walk()?;
    if !start(walk, process) {
        return None;
    }
    // SAFETY: the callback has the signature that the helper asks for and takes no context.
    unsafe { bpf_loop(FRAMES_MAX as u32, round as *mut c_void, core::ptr::null_mut(), 0) };
    let walk = self::walk()?;
    let outcome = if walk.outcome == 0 { Outcome::TooDeep as u32 } else { walk.outcome };
    // Not a single address is known: what is loaded is another program's.
    if outcome == Outcome::NoMapping as u32 && walk.depth <= 1 {
        return None;
    }
    let frames = walk.depth as usize & FRAMES_MAX;
    Some(Walked { frames, outcome: outcome as u8, guessed: walk.cursor.guessed as u8 })
}

#[inline(always)]
fn walk() -> Option<&'static mut Walk> {
    let scratch = SCRATCH.get_ptr_mut(0)?;
    // SAFETY: this CPU's slot, used by this program alone (see `maps::count`); the caller of
    // `user_stack` holds no other reference into this field.
    Some(unsafe { &mut (*scratch).walk })
}

/// Sets the walk to the task's registers; false where it has none, or they are not of 64-bit code.
///
/// Not inlined: LLVM would merge its loads with those from the program's context, which the
/// verifier refuses.
#[inline(never)]
fn start(walk: &mut Walk, process: Process) -> bool {
    // SAFETY: the helper returns the current task, which is always there.
    let task = unsafe { bpf_get_current_task_btf() };
    // SAFETY: the task is the current one.
    let regs = unsafe { bpf_task_pt_regs(task) } as *const pt_regs;
    if regs.is_null() {
        return false;
    }
    // SAFETY: the verifier knows the pointer's type and checks the loads.
    let cs = unsafe { core::ptr::read_volatile((&raw const (*regs).cs).cast::<u16>()) };
    if cs != USER_CODE_64 {
        return false;
    }
    // SAFETY: as above.
    let (pc, system_call) = (unsafe { (*regs).rip }, unsafe { (*regs).orig_rax });
    // In a system call (arch/x86/entry/entry_64.S; -1 otherwise) the next instruction is the one
    // behind it, which may be another function's already.
    let pc = if system_call.cast_signed() >= 0 { pc.wrapping_sub(1) } else { pc };
    walk.cursor = Cursor {
        pc,
        // SAFETY: as above.
        sp: unsafe { (*regs).rsp },
        // SAFETY: as above.
        bp: unsafe { (*regs).rbp },
        kind: stoker_unwind::kind::LEAF,
        guessed: 0,
    };
    walk.depth = 0;
    walk.outcome = 0;
    walk.process = process;
    walk.mapping.start = 0;
    walk.mapping.end = 0;
    walk.window_at = u64::MAX;
    true
}

/// One round of the loop: one frame. Returns 1 at the end.
unsafe extern "C" fn round(_round: u64, _context: *mut c_void) -> i64 {
    let Some(scratch) = SCRATCH.get_ptr_mut(0) else { return 1 };
    // SAFETY: this CPU's slot, used by this program alone (see `maps::count`).
    let scratch = unsafe { &mut *scratch };
    let walk = &mut scratch.walk;
    let mut cursor = walk.cursor;
    match step(&mut Kernel(walk), &mut cursor) {
        Step::Caller(address) => {
            record(&mut scratch.frames, walk, address);
            walk.cursor = cursor;
            0
        }
        Step::Last(address, outcome) => {
            record(&mut scratch.frames, walk, address);
            walk.cursor.guessed = cursor.guessed;
            walk.outcome = outcome as u32;
            1
        }
        Step::Nothing(outcome) => {
            walk.outcome = outcome as u32;
            1
        }
    }
}

#[inline(always)]
fn record(frames: &mut Frames, walk: &mut Walk, address: u64) {
    if let Some(frame) = frames.get_mut(walk.depth as usize & FRAMES_MAX) {
        *frame = address;
    }
    walk.depth += 1;
}

/// The interrupted process, as the kernel's maps and its memory show it.
struct Kernel<'a>(&'a mut Walk);

impl Machine for Kernel<'_> {
    #[inline(always)]
    fn find(&mut self, address: u64) -> Place {
        let walk = &mut *self.0;
        let is_inside = address >= walk.mapping.start && address < walk.mapping.end;
        if !is_inside && !search(walk, address) {
            return Place::Unmapped;
        }
        if walk.table.blocks == 0 {
            return Place::NoTable;
        }
        Place::Text(address.wrapping_sub(walk.mapping.text))
    }

    #[inline(always)]
    fn index(&mut self, at: u64) -> Option<u32> {
        let table = &self.0.table;
        if at > table.blocks as u64 {
            return None;
        }
        table_word(table.index_at.wrapping_add(at as u32))
    }

    #[inline(always)]
    fn row(&mut self, at: u32) -> Option<Row> {
        let table = &self.0.table;
        if at >= table.rows {
            return None;
        }
        table_word(table.rows_at.wrapping_add(at)).map(Row)
    }

    #[inline(always)]
    fn rule(&mut self, id: RuleId) -> Option<Rule> {
        RULES.get(id.0 as u32).copied()
    }

    #[inline(always)]
    fn word(&mut self, address: u64) -> Option<u64> {
        let mut word = 0;
        if read(self.0, address, &mut word) { Some(word) } else { None }
    }

    #[inline(always)]
    fn opaque(number: u64) -> u64 {
        opaque(number)
    }
}

/// Hides a number's origin from LLVM, which would turn arithmetic on it into branches.
#[inline(always)]
fn opaque(mut number: u64) -> u64 {
    // SAFETY: copies a register to itself. (Without any instruction the line information names one
    // place twice, which the kernel refuses.)
    unsafe { asm!("{0} = {0}", inout(reg) number, options(pure, nomem, nostack, preserves_flags)) };
    number
}

#[inline(always)]
fn table_word(at: u32) -> Option<u32> {
    let page = TABLE_PAGES.get(at / TABLE_PAGE_WORDS as u32)?;
    page.get(at as usize & (TABLE_PAGE_WORDS - 1)).copied()
}

/// Finds the mapping that holds `address` and its table.
#[inline(always)]
fn search(walk: &mut Walk, address: u64) -> bool {
    // As in the search for a row: no branch on what is compared.
    let (mut after, mut left) = (0_u32, walk.process.mappings);
    for _ in 0..MAPPING_STEPS {
        if left == 0 {
            break;
        }
        let half = left >> 1;
        let Some(mapping) = mapping(walk, after + half) else { return false };
        let is_before = all_ones_if_less(opaque(mapping.start), address.wrapping_add(1));
        after += (half + 1) & is_before;
        left = (half & !is_before) | ((left - half - 1) & is_before);
    }
    if after == 0 {
        return false;
    }
    let Some(found) = mapping(walk, after - 1) else { return false };
    if address < found.start || address >= found.end {
        return false;
    }
    let table = found.table;
    walk.mapping = copied(found);
    walk.table = TABLES.get(table).copied().unwrap_or_default();
    true
}

/// A copy field by field: LLVM would make a call to a loop over bytes of it.
#[inline(always)]
fn copied(mapping: &Mapping) -> Mapping {
    let word = |from: &u64| {
        // SAFETY: reads a reference.
        unsafe { core::ptr::read_volatile(from) }
    };
    Mapping {
        start: word(&mapping.start),
        end: word(&mapping.end),
        text: word(&mapping.text),
        table: mapping.table,
        reserved: 0,
    }
}

#[inline(always)]
fn mapping(walk: &Walk, at: u32) -> Option<&'static Mapping> {
    let page = walk.process.page.wrapping_add(at / MAPPING_PAGE_LEN as u32);
    let page = MAPPING_PAGES.get(page)?;
    page.get(at as usize & (MAPPING_PAGE_LEN - 1))
}

/// Eight bytes of the process: out of the window, which is moved there if need be.
#[inline(always)]
fn read(walk: &mut Walk, address: u64, word: &mut u64) -> bool {
    let offset = address.wrapping_sub(walk.window_at);
    if offset <= (WINDOW_BYTES - 8) as u64 && offset & 7 == 0 {
        let at = (offset >> 3) as usize & (WINDOW_WORDS - 1);
        *word = walk.window[at];
        return true;
    }
    refill(walk, address, word)
}

#[inline(never)]
fn refill(walk: &mut Walk, address: u64, word: &mut u64) -> bool {
    let to = walk.window.as_mut_ptr().cast();
    // SAFETY: the window has so many bytes; the helper checks the address.
    let failed = unsafe { bpf_probe_read_user(to, WINDOW_BYTES, address as *const c_void) };
    if failed == 0 {
        walk.window_at = address;
        *word = walk.window[0];
        return true;
    }
    // The end of the stack may be nearer than that, and the helper has zeroed the window.
    walk.window_at = u64::MAX;
    let to = core::ptr::from_mut(word).cast();
    // SAFETY: a word has eight bytes; the helper checks the address.
    unsafe { bpf_probe_read_user(to, 8, address as *const c_void) == 0 }
}
