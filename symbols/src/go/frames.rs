//! How large the frame of each function is at each instruction, as the runtime keeps it for its own
//! tracebacks: what a stack is followed by that no `.eh_frame` describes.
//!
//! Source: Go's `runtime/symtab.go` (`funcspdelta`, `funcFlag`) and `runtime/traceback.go`.

use std::cell::RefCell;
use std::io;

use super::layout::GoVersion;
use super::piece::Piece;
use super::table::{Func, GoTable, STEPS_MAX, Steps};
use crate::elf::ReadAt;

/// `abi.FuncFlagTopFrame`: the function stands at the start of its stack.
const FLAG_TOP_FRAME: u8 = 1;
/// `abi.FuncFlagSPWrite`: the function sets its stack pointer to something else.
const FLAG_SP_WRITE: u8 = 2;
/// Functions without a frame whose names are read: the return from a signal is one of them and no
/// flag says so. It has ten bytes or so.
const TINY_BYTES_MAX: u64 = 48;
/// A frame is no larger (goroutines' stacks are bounded by 1 GB; frames of compiled code by far less).
const FRAME_BYTES_MAX: i32 = 1 << 30;

/// A function, its addresses those of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoFunction {
    /// Its first address.
    pub start: u64,
    /// The next function's.
    pub end: u64,
    /// What is special about its frame.
    pub kind: GoFrameKind,
}

/// What is special about a function's frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GoFrameKind {
    /// Nothing: the sizes tell all.
    Sized,
    /// It stands at the start of a stack, or at the start of what is done on the scheduler's.
    Start,
    /// It changes stacks under itself; its frame pointer is kept.
    SwitchesStack,
    /// The return from a signal's handler: below lies what the signal interrupted.
    SignalReturn,
}

/// What is found, in order of address. `Err` ends the walk.
pub trait GoFrameSink {
    /// Why it ends.
    type Stop;

    /// A function begins.
    ///
    /// # Errors
    /// To end the walk.
    fn function(&mut self, function: &GoFunction) -> Result<(), Self::Stop>;

    /// From `start` on to `end` the stack pointer is `size` bytes below the return address; `None`
    /// where the table does not say so.
    ///
    /// # Errors
    /// To end the walk.
    fn size(&mut self, start: u64, end: u64, size: Option<u32>) -> Result<(), Self::Stop>;
}

impl GoTable {
    /// Tells `sink` of every function and of the sizes of its frame. Functions that make no sense are
    /// passed over.
    ///
    /// # Errors
    /// Those of the sink.
    pub fn frames<R: ReadAt + ?Sized, S: GoFrameSink>(
        &self,
        file: &R,
        sink: &mut S,
    ) -> Result<(), S::Stop> {
        let pages = Pages::new(file);
        let table = self.piece(&pages);
        let mut last_end = 0;
        for index in 0..self.layout.functions {
            let Some(func) = self.numbered(&table, index).filter(|func| func.entry >= last_end)
            else {
                continue;
            };
            last_end = func.end;
            let at = |offset: u64| self.text.saturating_add(offset);
            let kind = self.kind(&table, &func);
            sink.function(&GoFunction { start: at(func.entry), end: at(func.end), kind })?;
            self.sizes(&table, &func, sink)?;
        }
        Ok(())
    }

    fn kind<R: ReadAt + ?Sized>(&self, table: &Piece<'_, R>, func: &Func) -> GoFrameKind {
        let flags = table.u8(func.at + self.layout.func_id() + 1).unwrap_or(0);
        let is_flagged = flags & (FLAG_TOP_FRAME | FLAG_SP_WRITE) != 0;
        // Before Go 1.17 there were no flags.
        let is_old = self.layout.version == GoVersion::Go116;
        if !is_flagged && !is_old && func.end - func.entry > TINY_BYTES_MAX {
            return GoFrameKind::Sized;
        }
        let name = self.field(table, func, 0).and_then(|name| self.name(table, name));
        match name.as_deref().unwrap_or_default() {
            "runtime.sigreturn" | "runtime.sigreturn__sigaction" => GoFrameKind::SignalReturn,
            // The kernel calls it, and returns through the former.
            "runtime.sigtramp" | "runtime.cgoSigtramp" | "runtime.sigprofNonGoWrapper" => {
                GoFrameKind::Sized
            }
            // The scheduler's work after these is nobody's whom it has left.
            "runtime.mcall" | "runtime.morestack" | "runtime.goexit" | "runtime.mstart"
            | "runtime.rt0_go" => GoFrameKind::Start,
            "runtime.systemstack" | "runtime.asmcgocall" => GoFrameKind::SwitchesStack,
            _ if flags & FLAG_TOP_FRAME != 0 => GoFrameKind::Start,
            _ if flags & FLAG_SP_WRITE != 0 => GoFrameKind::SwitchesStack,
            _ => GoFrameKind::Sized,
        }
    }

    fn sizes<R: ReadAt + ?Sized, S: GoFrameSink>(
        &self,
        table: &Piece<'_, R>,
        func: &Func,
        sink: &mut S,
    ) -> Result<(), S::Stop> {
        let mut from = func.entry;
        let absolute = |offset: u64| self.text.saturating_add(offset);
        let list = self.field(table, func, 12).and_then(|list| u64::try_from(list).ok());
        let list = list.filter(|&list| list > 0);
        if let Some(at) = list.and_then(|list| self.layout.pcs.checked_add(list)) {
            let mut steps = Steps::new(table, at);
            let mut value = -1;
            for step in 0..STEPS_MAX {
                let Some((next, length)) = steps.pair(value, step == 0) else { break };
                value = next;
                let until = from.saturating_add(u64::from(length) * self.layout.quantum);
                let until = until.min(func.end);
                let size = (0..FRAME_BYTES_MAX).contains(&value).then_some(value.cast_unsigned());
                sink.size(absolute(from), absolute(until), size)?;
                from = until;
                if from >= func.end {
                    return Ok(());
                }
            }
        }
        sink.size(absolute(from), absolute(func.end), None)
    }
}

/// Bytes of a page, and how many are kept: functions, what is said of them, their sizes and some names
/// are read side by side, each mostly in order.
const PAGE_BYTES: usize = 16 << 10;
const PAGES_KEPT: usize = 64;

/// Reads a file by pages and keeps some, because what follows are millions of reads of a few bytes.
struct Pages<'a, R: ?Sized> {
    file: &'a R,
    kept: RefCell<Vec<(u64, Vec<u8>)>>,
}

impl<'a, R: ReadAt + ?Sized> Pages<'a, R> {
    fn new(file: &'a R) -> Self {
        Self { file, kept: RefCell::new(vec![(u64::MAX, Vec::new()); PAGES_KEPT]) }
    }
}

impl<R: ReadAt + ?Sized> ReadAt for Pages<'_, R> {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut kept = self.kept.borrow_mut();
        let mut done = 0;
        while done < buffer.len() {
            let at = offset.saturating_add(done as u64);
            let number = at / PAGE_BYTES as u64;
            let within = usize::try_from(at % PAGE_BYTES as u64).unwrap_or(0);
            let slot = usize::try_from(number).unwrap_or(0) % PAGES_KEPT;
            let (held, bytes) = &mut kept[slot];
            if *held != number {
                bytes.resize(PAGE_BYTES, 0);
                let count = self.file.read_at(number.saturating_mul(PAGE_BYTES as u64), bytes)?;
                bytes.truncate(count);
                *held = number;
            }
            let rest = bytes.get(within..).unwrap_or_default();
            let count = rest.len().min(buffer.len() - done);
            buffer[done..done + count].copy_from_slice(&rest[..count]);
            done += count;
            if count == 0 {
                break;
            }
        }
        Ok(done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_give_what_the_file_holds() {
        let file: Vec<u8> = (0..=250).cycle().take(PAGE_BYTES * 3 + 7).collect();
        let pages = Pages::new(&file[..]);
        for (at, size) in [(0, 10), (PAGE_BYTES - 3, 9), (5, PAGE_BYTES * 2), (file.len() - 4, 9)] {
            let mut buffer = vec![0; size];
            let count = pages.read_at(at as u64, &mut buffer).expect("bytes in memory");
            assert_eq!(count, size.min(file.len() - at));
            assert_eq!(buffer[..count], file[at..at + count]);
        }
        assert_eq!(pages.read_at(u64::MAX - 3, &mut [0; 8]).expect("nothing there"), 0);
    }
}
