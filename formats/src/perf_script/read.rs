//! From lines to stacks, one profile for each event type.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use stoker_dag::{Frame, FrameIx, LabelIx, LabelSet, NodeIx, ProfileType};

use super::lines::{Header, StackLine};
use super::names::functions;
use crate::error::{Place, ReadError};
use crate::import::{Imported, ImportedProfile, ImportedRow, ProfileKind, cut, text_of};
use crate::limits::MAX_PROFILES;
use crate::pprof::{IMPORT, base_name};
use crate::profile_types::{cpu_samples, unique};
use crate::{Format, Limits, ReadOptions, gzip};

/// Reads the text of `perf script`, gzipped or not. Each event's stack starts with the name of its
/// program; program, process and thread are attributes too. An event is worth its period, or 1 where
/// periods were not printed.
///
/// # Errors
/// When there is no event, or a limit is exceeded.
pub fn read(bytes: &[u8], options: &ReadOptions) -> Result<Imported, ReadError> {
    let input = gzip::inflate(bytes, options.limits.decompressed_bytes)?;
    let text = text_of(&input);
    let mut reader = Reader::new(&options.limits);
    for (number, line) in (1..).zip(text.lines()) {
        reader.line(line.trim_end(), number)?;
    }
    reader.finish()
}

struct Reader<'a, 't> {
    limits: &'a Limits,
    imported: Imported,
    import: Arc<str>,
    /// The event that is being read, and its frames, innermost first as they come.
    event: Option<(Header<'t>, usize)>,
    stack: Vec<FrameIx>,
    comms: FxHashMap<&'t str, FrameIx>,
    /// Frames of a line, innermost first.
    named: FxHashMap<(&'t str, &'t str, bool), Vec<FrameIx>>,
    threads: FxHashMap<(&'t str, Option<&'t str>, &'t str), LabelIx>,
    events: Vec<Event<'t>>,
}

/// All events of one type.
struct Event<'t> {
    name: &'t str,
    has_period: bool,
    rows: FxHashMap<(NodeIx, LabelIx), usize>,
    profile_rows: Vec<ImportedRow>,
    first_ns: u64,
    last_ns: u64,
}

impl<'a, 't> Reader<'a, 't> {
    fn new(limits: &'a Limits) -> Self {
        Self {
            limits,
            imported: Imported::new(Format::PerfScript),
            import: IMPORT.into(),
            event: None,
            stack: Vec::new(),
            comms: FxHashMap::default(),
            named: FxHashMap::default(),
            threads: FxHashMap::default(),
            events: Vec::new(),
        }
    }

    fn line(&mut self, line: &'t str, number: usize) -> Result<(), ReadError> {
        if line.starts_with('#') {
            if let Some(command) = line.strip_prefix("# cmdline : ") {
                self.imported.comment(command);
            }
            return Ok(());
        }
        if line.is_empty() {
            return self.end_event();
        }
        if self.event.is_some()
            && let Some(frame) = StackLine::parse(line)
        {
            return self.frame(frame, number);
        }
        match Header::parse(line) {
            Some(header) => {
                self.end_event()?;
                let single = StackLine::parse(header.rest);
                self.event = Some((header, number));
                single.map_or(Ok(()), |frame| self.frame(frame, number))
            }
            None => {
                self.imported.notes.invalid_line(number, "it is neither an event nor a frame");
                Ok(())
            }
        }
    }

    fn frame(&mut self, line: StackLine<'t>, number: usize) -> Result<(), ReadError> {
        let comm = self.event.as_ref().map_or("", |(header, _)| header.comm);
        let key = (line.function, line.module, comm.starts_with("java"));
        if !self.named.contains_key(&key) {
            let made = self.make(line, key.2, number)?;
            self.named.insert(key, made);
        }
        // One more than the limit shows that there were more.
        if self.stack.len() <= self.limits.stack_depth {
            self.stack.extend_from_slice(&self.named[&key]);
        }
        Ok(())
    }

    fn make(
        &mut self,
        line: StackLine<'t>,
        is_java: bool,
        number: usize,
    ) -> Result<Vec<FrameIx>, ReadError> {
        if self.imported.frames.len() >= self.limits.table_entries {
            let (what, limit) = ("distinct frames", self.limits.table_entries);
            return Err(ReadError::TooLarge { what, limit, place: Place::Line(number) });
        }
        let module = match line.module {
            "[unknown]" | "inlined" => "",
            path => base_name(path),
        };
        let module: Arc<str> = cut(module, self.limits, &mut self.imported.notes).as_ref().into();
        let names = functions(line, is_java);
        Ok(names.iter().rev().map(|name| self.intern(name, &module)).collect())
    }

    fn intern(&mut self, name: &str, module: &Arc<str>) -> FrameIx {
        let function = cut(name, self.limits, &mut self.imported.notes);
        self.imported.frames.intern(&Frame::Interpreted {
            runtime: Arc::clone(&self.import),
            module: Arc::clone(module),
            function: function.as_ref().into(),
            line: 0,
        })
    }

    fn end_event(&mut self) -> Result<(), ReadError> {
        let Some((header, number)) = self.event.take() else {
            return Ok(());
        };
        let comm = match self.comms.get(header.comm) {
            Some(&known) => known,
            None => {
                // As inferno shows it.
                let frame = self.intern(&header.comm.replace(' ', "_"), &Arc::from(""));
                self.comms.insert(header.comm, frame);
                frame
            }
        };
        self.stack.push(comm);
        self.stack.reverse();
        let node = self.imported.leaf(&self.stack, self.limits, || Place::Line(number))?;
        self.stack.clear();
        let attributes = self.thread(&header);
        self.count(&header, node, attributes, number)
    }

    fn thread(&mut self, header: &Header<'t>) -> LabelIx {
        let key = (header.comm, header.pid, header.tid);
        if let Some(&known) = self.threads.get(&key) {
            return known;
        }
        let comm = cut(header.comm, self.limits, &mut self.imported.notes);
        let pid = header.pid.unwrap_or("");
        let set = LabelSet::new([("comm", &*comm), ("pid", pid), ("tid", header.tid)]);
        let ix = self.imported.label_ix(&set, self.limits);
        if ix != LabelIx::default() {
            self.threads.insert(key, ix);
        }
        ix
    }

    fn count(
        &mut self,
        header: &Header<'t>,
        node: NodeIx,
        attributes: LabelIx,
        number: usize,
    ) -> Result<(), ReadError> {
        let too_large =
            |what, limit| Err(ReadError::TooLarge { what, limit, place: Place::Line(number) });
        self.imported.notes.records += 1;
        if self.imported.notes.records > self.limits.samples as u64 {
            return too_large("events", self.limits.samples);
        }
        let at = match self.events.iter().position(|event| event.name == header.event) {
            Some(at) => at,
            None if self.events.len() >= MAX_PROFILES => {
                return too_large("event types", MAX_PROFILES);
            }
            None => {
                self.events.push(Event::new(header));
                self.events.len() - 1
            }
        };
        let place = Place::Line(number);
        self.events[at].add(header, node, attributes).ok_or_else(|| {
            ReadError::malformed(Format::PerfScript, place, "periods sum to more than 2^64")
        })
    }

    fn finish(mut self) -> Result<Imported, ReadError> {
        self.end_event()?;
        if self.events.is_empty() {
            return Err(match self.imported.notes.first_invalid.first() {
                Some(first) => {
                    let problem = format!("{}, and no other line is an event", first.problem);
                    ReadError::malformed(Format::PerfScript, Place::Line(first.line), problem)
                }
                None => ReadError::Empty,
            });
        }
        for event in self.events {
            let profile = event.finish(&self.imported.profiles);
            self.imported.add(profile)?;
        }
        Ok(self.imported)
    }
}

impl<'t> Event<'t> {
    fn new(header: &Header<'t>) -> Self {
        Self {
            name: header.event,
            has_period: header.period.is_some(),
            rows: FxHashMap::default(),
            profile_rows: Vec::new(),
            first_ns: u64::MAX,
            last_ns: 0,
        }
    }

    /// `None` when the sum does not fit.
    fn add(&mut self, header: &Header<'_>, node: NodeIx, attributes: LabelIx) -> Option<()> {
        let value = header.period.unwrap_or(1);
        let next = self.profile_rows.len();
        let at = *self.rows.entry((node, attributes)).or_insert(next);
        if at == next {
            self.profile_rows.push(ImportedRow { node, attributes, value: 0, count: 0 });
        }
        let row = &mut self.profile_rows[at];
        row.value = row.value.checked_add(value)?;
        row.count += 1;
        if let Some(time) = header.time_ns {
            self.first_ns = self.first_ns.min(time);
            self.last_ns = self.last_ns.max(time);
        }
        Some(())
    }

    /// Clocks tick in nanoseconds; whatever else is counted is counted.
    fn finish(self, before: &[ImportedProfile]) -> ImportedProfile {
        let taken = |made: &_| before.iter().any(|profile| profile.profile_type == *made);
        let is_clock = matches!(self.name, "cpu-clock" | "task-clock");
        let first = match (is_clock, self.has_period) {
            (true, true) => Some(ProfileType::cpu()),
            (true, false) => Some(cpu_samples()),
            (false, _) => None,
        };
        let profile_type = first.filter(|made| !taken(made)).unwrap_or_else(|| {
            let unit = if is_clock && self.has_period { "nanoseconds" } else { "count" };
            unique(["perf", self.name, unit, self.name, unit], taken)
        });
        ImportedProfile {
            profile_type,
            kind: ProfileKind::Delta,
            period: 0,
            start: None,
            duration_ns: self.last_ns.saturating_sub(self.first_ns),
            rows: self.profile_rows,
        }
    }
}
