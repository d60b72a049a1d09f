//! Stacks as pprof (`profile.proto` of google/pprof, not compressed). Pure.

use std::collections::HashMap;

use prost::Message as _;

/// A function, or one inlined into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Function {
    pub(super) name: String,
    pub(super) file: String,
    pub(super) line: u32,
}

/// A stack and how often it was met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stack {
    /// The thread's name.
    pub(super) thread: String,
    /// Leaf first; of each frame what is inlined first.
    pub(super) frames: Vec<Vec<Function>>,
    pub(super) count: i64,
}

/// The parts of `profile.proto` that are written here; field numbers are pprof's.
mod proto {
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Profile {
        #[prost(message, repeated, tag = "1")]
        pub(super) sample_type: Vec<ValueType>,
        #[prost(message, repeated, tag = "2")]
        pub(super) sample: Vec<Sample>,
        #[prost(message, repeated, tag = "4")]
        pub(super) location: Vec<Location>,
        #[prost(message, repeated, tag = "5")]
        pub(super) function: Vec<Function>,
        #[prost(string, repeated, tag = "6")]
        pub(super) string_table: Vec<String>,
        #[prost(int64, tag = "10")]
        pub(super) duration_nanos: i64,
        #[prost(message, optional, tag = "11")]
        pub(super) period_type: Option<ValueType>,
        #[prost(int64, tag = "12")]
        pub(super) period: i64,
    }

    #[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
    pub(super) struct ValueType {
        #[prost(int64, tag = "1")]
        pub(super) kind: i64,
        #[prost(int64, tag = "2")]
        pub(super) unit: i64,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Sample {
        #[prost(uint64, repeated, tag = "1")]
        pub(super) location_id: Vec<u64>,
        #[prost(int64, repeated, tag = "2")]
        pub(super) value: Vec<i64>,
        #[prost(message, repeated, tag = "3")]
        pub(super) label: Vec<Label>,
    }

    #[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
    pub(super) struct Label {
        #[prost(int64, tag = "1")]
        pub(super) key: i64,
        #[prost(int64, tag = "2")]
        pub(super) text: i64,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Location {
        #[prost(uint64, tag = "1")]
        pub(super) id: u64,
        #[prost(message, repeated, tag = "4")]
        pub(super) line: Vec<Line>,
    }

    #[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
    pub(super) struct Line {
        #[prost(uint64, tag = "1")]
        pub(super) function_id: u64,
        #[prost(int64, tag = "2")]
        pub(super) line: i64,
    }

    #[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
    pub(super) struct Function {
        #[prost(uint64, tag = "1")]
        pub(super) id: u64,
        #[prost(int64, tag = "2")]
        pub(super) name: i64,
        #[prost(int64, tag = "4")]
        pub(super) filename: i64,
    }
}

/// Values that get a number each, in the order in which they come.
#[derive(Default)]
struct Numbered<T>(HashMap<T, u64>, Vec<T>);

impl<T: Clone + std::hash::Hash + Eq> Numbered<T> {
    fn number(&mut self, value: T) -> u64 {
        let next = self.1.len() as u64;
        *self.0.entry(value.clone()).or_insert_with(|| {
            self.1.push(value);
            next
        })
    }
}

/// Functions by name and file, locations by function and line.
#[derive(Default)]
struct Encoder {
    strings: Numbered<String>,
    functions: Numbered<(i64, i64)>,
    locations: Numbered<Vec<(u64, u32)>>,
}

impl Encoder {
    fn text(&mut self, text: &str) -> i64 {
        i64::try_from(self.strings.number(text.to_owned())).unwrap_or(0)
    }

    fn location(&mut self, inlined: &[Function]) -> u64 {
        let lines = inlined.iter().map(|symbol| {
            let function = (self.text(&symbol.name), self.text(&symbol.file));
            (self.functions.number(function) + 1, symbol.line)
        });
        let lines: Vec<(u64, u32)> = lines.collect();
        self.locations.number(lines) + 1
    }
}

/// The profile's bytes; each sample stands for `period_ns`.
pub(super) fn encode(stacks: &[Stack], period_ns: i64, seconds: u64) -> Vec<u8> {
    let mut encoder = Encoder::default();
    encoder.text("");
    let cpu = proto::ValueType { kind: encoder.text("cpu"), unit: encoder.text("nanoseconds") };
    let samples = proto::ValueType { kind: encoder.text("samples"), unit: encoder.text("count") };
    let thread = encoder.text("thread");
    let mut sample = Vec::new();
    for stack in stacks {
        let text = encoder.text(&stack.thread);
        sample.push(proto::Sample {
            location_id: stack.frames.iter().map(|it| encoder.location(it)).collect(),
            value: vec![stack.count, stack.count.saturating_mul(period_ns)],
            label: vec![proto::Label { key: thread, text }],
        });
    }
    let line = |&(function_id, line): &(u64, u32)| proto::Line { function_id, line: line.into() };
    let ids = 1..;
    let profile = proto::Profile {
        sample_type: vec![samples, cpu],
        sample,
        location: ids
            .clone()
            .zip(&encoder.locations.1)
            .map(|(id, lines)| proto::Location { id, line: lines.iter().map(line).collect() })
            .collect(),
        function: ids
            .zip(&encoder.functions.1)
            .map(|(id, &(name, filename))| proto::Function { id, name, filename })
            .collect(),
        string_table: encoder.strings.1,
        duration_nanos: i64::try_from(seconds * 1_000_000_000).unwrap_or(i64::MAX),
        period_type: Some(cpu),
        period: period_ns,
    };
    profile.encode_to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_equal_is_written_once() {
        let function = |name: &str| Function { name: name.into(), file: "a.rs".into(), line: 7 };
        let frames = vec![vec![function("inlined"), function("outer")], vec![function("main")]];
        let stack = |count| Stack { thread: "t".into(), frames: frames.clone(), count };
        let bytes = encode(&[stack(2), stack(3)], 10, 1);
        let profile = proto::Profile::decode(bytes.as_slice()).expect("decodes");
        assert_eq!(profile.sample.iter().map(|s| s.value[1]).collect::<Vec<_>>(), [20, 30]);
        assert_eq!((profile.location.len(), profile.function.len()), (2, 3));
        assert_eq!(profile.sample[0].location_id, [1, 2]);
        assert_eq!(profile.string_table[0], "");
    }
}
