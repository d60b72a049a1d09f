//! What a pprof means, rule by rule: identity, inlined lines, labels, dropped frames, types.

use prost::Message as _;
use stoker_dag::{Frame, KernelImage, SpecialFrame};
use stoker_formats::pprof::proto;
use stoker_formats::{Imported, ProfileKind, ReadError};

use crate::support::{named_stacks, read_as};

/// A message with its strings; index 0 is the empty one.
#[derive(Default)]
pub struct Draft {
    pub message: proto::Profile,
    /// Fields that the writer's messages do not have.
    pub extra: Vec<u8>,
}

impl Draft {
    /// A CPU profile without a sample.
    pub fn cpu() -> Self {
        let mut draft = Self::default();
        draft.text("");
        let (samples, count) = (draft.text("samples"), draft.text("count"));
        let (cpu, nanos) = (draft.text("cpu"), draft.text("nanoseconds"));
        draft.message.sample_type = vec![
            proto::ValueType { r#type: samples, unit: count },
            proto::ValueType { r#type: cpu, unit: nanos },
        ];
        draft
    }

    pub fn text(&mut self, text: &str) -> i64 {
        self.message.string_table.push(text.to_owned());
        i64::try_from(self.message.string_table.len()).unwrap() - 1
    }

    pub fn mapping(&mut self, start: u64, file_name: &str, build_id: &str) -> u64 {
        let id = self.message.mapping.len() as u64 + 1;
        let (filename, build_id) = (self.text(file_name), self.text(build_id));
        let mapping =
            proto::Mapping { id, memory_start: start, filename, build_id, ..Default::default() };
        self.message.mapping.push(mapping);
        id
    }

    /// A location with lines, innermost first.
    pub fn location(&mut self, mapping_id: u64, address: u64, names: &[&str]) -> u64 {
        let id = self.message.location.len() as u64 + 1;
        let line =
            names.iter().map(|name| proto::Line { function_id: self.function(name), line: 3 });
        let line = line.collect();
        self.message.location.push(proto::Location { id, mapping_id, address, line });
        id
    }

    fn function(&mut self, name: &str) -> u64 {
        let id = self.message.function.len() as u64 + 1;
        let (name, filename) = (self.text(name), self.text("dir/a.c"));
        self.message.function.push(proto::Function { id, name, system_name: name, filename });
        id
    }

    pub fn sample(&mut self, leaf_first: &[u64]) {
        let location_id = leaf_first.to_vec();
        self.message.sample.push(proto::Sample { location_id, value: vec![1, 10], label: vec![] });
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.message.encode_to_vec();
        bytes.extend_from_slice(&self.extra);
        bytes
    }

    pub fn read(&self) -> Result<Imported, ReadError> {
        read_as(&self.bytes(), "")
    }
}

fn only_stack(imported: &Imported) -> Vec<Frame> {
    let node = imported.profiles[1].rows[0].node;
    imported.nodes.stack(node).iter().map(|ix| imported.frames.frame(*ix).clone()).collect()
}

fn import(module: &str, function: &str, line: u32) -> Frame {
    let (module, function) = (module.into(), function.into());
    Frame::Interpreted { runtime: "import".into(), module, function, line }
}

#[test]
fn identity_follows_the_documented_rules() {
    let build = "00112233445566778899aabbccddeeff00112233";
    let build_id: stoker_dag::BuildId = build.parse().unwrap();
    let native_frame = native_of(&build_id);
    for (start, name, id, address, lines, wanted) in [
        (
            0x40_0000,
            "/bin/api",
            build,
            0x40_1234,
            &["inner", "outer"][..],
            vec![native_frame(0x40_1234)],
        ),
        (0, "/bin/api", build, 0x1234, &[], vec![native_frame(0x1234)]),
        (
            0x7f00_0000_0000,
            "/lib/libc.so.6",
            build,
            0x7f00_0000_1234,
            &[],
            vec![native_frame(0x1234)],
        ),
        (
            0x7f00_0000_0000,
            "/lib/libc.so.6",
            build,
            0x7f00_0000_1234,
            &["inner", "outer"],
            vec![import("libc.so.6", "outer", 3), import("libc.so.6", "inner", 3)],
        ),
        (0x40_0000, "/bin/api", "", 0x40_1234, &["main"], vec![import("api", "main", 3)]),
        (0x40_0000, "/bin/api", "no id", 0x40_1234, &[], vec![import("api", "0x1234", 0)]),
        (
            0,
            "[kernel.kallsyms]",
            build,
            0x77,
            &[],
            vec![Frame::Kernel { image: KernelImage::Build(build_id.clone()), offset: 0x77 }],
        ),
    ] {
        let mut draft = Draft::cpu();
        let mapping = draft.mapping(start, name, id);
        let location = draft.location(mapping, address, lines);
        draft.sample(&[location]);
        assert_eq!(only_stack(&draft.read().unwrap()), wanted, "{start:#x} {name} {lines:?}");
    }
    let mut draft = Draft::cpu();
    let (plain, bare) = (draft.location(0, 0, &["main"]), draft.location(0, 0, &[]));
    draft.sample(&[bare, plain]);
    let wanted = vec![import("dir/a.c", "main", 3), import("", "[unknown]", 0)];
    assert_eq!(only_stack(&draft.read().unwrap()), wanted);
}

fn native_of(build_id: &stoker_dag::BuildId) -> impl Fn(u64) -> Frame + use<'_> {
    move |offset| Frame::Native { build_id: build_id.clone(), offset }
}

#[test]
fn lines_of_a_native_frame_are_its_definition_innermost_last() {
    let mut draft = Draft::cpu();
    let mapping = draft.mapping(0, "api", "aabb");
    let location = draft.location(mapping, 7, &["inner", "outer"]);
    draft.sample(&[location]);
    let imported = draft.read().unwrap();
    let frame = only_stack(&imported).remove(0);
    let definition = imported.definitions.get(&frame.id()).unwrap();
    let names: Vec<_> =
        definition.locations.iter().map(|l| (&*l.function, &*l.file, l.line)).collect();
    assert_eq!(names, [("outer", "dir/a.c", 3), ("inner", "dir/a.c", 3)]);
    assert_eq!(&*imported.modules.get(&"aabb".parse().unwrap()).unwrap().name, "api");
}

#[test]
fn labels_are_attributes_with_units() {
    let mut draft = Draft::cpu();
    let location = draft.location(0, 0, &["main"]);
    draft.sample(&[location]);
    let (key, size, unit) = (draft.text("thread"), draft.text("bytes"), draft.text("kilobytes"));
    let (one, two) = (draft.text("one"), draft.text("two"));
    draft.message.sample[0].label = vec![
        proto::Label { key, str: one, ..Default::default() },
        proto::Label { key, str: two, ..Default::default() },
        proto::Label { key: size, num: 512, num_unit: unit, ..Default::default() },
        proto::Label { key: unit, num: -3, ..Default::default() },
    ];
    let imported = draft.read().unwrap();
    let set = imported.attributes.get(imported.profiles[1].rows[0].attributes).to_string();
    assert_eq!(set, r#"{bytes="512 kilobytes",kilobytes="-3",thread="one,two"}"#);
}

/// Fields 7 and 8 with the indices of two strings.
fn with_drops(drop: &str, keep: &str) -> Draft {
    let mut draft = Draft::cpu();
    let fields = [(7, draft.text(drop)), (8, draft.text(keep))];
    for (field, index) in fields {
        draft.extra.extend([field << 3, u8::try_from(index).unwrap()]);
    }
    draft
}

#[test]
fn dropped_frames_go_with_what_they_called() {
    let mut draft = with_drops("malloc|tc_.*|alloc::.*", "tc_kept");
    let main = draft.location(0, 0, &["main"]);
    let malloc = draft.location(0, 0, &["malloc(int)"]);
    let kept = draft.location(0, 0, &["tc_kept"]);
    let below = draft.location(0, 0, &["below"]);
    let inlined = draft.location(0, 0, &["alloc::grow", "push"]);
    draft.sample(&[below, malloc, main]);
    draft.sample(&[below, kept, main]);
    draft.sample(&[below, inlined, main]);
    draft.sample(&[below, malloc]);
    let imported = draft.read().unwrap();
    let stacks: Vec<_> = named_stacks(&imported).into_iter().collect();
    let wanted =
        [("main", 10), ("main;push", 10), ("main;tc_kept;below", 10), ("malloc(int);below", 10)];
    assert_eq!(stacks, wanted.map(|(stack, value)| (stack.to_owned(), value)));
    assert_eq!(imported.notes.pruned_stacks, 2);
    assert!(matches!(with_drops("(", "").read(), Err(ReadError::Malformed { .. })));
    let bomb = with_drops("((a{999}){999}){999}", "").read().unwrap_err().to_string();
    assert!(bomb.contains("drop_frames"), "{bomb}");
}

#[test]
fn special_frames_are_known_again() {
    let mut draft = Draft::cpu();
    let location = draft.location(0, 0, &["[truncated]"]);
    draft.sample(&[location]);
    // With a source file it is somebody's function of that name.
    assert!(matches!(only_stack(&draft.read().unwrap())[0], Frame::Interpreted { .. }));
    for function in &mut draft.message.function {
        function.filename = 0;
    }
    assert_eq!(only_stack(&draft.read().unwrap()), [Frame::Special(SpecialFrame::Truncated)]);
}

#[test]
fn the_default_type_is_the_files_or_the_last() {
    let mut draft = Draft::cpu();
    let location = draft.location(0, 0, &["main"]);
    draft.sample(&[location]);
    assert_eq!(draft.read().unwrap().default, 1);
    draft.message.default_sample_type = draft.message.sample_type[0].r#type;
    let imported = draft.read().unwrap();
    assert_eq!(imported.default, 0);
    assert_eq!(imported.default_profile().kind, ProfileKind::Delta);
    assert_eq!(imported.default_profile().unit(), "count");
}

#[test]
fn ids_may_be_anything_but_0_or_used_twice() {
    let mut draft = Draft::cpu();
    let location = draft.location(0, 0, &["main"]);
    draft.sample(&[location]);
    for (id, wanted) in [(u64::MAX, true), (77, true), (0, false)] {
        draft.message.location[0].id = id;
        draft.message.sample[0].location_id = vec![id];
        assert_eq!(draft.read().is_ok(), wanted, "{id}");
    }
    draft.message.location[0].id = 1;
    let twice = draft.message.location[0].clone();
    draft.message.location.push(twice);
    let error = draft.read().unwrap_err().to_string();
    assert!(error.contains("location 1") && error.contains("used before"), "{error}");
}
