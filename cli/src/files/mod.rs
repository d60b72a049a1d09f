//! Files as sources: read, put beside one another as parts in memory, and asked with the very code
//! that a server asks its store with.

mod recorded;

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use stoker_dag::{LabelIx, LabelSet, ProfileType, SampleRow, UnixNanos, WINDOW_NS, WINDOW_SECONDS};
use stoker_formats::{Imported, ImportedProfile, Limits as ReadLimits, Notes, ReadOptions};
use stoker_server::query::diff::{DiffAnswer, DiffOptions};
use stoker_server::query::{
    self, Engine, Folded, Limits, MemoryPart, MemoryParts, Progress, Query, QueryError, Selector,
    TimelineOptions, TopBy,
};
use stoker_server::store::WindowRows;

use crate::failure::Failure;
use crate::local::LocalProfile;

/// The label that every row of a file carries: the file's name.
pub const FILE_LABEL: &str = "file";
/// How long a question may take; the patience of whoever asks comes first.
const TIMEOUT: Duration = Duration::from_secs(24 * 3600);

/// Files that were read.
pub struct Files {
    parts: MemoryParts,
    profile_type: ProfileType,
    first: UnixNanos,
    end: UnixNanos,
    title: String,
    /// How long each file says that it recorded, by name; 0 where it does not say.
    pub durations: Vec<(String, u64)>,
    /// What was met besides samples, a sentence for each.
    pub warnings: Vec<String>,
}

/// What files are asked.
#[derive(Debug)]
pub enum Question {
    Top(TopBy, usize),
    Flamegraph(usize, Option<String>),
    Timeline(TimelineOptions),
    Labels,
    Values(String),
    Series,
    ProfileTypes,
}

impl Files {
    /// Reads all of them. Rows of `asked` are shown, or else of the type that the first file means
    /// where none is asked for; every file must have it.
    pub fn load(paths: &[PathBuf], asked: Option<&ProfileType>) -> Result<Self, Failure> {
        let mut files = Self::empty(asked, title(paths));
        for (at, path) in paths.iter().enumerate() {
            let imported = read(path)?;
            if at == 0 && asked.is_none() {
                files.profile_type = imported.default_profile().profile_type.clone();
            }
            files.add(path, imported)?;
        }
        Ok(files)
    }

    fn empty(asked: Option<&ProfileType>, title: String) -> Self {
        Self {
            parts: MemoryParts::default(),
            profile_type: asked.cloned().unwrap_or_else(ProfileType::cpu),
            first: UnixNanos(u64::MAX),
            end: UnixNanos(0),
            title,
            durations: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// The pprof that a server answered with, as if it were a file of this name.
    pub fn of_bytes(
        name: &str,
        bytes: &[u8],
        profile_type: Option<&ProfileType>,
    ) -> Result<Self, Failure> {
        let imported = imported_answer(bytes)?;
        let asked = profile_type.filter(|wanted| imported.find(wanted).is_some());
        let mut files = Self::empty(asked, name.to_owned());
        if asked.is_none() {
            files.profile_type = imported.default_profile().profile_type.clone();
        }
        files.add(Path::new(name), imported)?;
        Ok(files)
    }

    /// The pprof that a server answered with, as a profile.
    pub fn of_answer(
        bytes: &[u8],
        profile_type: Option<&ProfileType>,
    ) -> Result<LocalProfile, Failure> {
        let imported = imported_answer(bytes)?;
        let at = profile_type.and_then(|wanted| imported.find(wanted)).unwrap_or(imported.default);
        let (start, duration_ns, profile_type) = {
            let held = &imported.profiles[at];
            (held.start.unwrap_or_default(), held.duration_ns, held.profile_type.clone())
        };
        let (profile, modules) = imported.into_profile(at);
        let title = String::new();
        Ok(LocalProfile { title, profile, modules, profile_type, start, duration_ns })
    }

    fn add(&mut self, path: &Path, imported: Imported) -> Result<(), Failure> {
        if imported.find(&self.profile_type).is_none() {
            let has: Vec<&str> = imported.profiles.iter().map(|p| p.profile_type.short()).collect();
            let message = format!(
                "{} has no values of type {}: it has {}",
                path.display(),
                self.profile_type.short(),
                has.join(", ")
            );
            return Err(Failure::new(message, "choose one that all have with --type"));
        }
        self.warnings.extend(warnings(path, &imported.notes));
        let mut part = MemoryPart::default();
        part.dictionary.frames = imported.frames;
        part.dictionary.nodes = imported.nodes;
        part.dictionary.labels = imported.attributes;
        let name = path.to_string_lossy();
        let series = part.dictionary.labels.intern(&LabelSet::new([(FILE_LABEL, &*name)]));
        let of_type = imported.profiles.iter().find(|p| p.profile_type == self.profile_type);
        let duration_ns = of_type.map_or(0, |profile| profile.duration_ns);
        self.durations.push((name.clone().into_owned(), duration_ns));
        for profile in imported.profiles {
            if profile.profile_type.is_gauge() && profile.total() > u64::MAX / WINDOW_SECONDS {
                let message =
                    format!("{}: its values are too large to be averaged", path.display());
                return Err(Failure::new(message, ""));
            }
            self.span((profile.start.unwrap_or_default(), profile.duration_ns));
            part.windows.push(window_rows(profile, series));
        }
        self.parts.names.definitions.merge(&imported.definitions);
        self.parts.names.modules.merge(&imported.modules);
        self.parts.parts.push(part);
        Ok(())
    }

    fn span(&mut self, (start, duration_ns): (UnixNanos, u64)) {
        let end = start.0.saturating_add(duration_ns.max(1));
        self.first = self.first.min(start.window_start());
        self.end = self.end.max(UnixNanos(end));
    }

    /// What values count.
    pub const fn profile_type(&self) -> &ProfileType {
        &self.profile_type
    }

    /// Two sets of files beside one another, each file a replicate.
    pub fn compare(base: &Self, new: &Self, options: &DiffOptions) -> Result<DiffAnswer, Failure> {
        let limits = Self::limits();
        let progress = Progress::after(TIMEOUT);
        let engine = |files| Engine { parts: files, limits: &limits, progress: &progress };
        let answer = base.query().and_then(|of_base| {
            let of_new = new.query()?;
            let sides = (engine(&base.parts), engine(&new.parts));
            let mut answer = query::diff::diff((sides.0, &of_base), (sides.1, &of_new), options)?;
            answer.base.source.clone_from(&base.title);
            answer.new.source.clone_from(&new.title);
            Ok(answer)
        });
        answer.map_err(|error| Failure::new(error.to_string(), error.hint()))
    }

    fn limits() -> Limits {
        Limits { timeout: TIMEOUT, max_nodes: u32::MAX as usize, ..Limits::default() }
    }

    fn query(&self) -> Result<Query, QueryError> {
        let selector = Selector::parse(self.profile_type.as_str())?;
        Query::new(selector, self.first, self.end.max(UnixNanos(self.first.0 + WINDOW_NS)))
    }

    fn ask<T>(
        &self,
        work: impl FnOnce(Engine<'_>, &Query) -> Result<T, QueryError>,
    ) -> Result<T, Failure> {
        let limits = Self::limits();
        let progress = Progress::after(TIMEOUT);
        let engine = Engine { parts: &self.parts, limits: &limits, progress: &progress };
        let answer = self.query().and_then(|query| work(engine, &query));
        answer.map_err(|error| Failure::new(error.to_string(), error.hint()))
    }

    /// The answer as the HTTP API gives it.
    pub fn answer(&self, question: Question) -> Result<Value, Failure> {
        self.ask(|engine, query| match question {
            Question::Top(by, limit) => Ok(json(&query::top(engine, query, by, limit)?)),
            Question::Flamegraph(max_nodes, group_by) => {
                let folded = query::fold(engine, query, group_by.as_deref())?;
                Ok(json(&query::flamegraph(query, &folded, max_nodes)?))
            }
            Question::Timeline(options) => Ok(json(&query::timeline(engine, query, &options)?)),
            Question::Labels => Ok(json(&query::labels(engine, query)?)),
            Question::Values(label) => Ok(json(&query::values(engine, query, &label)?)),
            Question::Series => Ok(json(&query::series(engine, query)?)),
            Question::ProfileTypes => Ok(json(&query::profile_types(engine, query)?)),
        })
    }

    /// All files as one profile.
    pub fn fold(&self) -> Result<LocalProfile, Failure> {
        let Folded { profile, modules, .. } =
            self.ask(|engine, query| query::fold(engine, query, None))?;
        let is_dated = self.first.0 > 0;
        Ok(LocalProfile {
            title: self.title.clone(),
            profile,
            modules,
            profile_type: self.profile_type.clone(),
            start: self.first,
            duration_ns: if is_dated { self.end.0 - self.first.0 } else { 0 },
        })
    }
}

fn imported_answer(bytes: &[u8]) -> Result<Imported, Failure> {
    stoker_formats::read(bytes, &ReadOptions::default()).map_err(|error| {
        let message = format!("the server's answer cannot be read: {error}");
        Failure::new(message, "is it a Stoker server, of this version?")
    })
}

fn json(answer: &impl Serialize) -> Value {
    serde_json::to_value(answer).unwrap_or_default()
}

/// What was there at a moment goes in as the query expects it: times the seconds of the window.
fn window_rows(profile: ImportedProfile, series: LabelIx) -> WindowRows {
    let times = if profile.profile_type.is_gauge() { WINDOW_SECONDS } else { 1 };
    let rows = profile.rows.iter().map(|row| SampleRow {
        series,
        attributes: row.attributes,
        node: row.node,
        value: row.value * times,
        count: row.count,
    });
    WindowRows {
        window: profile.start.unwrap_or_default().window_start(),
        rows: rows.collect(),
        profile_type: profile.profile_type,
    }
}

/// Reads one file, `-` from standard input.
pub fn read(path: &Path) -> Result<Imported, Failure> {
    let options = ReadOptions {
        file_name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        ..ReadOptions::default()
    };
    let bytes = bytes(path, options.limits)?;
    stoker_formats::read(&bytes, &options)
        .map_err(|error| Failure::new(format!("{}: {error}", path.display()), ""))
}

/// What a file holds, as far as a reader would take it.
pub fn bytes(path: &Path, limits: ReadLimits) -> Result<Vec<u8>, Failure> {
    let limit = limits.decompressed_bytes;
    let bound = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        io::stdin().take(bound).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(bound).read_to_end(&mut bytes))
    };
    if let Err(error) = read {
        let message = format!("cannot read {}: {error}", path.display());
        return Err(Failure::new(message, ""));
    }
    if bytes.len() > limit {
        let message =
            format!("{} has more than {limit} bytes, the most that is read", path.display());
        return Err(Failure::new(message, "split it, or record less at a time"));
    }
    Ok(bytes)
}

/// What of a file was not read as it stands there.
fn warnings(path: &Path, notes: &Notes) -> Vec<String> {
    let first = notes.first_invalid.first();
    let where_ = first.map_or_else(String::new, |first| {
        format!(", the first is line {}: {}", first.line, first.problem)
    });
    let counted = [
        (notes.invalid_lines, format!("lines that are no part of the format{where_}")),
        (notes.truncated_stacks, "stacks of which only the innermost frames were kept".to_owned()),
        (notes.cut_names, "names that were cut".to_owned()),
        (notes.lost_labels, "samples that lost labels".to_owned()),
        (notes.pruned_stacks, "stacks that lost frames, as the file asks for".to_owned()),
    ];
    let some = counted.into_iter().filter(|(count, _)| *count > 0);
    some.map(|(count, what)| format!("{}: {count} {what}", path.display())).collect()
}

fn title(paths: &[PathBuf]) -> String {
    match paths {
        [one] => one.display().to_string(),
        _ => format!("{} files", paths.len()),
    }
}
