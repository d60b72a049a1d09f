//! Frames of Go's functions, from the table by which Go's own runtime follows stacks: no `strip` takes
//! it away, and unlike frame pointers it is right at every instruction.

use stoker_symbols::elf::NamedSection;
use stoker_symbols::go::{GoFrameKind, GoFrameSink, GoFunction, GoTable};
use stoker_unwind::{Rule, RuleId, cfa, flags, saved};

use super::CompileError;
use super::limits::{FDES_MAX, GO_RUNS_MAX};
use super::rules::Rules;
use super::stretches::{Stretch, Teller, Text};
use crate::process::ReadAt;

/// In the frame that the kernel makes for a signal, from where the stack pointer is when the handler
/// has returned: frame pointer, stack pointer and instruction pointer of what was interrupted
/// (`struct rt_sigframe` and `struct sigcontext_64` in the kernel's arch/x86/include).
const SIGNAL_FRAME_POINTER: i32 = 120;
const SIGNAL_STACK_POINTER: i32 = 160;
const SIGNAL_PROGRAM_COUNTER: i16 = 168;

/// How the frame is followed in a run of instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// The return address is so many bytes above the stack pointer.
    Size(u32),
    Start,
    FramePointer,
    SignalReturn,
}

/// A run of instructions, as offsets in the text; ends with the function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    start: u32,
    end: u32,
    how: How,
}

/// All functions of a file that Go compiled.
#[derive(Debug, Default)]
pub(super) struct GoFrames {
    /// Start, end, and the first run.
    functions: Vec<(u32, u32, u32)>,
    runs: Vec<Run>,
}

impl GoFrames {
    /// Reads the table; `None` where there is none that can be read.
    ///
    /// # Errors
    /// When it has more functions or runs than are read.
    pub(super) fn read<R: ReadAt + ?Sized>(
        file: &R,
        sections: &[NamedSection],
        text: &Text,
    ) -> Result<Option<Self>, CompileError> {
        let Ok(table) = GoTable::of(file, sections) else { return Ok(None) };
        let mut reading = Reading { text, kind: None, steps: 0, frames: Self::default() };
        table.frames(file, &mut reading)?;
        Ok(Some(reading.frames))
    }

    /// A stretch for each function.
    pub(super) fn add_to(&self, stretches: &mut Vec<Stretch>) {
        let stretch = |(start, end, run): &(u32, u32, u32)| Stretch {
            start: *start,
            teller: Teller::Go(*run),
            end: *end,
        };
        stretches.extend(self.functions.iter().map(stretch));
    }

    /// Calls `each` with the rules from this run on, up to offset `end` of the text.
    pub(super) fn rules(
        &self,
        first: u32,
        end: u32,
        rules: &mut Rules,
        mut each: impl FnMut(u32, u32, RuleId) -> Result<(), CompileError>,
    ) -> Result<(), CompileError> {
        let runs = self.runs.get(first as usize..).unwrap_or_default();
        for run in runs.iter().take_while(|run| run.start < end) {
            each(run.start, run.end.min(end), run.how.rule(rules))?;
        }
        Ok(())
    }
}

impl How {
    fn rule(self, rules: &mut Rules) -> RuleId {
        let rule = match self {
            Self::Start => return RuleId::END,
            Self::FramePointer => return RuleId::FRAME_POINTER,
            Self::SignalReturn => Rule {
                cfa: cfa::AT_STACK,
                cfa_offset: SIGNAL_STACK_POINTER,
                frame: saved::AT_STACK,
                frame_offset: SIGNAL_FRAME_POINTER,
                ra: saved::AT_STACK,
                ra_offset: SIGNAL_PROGRAM_COUNTER,
                flags: flags::SIGNAL,
                operand: 0,
            },
            Self::Size(size) => of_size(size),
        };
        match rules.number(rule) {
            // No room for one more size: the compiler keeps frame pointers too.
            RuleId::BROKEN => RuleId::FRAME_POINTER,
            number => number,
        }
    }
}

/// The compiler saves the frame pointer right below the return address, if there is a frame.
fn of_size(size: u32) -> Rule {
    let (frame, frame_offset) = if size == 0 { (saved::SAME, 0) } else { (saved::AT_CFA, -16) };
    Rule {
        cfa: cfa::STACK,
        cfa_offset: i32::try_from(size).unwrap_or(i32::MAX - 8) + 8,
        frame,
        frame_offset,
        ra: saved::AT_CFA,
        ra_offset: -8,
        ..Rule::default()
    }
}

struct Reading<'a> {
    text: &'a Text,
    /// Of the function that is read now; `None` where it lies outside of the text.
    kind: Option<GoFrameKind>,
    steps: usize,
    frames: GoFrames,
}

impl Reading<'_> {
    /// An address as an offset in the text.
    fn offset(&self, address: u64) -> Option<u32> {
        let inside = address <= self.text.end;
        let offset = address.checked_sub(self.text.start).filter(|_| inside)?;
        u32::try_from(offset).ok()
    }

    fn push(&mut self, start: u32, end: u32, how: How) {
        if start >= end {
            return;
        }
        let of_function = self.frames.functions.last().map_or(0, |(.., first)| *first as usize);
        let is_first = self.frames.runs.len() == of_function;
        match self.frames.runs.last_mut().filter(|run| !is_first && run.how == how) {
            Some(run) => run.end = end,
            None => self.frames.runs.push(Run { start, end, how }),
        }
    }
}

impl GoFrameSink for Reading<'_> {
    type Stop = CompileError;

    fn function(&mut self, function: &GoFunction) -> Result<(), CompileError> {
        if self.frames.functions.len() >= FDES_MAX {
            return Err(CompileError::TooManyFdes);
        }
        let place = self.offset(function.start).zip(self.offset(function.end));
        self.kind = place.map(|_| function.kind);
        let Some((start, end)) = place else { return Ok(()) };
        let first = u32::try_from(self.frames.runs.len()).unwrap_or(u32::MAX);
        // A handler returns to its first byte, and callers are looked up a byte before.
        let is_signal = function.kind == GoFrameKind::SignalReturn;
        let start = start.saturating_sub(u32::from(is_signal));
        self.frames.functions.push((start, end, first));
        match function.kind {
            GoFrameKind::Sized => {}
            GoFrameKind::Start => self.push(start, end, How::Start),
            GoFrameKind::SwitchesStack => self.push(start, end, How::FramePointer),
            GoFrameKind::SignalReturn => self.push(start, end, How::SignalReturn),
        }
        Ok(())
    }

    fn size(&mut self, start: u64, end: u64, size: Option<u32>) -> Result<(), CompileError> {
        self.steps += 1;
        if self.steps > GO_RUNS_MAX {
            return Err(CompileError::TooManyRows);
        }
        if self.kind == Some(GoFrameKind::Sized)
            && let (Some(start), Some(end)) = (self.offset(start), self.offset(end))
        {
            self.push(start, end, size.map_or(How::FramePointer, How::Size));
        }
        Ok(())
    }
}
