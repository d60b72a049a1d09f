//! From a folded profile to a pprof message.

use std::collections::HashMap;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use prost::Message;
use stoker_dag::{Definition, Frame, FrameIx, NodeIx, Profile};

use super::PprofSource;
use super::proto;
use crate::WriteError;
use crate::text::harmless;

/// Writes the gzipped message.
///
/// # Errors
/// When a value is above 2^63 - 1, or `out` does not take the bytes.
pub fn write(source: &PprofSource<'_>, out: impl Write) -> Result<(), WriteError> {
    let bytes = message(source)?.encode_to_vec();
    let mut gzip = GzEncoder::new(out, Compression::fast());
    gzip.write_all(&bytes)?;
    gzip.finish()?;
    Ok(())
}

/// The message.
///
/// # Errors
/// When a value is above 2^63 - 1.
pub fn message(source: &PprofSource<'_>) -> Result<proto::Profile, WriteError> {
    let mut writer = Writer::new(source);
    let profile = source.profile;
    let stacks = Stacks::new(profile, source.profile_type.unit());
    let (order, ids) = numbered(profile);
    for (node, value, count) in stacks.rows {
        let locations = profile.nodes.stack(node);
        let leaf_first = locations.iter().rev().map(|frame| ids[frame.at()]);
        writer.message.sample.push(proto::Sample {
            location_id: leaf_first.collect(),
            value: vec![signed("a number of samples", count)?, signed("a value", value)?],
        });
    }
    for frame in order {
        let definition = profile.definitions.get(&profile.frames.id(frame));
        writer.location(ids[frame.at()], profile.frames.frame(frame), definition);
    }
    writer.finish(stacks.period)
}

/// Frames in order of identity, and the number of each as a location.
fn numbered(profile: &Profile) -> (Vec<FrameIx>, Vec<u64>) {
    let mut order: Vec<FrameIx> = (0u32..).map(FrameIx).take(profile.frames.len()).collect();
    order.sort_by_key(|frame| profile.frames.id(*frame));
    let mut ids = vec![0; order.len()];
    for (id, frame) in (1u64..).zip(&order) {
        ids[frame.at()] = id;
    }
    (order, ids)
}

/// Rows in an order that does not depend on that of arrival, and the period they share.
struct Stacks {
    rows: Vec<(NodeIx, u64, u64)>,
    period: u64,
}

impl Stacks {
    fn new(profile: &Profile, unit: &str) -> Self {
        let ids = profile.nodes.ids(&profile.frames);
        let mut rows: Vec<_> = profile.rows().collect();
        rows.sort_by_key(|(node, _, _)| ids[node.at()]);
        let each =
            rows.first().map_or(0, |(_, value, count)| value.checked_div(*count).unwrap_or(0));
        let is_shared = |&(_, value, count): &(_, u64, u64)| count.checked_mul(each) == Some(value);
        let timed = unit == "nanoseconds";
        let period = if timed && rows.iter().all(is_shared) { each } else { 0 };
        Self { rows, period }
    }
}

fn signed(what: &'static str, value: u64) -> Result<i64, WriteError> {
    i64::try_from(value).map_err(|_| WriteError::TooLarge { what, value, format: "pprof" })
}

struct Writer<'a> {
    source: &'a PprofSource<'a>,
    message: proto::Profile,
    strings: HashMap<String, i64>,
    functions: HashMap<(i64, i64), u64>,
    mappings: HashMap<(String, String), usize>,
}

impl<'a> Writer<'a> {
    fn new(source: &'a PprofSource<'a>) -> Self {
        let mut writer = Self {
            source,
            message: proto::Profile::default(),
            strings: HashMap::new(),
            functions: HashMap::new(),
            mappings: HashMap::new(),
        };
        writer.string("");
        let mut parts = source.profile_type.as_str().split(':').skip(1);
        let mut next = || parts.next().unwrap_or_default();
        let (kind, unit, period_kind, period_unit) = (next(), next(), next(), next());
        let samples = writer.value_type("samples", "count");
        let values = writer.value_type(kind, unit);
        writer.message.sample_type = vec![samples, values];
        writer.message.default_sample_type = values.r#type;
        writer.message.period_type = Some(writer.value_type(period_kind, period_unit));
        let comment = writer.string(source.comment);
        writer.message.comment = vec![comment];
        writer
    }

    fn finish(mut self, period: u64) -> Result<proto::Profile, WriteError> {
        self.message.time_nanos = signed("the start", self.source.start.0)?;
        self.message.duration_nanos = signed("the duration", self.source.duration_ns)?;
        self.message.period = signed("the period", period)?;
        Ok(self.message)
    }

    fn string(&mut self, text: &str) -> i64 {
        if let Some(&at) = self.strings.get(text) {
            return at;
        }
        let at = i64::try_from(self.message.string_table.len()).expect("fewer than 2^63 strings");
        self.message.string_table.push(text.to_owned());
        self.strings.insert(text.to_owned(), at);
        at
    }

    fn value_type(&mut self, kind: &str, unit: &str) -> proto::ValueType {
        proto::ValueType { r#type: self.string(kind), unit: self.string(unit) }
    }

    fn location(&mut self, id: u64, frame: &Frame, definition: Option<&Definition>) {
        let locations = definition.map_or(&[][..], |definition| &definition.locations);
        let mut line = Vec::with_capacity(locations.len());
        for location in locations.iter().rev() {
            if location.function.is_empty() {
                continue;
            }
            let function_id = self.function(&location.function, &location.file);
            line.push(proto::Line { function_id, line: i64::from(location.line) });
        }
        let (address, mapping_id) = match frame {
            Frame::Native { offset, .. } | Frame::Kernel { offset, .. } => {
                (*offset, self.mapping(frame, *offset, &line))
            }
            Frame::Interpreted { module, function, line: number, .. } => {
                if line.is_empty() {
                    let function_id = self.function(function, module);
                    let number = i64::from(*number);
                    line.push(proto::Line { function_id, line: number });
                }
                (0, 0)
            }
            Frame::Special(special) => {
                let function_id = self.function(&special.to_string(), "");
                line.push(proto::Line { function_id, line: 0 });
                (0, 0)
            }
        };
        self.message.location.push(proto::Location { id, mapping_id, address, line });
    }

    fn function(&mut self, name: &str, file: &str) -> u64 {
        let (system_name, filename) = (self.string(name), self.string(file));
        if let Some(&id) = self.functions.get(&(system_name, filename)) {
            return id;
        }
        let id = self.functions.len() as u64 + 1;
        let name = self.string(&harmless(name));
        self.functions.insert((system_name, filename), id);
        self.message.function.push(proto::Function { id, name, system_name, filename });
        id
    }

    /// The mapping of the frame's image, widened to hold `offset`. It always claims to be symbolized:
    /// `go tool pprof` would look for a file of that name on the machine that it runs on.
    fn mapping(&mut self, frame: &Frame, offset: u64, line: &[proto::Line]) -> u64 {
        let name = harmless(&(self.source.module)(frame)).into_owned();
        let build_id = frame.build_id().map(ToString::to_string).unwrap_or_default();
        let key = (name, build_id);
        let at = match self.mappings.get(&key) {
            Some(&at) => at,
            None => self.new_mapping(key),
        };
        let mapping = &mut self.message.mapping[at];
        mapping.memory_limit = mapping.memory_limit.max(offset.saturating_add(1));
        mapping.has_filenames |= !line.is_empty();
        mapping.has_line_numbers |= line.iter().any(|line| line.line != 0);
        mapping.has_inline_frames |= line.len() > 1;
        mapping.id
    }

    fn new_mapping(&mut self, key: (String, String)) -> usize {
        let at = self.message.mapping.len();
        let mapping = proto::Mapping {
            id: at as u64 + 1,
            filename: self.string(&key.0),
            build_id: self.string(&key.1),
            has_functions: true,
            ..proto::Mapping::default()
        };
        self.message.mapping.push(mapping);
        self.mappings.insert(key, at);
        at
    }
}
