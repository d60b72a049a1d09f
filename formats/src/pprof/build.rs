//! The tables of a pprof message while it is written: each string, function and mapping once.

use std::collections::HashMap;

use stoker_dag::{Definition, Frame, LabelSet};

use super::proto;
use crate::WriteError;
use crate::text::harmless;

/// What a frame's module is called.
pub(super) type ModuleName<'a> = &'a dyn Fn(&Frame) -> String;

pub(super) struct Builder<'a> {
    module: ModuleName<'a>,
    pub(super) message: proto::Profile,
    strings: HashMap<String, i64>,
    functions: HashMap<(i64, i64), u64>,
    mappings: HashMap<(String, String), usize>,
}

impl<'a> Builder<'a> {
    pub(super) fn new(module: ModuleName<'a>) -> Self {
        let mut builder = Self {
            module,
            message: proto::Profile::default(),
            strings: HashMap::new(),
            functions: HashMap::new(),
            mappings: HashMap::new(),
        };
        builder.string("");
        builder
    }

    pub(super) fn string(&mut self, text: &str) -> i64 {
        if let Some(&at) = self.strings.get(text) {
            return at;
        }
        let at = i64::try_from(self.message.string_table.len()).expect("fewer than 2^63 strings");
        self.message.string_table.push(text.to_owned());
        self.strings.insert(text.to_owned(), at);
        at
    }

    pub(super) fn value_type(&mut self, kind: &str, unit: &str) -> proto::ValueType {
        proto::ValueType { r#type: self.string(kind), unit: self.string(unit) }
    }

    /// A number, with a unit or without, is written as such; everything else as text.
    pub(super) fn labels(&mut self, set: &LabelSet) -> Vec<proto::Label> {
        let label = |(name, value): (&std::sync::Arc<str>, &std::sync::Arc<str>)| {
            let key = self.clean(name);
            match number(value) {
                Some((num, unit)) => {
                    proto::Label { key, num, num_unit: self.string(unit), ..Default::default() }
                }
                None => proto::Label { key, str: self.clean(value), ..Default::default() },
            }
        };
        set.iter().map(label).collect()
    }

    pub(super) fn location(&mut self, id: u64, frame: &Frame, definition: Option<&Definition>) {
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
            Frame::Interpreted { module, .. } if !line.is_empty() && !module.is_empty() => {
                // The definition names the file, so that the module needs a place of its own.
                (0, self.mapping(frame, 0, &line))
            }
            Frame::Interpreted { module, function, line: number, .. } => {
                if line.is_empty() {
                    let function_id = self.function(function, module);
                    line.push(proto::Line { function_id, line: i64::from(*number) });
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
        let name = self.string(&harmless(name));
        let filename = self.clean(file);
        if let Some(&id) = self.functions.get(&(name, filename)) {
            return id;
        }
        let id = self.functions.len() as u64 + 1;
        self.functions.insert((name, filename), id);
        self.message.function.push(proto::Function { id, name, system_name: name, filename });
        id
    }

    /// A text that tools print, empty where there is none.
    pub(super) fn clean(&mut self, text: &str) -> i64 {
        if text.is_empty() { 0 } else { self.string(&harmless(text)) }
    }

    /// The mapping of the frame's image, widened to hold `offset`. It always claims to be symbolized:
    /// `go tool pprof` would look for a file of that name on the machine that it runs on.
    fn mapping(&mut self, frame: &Frame, offset: u64, line: &[proto::Line]) -> u64 {
        let mut name = harmless(&(self.module)(frame)).into_owned();
        if matches!(frame, Frame::Kernel { .. }) && !name.starts_with('[') {
            // As perf writes the kernel's modules, so that they can be told from libraries.
            name = format!("[{name}]");
        }
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

/// `512` and `512 bytes`, and nothing that would be written differently.
fn number(text: &str) -> Option<(i64, &str)> {
    let (digits, unit) = text.split_once(' ').unwrap_or((text, ""));
    let value: i64 = digits.parse().ok()?;
    let is_same = value.to_string() == digits && unit.is_empty() != text.contains(' ');
    let is_word = unit.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    (is_same && is_word).then_some((value, unit))
}

pub(super) fn signed(what: &'static str, value: u64) -> Result<i64, WriteError> {
    i64::try_from(value).map_err(|_| WriteError::TooLarge { what, value, format: "pprof" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_comes_back_the_same_is_a_number() {
        for (text, wanted) in [
            ("512", Some((512, ""))),
            ("-5 bytes", Some((-5, "bytes"))),
            ("0512", None),
            ("+5", None),
            ("5 ", None),
            ("5 a b", None),
            ("five", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(number(text), wanted, "{text}");
        }
    }
}
