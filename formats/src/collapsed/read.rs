//! From lines to stacks.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use stoker_dag::{Frame, FrameIx, LabelIx};

use crate::error::{Place, ReadError};
use crate::import::{Imported, ImportedProfile, ImportedRow, ProfileKind, cut, text_of};
use crate::pprof::IMPORT;
use crate::profile_types::cpu_samples;
use crate::{Format, Limits, ReadOptions, gzip};

/// Reads collapsed stacks, gzipped or not. Values count samples unless `options` say what. Comments (`#`) and empty lines are skipped; a line that is
/// no stack is counted in `notes` and named there.
///
/// # Errors
/// When no line at all is a stack, or a limit is exceeded.
pub fn read(bytes: &[u8], options: &ReadOptions) -> Result<Imported, ReadError> {
    let input = gzip::inflate(bytes, options.limits.decompressed_bytes)?;
    let text = text_of(&input);
    let mut reader = Reader {
        limits: &options.limits,
        frames: FxHashMap::default(),
        stack: Vec::new(),
        counts_samples: true,
    };
    let profile_type = options.profile_type.clone().unwrap_or_else(cpu_samples);
    reader.counts_samples = profile_type.unit() == "count";
    let mut imported = Imported::new(Format::Collapsed);
    let mut rows = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim_end_matches('\r');
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        match stack_and_value(line) {
            Ok((stack, value)) => rows.push(reader.row(stack, value, number, &mut imported)?),
            Err(problem) => imported.notes.invalid_line(number, problem),
        }
    }
    if rows.is_empty() {
        return Err(nothing(&imported));
    }
    imported.notes.records = rows.len() as u64;
    imported.add(ImportedProfile {
        profile_type,
        kind: ProfileKind::Delta,
        period: 0,
        start: None,
        duration_ns: 0,
        rows,
    })?;
    Ok(imported)
}

fn nothing(imported: &Imported) -> ReadError {
    match imported.notes.first_invalid.first() {
        Some(first) => {
            let problem = format!("{}, and no other line is a stack", first.problem);
            ReadError::malformed(Format::Collapsed, Place::Line(first.line), problem)
        }
        None => ReadError::Empty,
    }
}

/// The stack of a line and its value.
pub(crate) fn stack_and_value(line: &str) -> Result<(&str, u64), &'static str> {
    let Some((stack, value)) = line.trim_end().rsplit_once([' ', '\t']) else {
        return Err("there is no value after a space");
    };
    if stack.trim().is_empty() {
        return Err("there is no stack before the value");
    }
    if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("the value is no whole number");
    }
    let value = value.parse().map_err(|_| "the value is above 2^64")?;
    Ok((stack.trim_end(), value))
}

struct Reader<'a, 't> {
    limits: &'a Limits,
    frames: FxHashMap<&'t str, FrameIx>,
    stack: Vec<FrameIx>,
    counts_samples: bool,
}

impl<'t> Reader<'_, 't> {
    fn row(
        &mut self,
        stack: &'t str,
        value: u64,
        line: usize,
        imported: &mut Imported,
    ) -> Result<ImportedRow, ReadError> {
        let place = || Place::Line(line);
        imported.notes.records += 1;
        if imported.notes.records > self.limits.samples as u64 {
            let (what, limit) = ("stacks", self.limits.samples);
            return Err(ReadError::TooLarge { what, limit, place: place() });
        }
        self.stack.clear();
        if stack != crate::text::NO_STACK {
            let mut from = 0;
            // A separator is one byte, so that every cut lies between characters.
            let ends = memchr::memchr_iter(b';', stack.as_bytes()).chain([stack.len()]);
            for end in ends {
                let name = &stack[from..end];
                from = end + 1;
                let frame = match self.frames.get(name) {
                    Some(&known) => known,
                    None => self.frame(name, imported, place)?,
                };
                self.stack.push(frame);
            }
        }
        let node = imported.leaf(&self.stack, self.limits, place)?;
        let count = if self.counts_samples { value } else { u64::from(value != 0) };
        Ok(ImportedRow { node, attributes: LabelIx::default(), value, count })
    }

    fn frame(
        &mut self,
        name: &'t str,
        imported: &mut Imported,
        place: impl Fn() -> Place,
    ) -> Result<FrameIx, ReadError> {
        if self.frames.len() >= self.limits.table_entries {
            let (what, limit) = ("distinct frames", self.limits.table_entries);
            return Err(ReadError::TooLarge { what, limit, place: place() });
        }
        let kept = cut(name.trim(), self.limits, &mut imported.notes);
        let ix = imported.frames.intern(&named(&kept));
        self.frames.insert(name, ix);
        Ok(ix)
    }
}

/// A frame of which nothing is known but its name.
pub(crate) fn named(function: &str) -> Frame {
    let (runtime, module): (Arc<str>, Arc<str>) = (IMPORT.into(), "".into());
    Frame::Interpreted { runtime, module, function: function.into(), line: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_stacks_or_say_why_not() {
        for (line, wanted) in [
            ("a;b 3", Ok(("a;b", 3))),
            ("a b;c d 3 ", Ok(("a b;c d", 3))),
            ("a\t3", Ok(("a", 3))),
            ("invalid", Err("there is no value after a space")),
            (" 3", Err("there is no stack before the value")),
            ("a -3", Err("the value is no whole number")),
            ("a 1.5", Err("the value is no whole number")),
            ("a 99999999999999999999", Err("the value is above 2^64")),
        ] {
            assert_eq!(stack_and_value(line), wanted, "{line}");
        }
    }
}
