//! Puts the parts together: entries in order of address, each followed and written as rows.

use gimli::{DebugFrame, EhFrame, UnwindSection};
use stoker_unwind::RuleId;

use super::elf::Image;
use super::expression::Bytes;
use super::frames::{Frames, Kind};
use super::go::GoFrames;
use super::limits::ENTRY_BYTES;
use super::program::{Lost, follow};
use super::report::Report;
use super::rows::RowWriter;
use super::rules::Rules;
use super::state::{Meaning, State};
use super::stretches::{self, Stretch, Teller};
use super::{CompileError, Table};

pub(super) struct Compiler<'a> {
    image: &'a Image,
    eh_frame: Option<Frames<'a, EhFrame<Bytes<'a>>>>,
    debug_frame: Option<Frames<'a, DebugFrame<Bytes<'a>>>>,
    text_bytes: u32,
}

impl<'a> Compiler<'a> {
    pub(super) fn new(image: &'a Image) -> Result<Self, CompileError> {
        let bytes = image.text.end - image.text.start;
        Ok(Self {
            image,
            eh_frame: image.eh_frame.as_ref().map(|s| Frames::eh_frame(s, image.text.start)),
            debug_frame: image.debug_frame.as_ref().map(Frames::debug_frame),
            text_bytes: u32::try_from(bytes).map_err(|_| CompileError::TextTooLong(bytes))?,
        })
    }

    pub(super) fn run(mut self, rules: &mut Rules) -> Result<Table, CompileError> {
        rules.begin_file();
        let refused = rules.refused();
        let mut report = Report {
            is_go: self.image.is_go,
            has_compressed_frames: self.image.has_compressed_frames,
            ..Report::default()
        };
        let stretches = self.stretches(&mut report)?;
        let filler = if self.image.is_go { RuleId::FRAME_POINTER } else { RuleId::NONE };
        let rows = RowWriter::new(self.text_bytes, filler);
        let mut output = Output { rows, report, rules, text_start: self.image.text.start };
        for (number, stretch) in stretches.iter().enumerate() {
            let next = stretches.get(number + 1).map_or(u32::MAX, |next| next.start);
            self.write(Stretch { end: stretch.end.min(next), ..*stretch }, &mut output)?;
        }
        let Output { rows, mut report, rules, text_start } = output;
        report.dropped.rules = rules.refused() - refused;
        let (index, rows) = rows.finish(&mut report)?;
        Ok(Table { text_start, text_bytes: self.text_bytes, index, rows, report })
    }

    fn stretches(&mut self, report: &mut Report) -> Result<Vec<Stretch>, CompileError> {
        let (text, dropped) = (&self.image.text, &mut report.dropped);
        let mut all = Vec::new();
        if let Some(frames) = &mut self.eh_frame {
            stretches::add(&mut all, frames, text, dropped)?;
            stretches::sort(&mut all, dropped);
        }
        if let Some(go) = &self.image.go {
            let mut others = Vec::new();
            go.add_to(&mut others);
            stretches::without(&mut others, &all, dropped);
            all.append(&mut others);
            all.sort_unstable();
        }
        if let Some(frames) = &mut self.debug_frame {
            let mut others = Vec::new();
            stretches::add(&mut others, frames, text, dropped)?;
            stretches::without(&mut others, &all, dropped);
            stretches::sort(&mut others, dropped);
            all.append(&mut others);
            all.sort_unstable();
        }
        let entry = self.image.entry.checked_sub(text.start).and_then(|at| u32::try_from(at).ok());
        if let Some(entry) = entry.filter(|_| self.image.entry != 0 && !self.image.is_go) {
            report.has_entry_stub =
                stretches::add_entry_point(&mut all, entry, ENTRY_BYTES, self.text_bytes);
        }
        Ok(all)
    }

    fn write(&mut self, stretch: Stretch, output: &mut Output<'_>) -> Result<(), CompileError> {
        match stretch.teller {
            Teller::EntryPoint => output.rule(stretch.start, stretch.end, RuleId::END),
            Teller::Go(run) => match &self.image.go {
                Some(go) => output.go(go, run, stretch.end),
                None => Ok(()),
            },
            Teller::Fde(Kind::EhFrame, at) => match &mut self.eh_frame {
                Some(frames) => output.entry(frames, at, stretch.end),
                None => Ok(()),
            },
            Teller::Fde(Kind::DebugFrame, at) => match &mut self.debug_frame {
                Some(frames) => output.entry(frames, at, stretch.end),
                None => Ok(()),
            },
        }
    }
}

/// What is written, and where rules are kept.
struct Output<'r> {
    rows: RowWriter,
    report: Report,
    rules: &'r mut Rules,
    text_start: u64,
}

impl Output<'_> {
    fn rule(&mut self, start: u32, end: u32, rule: RuleId) -> Result<(), CompileError> {
        self.rows.write(start, end, rule, &mut self.report)
    }

    /// The rows of a Go function.
    fn go(&mut self, go: &GoFrames, run: u32, end: u32) -> Result<(), CompileError> {
        let Self { rows, report, rules, .. } = self;
        report.go_functions += 1;
        go.rules(run, end, rules, |from, to, rule| rows.write(from, to, rule, report))
    }

    /// The rows of the entry at offset `at` of its section, up to offset `end` of the text.
    fn entry<'a, S>(
        &mut self,
        frames: &mut Frames<'a, S>,
        at: u32,
        end: u32,
    ) -> Result<(), CompileError>
    where
        S: UnwindSection<Bytes<'a>>,
        S::Offset: From<usize>,
    {
        let entry = match frames.entry(at as usize)? {
            Ok(entry) => entry,
            Err(Lost) => {
                self.report.dropped.broken += 1;
                return Ok(());
            }
        };
        let (section, is_signal) = (frames.section(), entry.fde.is_signal_trampoline());
        let lost = follow(section, frames.bases(), &entry, |from, to, state| {
            let rule = self.number(state, section, is_signal);
            let (from, to) = (self.offset(from), self.offset(to).min(end));
            self.rule(from, to, rule)
        })?;
        self.report.fdes += 1;
        if let Some(lost) = lost {
            self.report.dropped.cut += 1;
            self.rule(self.offset(lost), end, RuleId::BROKEN)?;
        }
        Ok(())
    }

    /// Within the text; stretches were checked to be.
    fn offset(&self, address: u64) -> u32 {
        u32::try_from(address - self.text_start).unwrap_or(u32::MAX)
    }

    fn number<'a, S>(&mut self, state: &State, section: &S, is_signal: bool) -> RuleId
    where
        S: UnwindSection<Bytes<'a>>,
    {
        match state.meaning(section, is_signal, &mut self.report.unsupported) {
            Meaning::Rule(rule) => self.rules.number(rule),
            Meaning::End => RuleId::END,
            Meaning::Unsupported => RuleId::UNSUPPORTED,
        }
    }
}
