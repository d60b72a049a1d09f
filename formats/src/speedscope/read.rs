//! From the file's columns to stacks.

use std::sync::Arc;

use stoker_dag::{Frame, FrameIx, LabelIx, LabelSet, NodeIx, ProfileType, UnixNanos};

use super::evented::Open;
use super::model::{File, FrameModel, Number, ProfileModel};
use super::ticks::Ticks;
use super::unit_word;
use crate::error::{Place, ReadError};
use crate::import::{Imported, ImportedProfile, ImportedRow, ProfileKind, cut};
use crate::limits::MAX_PROFILES;
use crate::pprof::IMPORT;
use crate::profile_types::{cpu_samples, unique};
use crate::{Format, Limits, ReadOptions, gzip};

/// Reads a speedscope file, gzipped or not. Times become nanoseconds.
///
/// # Errors
/// When it is broken, or a limit is exceeded.
pub fn read(bytes: &[u8], options: &ReadOptions) -> Result<Imported, ReadError> {
    let input = gzip::inflate(bytes, options.limits.decompressed_bytes)?;
    if input.is_empty() {
        return Err(ReadError::Empty);
    }
    let file: File = serde_json::from_slice(&input).map_err(|error| not_json(&input, &error))?;
    let limits = &options.limits;
    check_sizes(&file, limits)?;
    let mut imported = Imported::new(Format::Speedscope);
    for comment in [&file.name, &file.exporter].into_iter().flatten() {
        imported.comment(comment);
    }
    let frames: Vec<FrameIx> =
        file.shared.frames.iter().map(|frame| intern(frame, limits, &mut imported)).collect();
    let types: Vec<(ProfileType, u64)> =
        file.profiles.iter().map(|profile| type_of(profile, options)).collect();
    for (index, profile) in file.profiles.iter().enumerate() {
        let (profile_type, factor) = &types[index];
        let alone = types.iter().filter(|(other, _)| other == profile_type).count() == 1;
        let attributes = if alone || profile.name.is_empty() {
            LabelIx::default()
        } else {
            let name = cut(&profile.name, limits, &mut imported.notes).into_owned();
            imported.label_ix(&LabelSet::new([("thread", name)]), limits)
        };
        let reader =
            ProfileReader { index, profile, factor: *factor, frames: &frames, attributes, limits };
        let (rows, duration_ns) = reader.read(&mut imported)?;
        // Threads run side by side: their profiles last as long as the longest.
        let so_far = imported.find(profile_type).map_or(0, |at| imported.profiles[at].duration_ns);
        let start = profile.ours.as_ref().map(|ours| UnixNanos(ours.start_unix_ns));
        let at = imported.add(ImportedProfile {
            profile_type: profile_type.clone(),
            kind: ProfileKind::Delta,
            period: 0,
            start: start.filter(|start| start.0 > 0),
            duration_ns: 0,
            rows,
        })?;
        imported.profiles[at].duration_ns = so_far.max(duration_ns);
        if file.active.is_some_and(|active| active as usize == index) {
            imported.default = at;
        }
    }
    Ok(imported)
}

fn not_json(input: &[u8], error: &serde_json::Error) -> ReadError {
    let before: usize = input
        .split_inclusive(|byte| *byte == b'\n')
        .take(error.line().max(1) - 1)
        .map(<[u8]>::len)
        .sum();
    let place = Place::Byte(before + error.column().max(1) - 1);
    ReadError::malformed(Format::Speedscope, place, error.to_string())
}

fn check_sizes(file: &File, limits: &Limits) -> Result<(), ReadError> {
    let samples = file.profiles.iter().map(|profile| profile.samples.len() + profile.events.len());
    for (what, size, limit) in [
        ("profiles", file.profiles.len(), MAX_PROFILES.max(limits.labels)),
        ("frames", file.shared.frames.len(), limits.table_entries),
        ("samples and events", samples.sum(), limits.samples),
    ] {
        if size > limit {
            let place = Place::Entry { table: what, index: limit, byte: None };
            return Err(ReadError::TooLarge { what, limit, place });
        }
    }
    if file.profiles.is_empty() {
        let place = Place::Entry { table: "profiles", index: 0, byte: None };
        return Err(ReadError::malformed(Format::Speedscope, place, "there is none"));
    }
    Ok(())
}

fn intern(frame: &FrameModel, limits: &Limits, imported: &mut Imported) -> FrameIx {
    let function: Arc<str> = cut(&frame.name, limits, &mut imported.notes).as_ref().into();
    let file = frame.file.as_deref().unwrap_or("");
    let module: Arc<str> = cut(file, limits, &mut imported.notes).as_ref().into();
    let line = match frame.line {
        Some(Number::Whole(line)) => u32::try_from(line).unwrap_or(0),
        _ => 0,
    };
    imported.frames.intern(&Frame::Interpreted { runtime: IMPORT.into(), module, function, line })
}

/// What the values of a profile count, and how many of it the file's unit is worth. Stoker's own
/// files say it in a field of their own or in the profile's name; the format itself knows only units,
/// and times are taken for wall-clock times.
fn type_of(profile: &ProfileModel, options: &ReadOptions) -> (ProfileType, u64) {
    let said = profile.ours.as_ref().map_or(&profile.name, |ours| &ours.profile_type);
    let ours = ProfileType::parse(said)
        .ok()
        .filter(|made| made.as_str() == said && unit_word(made.unit()) == profile.unit);
    if let Some(ours) = ours {
        return (ours, 1);
    }
    let nanoseconds = factor(&profile.unit);
    let made = match (nanoseconds, &options.profile_type) {
        (is_time, Some(given)) if is_time.is_some() == (given.unit() == "nanoseconds") => {
            given.clone()
        }
        (Some(_), _) => unique(["wall", "wall", "nanoseconds", "wall", "nanoseconds"], |_| false),
        _ if profile.unit == "bytes" => {
            unique(["memory", "space", "bytes", "space", "bytes"], |_| false)
        }
        _ => cpu_samples(),
    };
    (made, nanoseconds.unwrap_or(1))
}

/// Nanoseconds in one unit of time.
fn factor(unit: &str) -> Option<u64> {
    match unit {
        "nanoseconds" => Some(1),
        "microseconds" => Some(1_000),
        "milliseconds" => Some(1_000_000),
        "seconds" => Some(1_000_000_000),
        _ => None,
    }
}

struct ProfileReader<'a> {
    index: usize,
    profile: &'a ProfileModel,
    factor: u64,
    frames: &'a [FrameIx],
    attributes: LabelIx,
    limits: &'a Limits,
}

impl ProfileReader<'_> {
    /// Rows, and nanoseconds from start to end.
    fn read(&self, imported: &mut Imported) -> Result<(Vec<ImportedRow>, u64), ReadError> {
        let ticks = Ticks::new(self.factor);
        let start = self.ticks(&ticks, self.profile.start.unwrap_or(Number::Whole(0)), "start")?;
        let end = self.ticks(&ticks, self.profile.end.unwrap_or(Number::Whole(0)), "end")?;
        let is_clock = factor(&self.profile.unit) == Some(self.factor);
        let duration = match &self.profile.ours {
            Some(ours) => ours.duration_ns,
            None if is_clock => end.saturating_sub(start),
            None => 0,
        };
        let rows = match &*self.profile.kind {
            "sampled" => self.sampled(imported)?,
            "evented" => self.evented(start, end, imported)?,
            other => {
                let problem = format!("its type is {other:.32?}, neither sampled nor evented");
                return Err(self.malformed("profile", self.index, problem));
            }
        };
        Ok((rows, duration))
    }

    fn sampled(&self, imported: &mut Imported) -> Result<Vec<ImportedRow>, ReadError> {
        let samples = &self.profile.samples;
        let weights = self.profile.weights.as_deref();
        if let Some(weights) = weights.filter(|weights| weights.len() != samples.len()) {
            let problem = format!("{} samples have {} weights", samples.len(), weights.len());
            return Err(self.malformed("profile", self.index, problem));
        }
        let mut ticks = Ticks::new(self.factor);
        let mut rows = Vec::with_capacity(samples.len());
        let mut stack = Vec::new();
        // Stoker's profiles over time say so when nothing ran; in others' files it may be a sample.
        let has_gaps = self.profile.ours.is_some();
        for (at, sample) in samples.iter().enumerate() {
            if has_gaps && sample.is_empty() {
                continue;
            }
            stack.clear();
            for &frame in sample {
                stack.push(self.frame(frame, "sample", at)?);
            }
            let node = imported.leaf(&stack, self.limits, || self.place("sample", at))?;
            let weight = weights.map_or(Number::Whole(1), |weights| weights[at]);
            let value = ticks.add(weight);
            let value = value.map_err(|problem| self.malformed("sample", at, problem))?;
            rows.push(self.row(node, value));
        }
        imported.notes.records += rows.len() as u64;
        Ok(rows)
    }

    fn evented(
        &self,
        start: u64,
        end: u64,
        imported: &mut Imported,
    ) -> Result<Vec<ImportedRow>, ReadError> {
        let ticks = Ticks::new(self.factor);
        let mut open = Open::new(start);
        let mut rows = Vec::new();
        for (at, event) in self.profile.events.iter().enumerate() {
            let now = ticks.at(event.at).map_err(|problem| self.malformed("event", at, problem))?;
            if now < open.last() {
                return Err(self.malformed("event", at, "it goes back in time"));
            }
            let frame = self.frame(event.frame, "event", at)?;
            let ended = open.until(now, imported, self.limits, || self.place("event", at))?;
            rows.extend(ended.map(|(node, value)| self.row(node, value)));
            open.change(event, frame).map_err(|problem| self.malformed("event", at, problem))?;
        }
        let last = self.profile.events.len();
        let ended =
            open.until(end.max(open.last()), imported, self.limits, || self.place("event", last))?;
        rows.extend(ended.map(|(node, value)| self.row(node, value)));
        imported.notes.records += last as u64;
        Ok(rows)
    }

    fn row(&self, node: NodeIx, value: u64) -> ImportedRow {
        ImportedRow { node, attributes: self.attributes, value, count: 1 }
    }

    fn ticks(&self, ticks: &Ticks, value: Number, what: &str) -> Result<u64, ReadError> {
        ticks
            .at(value)
            .map_err(|problem| self.malformed("profile", self.index, format!("{what}: {problem}")))
    }

    fn frame(&self, index: u32, table: &'static str, at: usize) -> Result<FrameIx, ReadError> {
        self.frames.get(index as usize).copied().ok_or_else(|| {
            let problem = format!("it names frame {index}, but there are {}", self.frames.len());
            self.malformed(table, at, problem)
        })
    }

    fn place(&self, table: &'static str, index: usize) -> Place {
        Place::Entry { table, index, byte: None }
    }

    fn malformed(&self, table: &'static str, at: usize, problem: impl Into<String>) -> ReadError {
        let mut problem = problem.into();
        if table != "profile" {
            problem = format!("{problem} (profile {})", self.index);
        }
        ReadError::malformed(Format::Speedscope, self.place(table, at), problem)
    }
}
