//! What is written sums to what was there, and hostile names stay names.

use std::io::Read as _;
use std::sync::LazyLock;

use proptest::prelude::*;
use prost::Message as _;
use stoker_dag::{
    BoxKind, BoxLabel, CallTree, CallTreeBuilder, Definition, DefinitionSource, Frame, Location,
    Module, ModuleMap, NameIx, Profile, ProfileType, UnixNanos,
};
use stoker_formats::pprof::{self, PprofSource, proto};
use stoker_formats::{WriteError, collapsed, svg};

/// A stack of names with its value and number of samples.
type Stack = (Vec<String>, u64, u64);

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[a-c]",
        1 => any::<String>(),
        1 => prop::sample::select(vec![
            "", " ", ";", "a;b", "# x", "f 12", "f 1.5", "x\ny", "</title><script>", "\u{1b}[2J", "]]>",
            "\u{0}", "&amp;",
        ]).prop_map(str::to_owned),
    ]
}

fn stacks() -> impl Strategy<Value = Vec<Stack>> {
    let stack = prop::collection::vec(name(), 0..6);
    prop::collection::vec((stack, 0u64..1_000_000, 0u64..10), 0..20)
}

fn tree(stacks: &[Stack]) -> CallTree {
    let mut builder = CallTreeBuilder::default();
    for (stack, value, _) in stacks {
        let leaf = stack.iter().fold(stoker_dag::BoxIx::ROOT, |at, name| {
            let label = BoxLabel {
                name: builder.names().intern(name),
                module: NameIx::default(),
                file: NameIx::default(),
                line: 0,
                kind: BoxKind::Native,
                inlined: false,
            };
            builder.child(at, label)
        });
        builder.add(leaf, *value);
    }
    builder.finish()
}

fn native(offset: u64) -> Frame {
    Frame::Native { build_id: "aabb".parse().unwrap(), offset }
}

/// Every name is a frame of its own; even ones are defined, every fourth with an inlined function.
fn profile(stacks: &[Stack]) -> Profile {
    let mut profile = Profile::default();
    for (stack, value, count) in stacks {
        let frames: Vec<Frame> = stack.iter().map(|name| native(name.len() as u64)).collect();
        profile.add_stack(&frames, *value, *count);
        for (frame, name) in frames.iter().zip(stack).filter(|(_, name)| name.len() % 2 == 0) {
            let location =
                |function: &str| Location { function: function.into(), file: "f".into(), line: 7 };
            let mut locations = vec![location(name)];
            if name.len() % 4 == 0 {
                locations.push(location("inlined"));
            }
            let source = DefinitionSource::AgentDwarf;
            let definition = Definition { source, locations: locations.into() };
            profile.definitions.learn(frame.id(), definition);
        }
    }
    profile
}

fn source<'a>(
    profile: &'a Profile,
    module: &'a dyn Fn(&Frame) -> String,
    profile_type: &'a ProfileType,
) -> PprofSource<'a> {
    let (start, duration_ns) = (UnixNanos(5), 10);
    let modules = main_executable();
    PprofSource { profile, module, modules, profile_type, start, duration_ns, comment: "test" }
}

/// The build of all frames here is a process's own program.
fn main_executable() -> &'static ModuleMap {
    static MODULES: LazyLock<ModuleMap> = LazyLock::new(|| {
        let mut modules = ModuleMap::default();
        let module = Module { main_executable: true, name: "api".into() };
        modules.learn(&"aabb".parse().unwrap(), module);
        modules
    });
    &MODULES
}

fn as_collapsed(tree: &CallTree) -> String {
    let mut bytes = Vec::new();
    collapsed::write(tree, &mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

proptest! {
    #[test]
    fn collapsed_lines_sum_to_the_total(stacks in stacks()) {
        let text = as_collapsed(&tree(&stacks));
        let mut sum = 0;
        for line in text.lines() {
            let (stack, value) = line.rsplit_once(' ').unwrap();
            sum += value.parse::<u64>().unwrap();
            prop_assert!(!stack.is_empty() && !stack.contains(|c: char| c.is_control()), "{:?}", line);
            let frames: Vec<&str> = stack.split(';').collect();
            prop_assert!(frames.iter().all(|frame| !frame.trim().is_empty()), "{:?}", line);
            let depths = stacks.iter().map(|(stack, _, _)| stack.len().max(1));
            prop_assert!(depths.max().unwrap() >= frames.len(), "{:?}", line);
        }
        prop_assert_eq!(sum, stacks.iter().map(|(_, value, _)| value).sum::<u64>());
    }

    #[test]
    fn pprof_sums_to_the_total_and_every_number_points_somewhere(stacks in stacks()) {
        let profile = profile(&stacks);
        let module = |_: &Frame| "api".to_owned();
        let cpu = ProfileType::cpu();
        let mut gzipped = Vec::new();
        pprof::write(&source(&profile, &module, &cpu), &mut gzipped).unwrap();
        let mut bytes = Vec::new();
        flate2::read::GzDecoder::new(&gzipped[..]).read_to_end(&mut bytes).unwrap();
        let read = proto::Profile::decode(&bytes[..]).unwrap();
        let sum = |at: usize| read.sample.iter().map(|sample| sample.value[at].unsigned_abs()).sum::<u64>();
        prop_assert_eq!((sum(0), sum(1)), (profile.samples(), profile.total()));
        let text = |at: i64| read.string_table[usize::try_from(at).unwrap()].as_str();
        prop_assert_eq!(text(0), "");
        let types: Vec<_> = read.sample_type.iter().map(|of| (text(of.r#type), text(of.unit))).collect();
        prop_assert_eq!(types, [("samples", "count"), ("cpu", "nanoseconds")]);
        for sample in &read.sample {
            for id in &sample.location_id {
                prop_assert!(read.location.iter().filter(|location| location.id == *id).count() == 1);
            }
        }
        for location in &read.location {
            let mapping = read.mapping.iter().find(|mapping| mapping.id == location.mapping_id).unwrap();
            prop_assert!(location.address < mapping.memory_limit);
            prop_assert_eq!((text(mapping.filename), text(mapping.build_id)), ("api", "aabb"));
            for line in &location.line {
                prop_assert!(read.function.iter().any(|function| function.id == line.function_id));
            }
        }
    }

    #[test]
    fn a_picture_is_well_formed_whatever_the_names(stacks in stacks()) {
        let mut bytes = Vec::new();
        svg::write(&tree(&stacks), &ProfileType::cpu(), ("</text><b>", "a & b"), &mut bytes).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        prop_assert!(!text.contains("<b>") && !text.contains("</title><script>"));
        let after = &text[text.find("</script>").unwrap()..];
        prop_assert!(!after.contains(|c: char| c.is_control() && c != '\n'));
        prop_assert_eq!(after.matches("<title>").count(), after.matches("</title>").count());
    }
}

#[test]
fn main_executables_are_still_known_when_it_is_read_again() {
    let profile = profile(&[(vec!["main".to_owned()], 30, 3)]);
    let (module, cpu) = (|_: &Frame| "api".to_owned(), ProfileType::cpu());
    let mut bytes = Vec::new();
    pprof::write(&source(&profile, &module, &cpu), &mut bytes).unwrap();
    let read = stoker_formats::read(&bytes, &stoker_formats::ReadOptions::default()).unwrap();
    let build_id = "aabb".parse().unwrap();
    assert!(read.modules.get(&build_id).unwrap().main_executable);
    // And when it is written from there.
    let mut again = Vec::new();
    pprof::write_imported(&read, &module, &mut again).unwrap();
    let read = stoker_formats::read(&again, &stoker_formats::ReadOptions::default()).unwrap();
    assert!(read.modules.get(&build_id).unwrap().main_executable);
}

#[test]
fn inlined_functions_come_before_their_caller() {
    let stacks = [(vec!["main".to_owned()], 30, 3)];
    let profile = profile(&stacks);
    let (module, cpu) = (|_: &Frame| String::new(), ProfileType::cpu());
    let message = pprof::message(&source(&profile, &module, &cpu)).unwrap();
    let name = |id: u64| {
        let function = message.function.iter().find(|function| function.id == id).unwrap();
        message.string_table[usize::try_from(function.name).unwrap()].as_str()
    };
    let lines = message.location[0].line.iter().map(|line| name(line.function_id));
    assert_eq!(lines.collect::<Vec<_>>(), ["inlined", "main"]);
    assert_eq!(message.period, 10);
}

#[test]
fn a_value_that_pprof_cannot_hold_is_refused() {
    let stacks = [(vec!["main".to_owned()], u64::MAX, 1)];
    let profile = profile(&stacks);
    let (module, cpu) = (|_: &Frame| String::new(), ProfileType::cpu());
    let error = pprof::message(&source(&profile, &module, &cpu)).unwrap_err();
    assert!(matches!(error, WriteError::TooLarge { value: u64::MAX, .. }), "{error}");
}

/// `go tool pprof` reads what we write and finds the same numbers. Where Go is not installed this
/// test says so.
#[test]
fn go_tool_pprof_agrees() {
    let stacks = [
        (vec!["main".to_owned(), "hot!".to_owned()], 30_000_000, 3),
        (vec!["main".to_owned(), "odd".to_owned()], 20_000_000, 2),
    ];
    let profile = profile(&stacks);
    let (module, cpu) = (|_: &Frame| "api".to_owned(), ProfileType::cpu());
    let folder = std::env::temp_dir().join(format!("stoker-pprof-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("cpu.pb.gz");
    pprof::write(&source(&profile, &module, &cpu), std::fs::File::create(&path).unwrap()).unwrap();
    let run = std::process::Command::new("go")
        .args(["tool", "pprof", "-top"])
        .arg(&path)
        .env("PPROF_TMPDIR", &folder)
        .output();
    let Ok(output) = run else {
        stoker_tests::skipped("go_tool_pprof_agrees", "there is no go command here");
        return;
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("Total samples = 50ms"), "{text}");
    let row = |name: &str| {
        let line = text.lines().find(|line| line.contains(name));
        let words: Vec<&str> = line.unwrap_or_default().split_whitespace().collect();
        (
            words.first().copied().unwrap_or_default().to_owned(),
            words.get(3).map(|w| (*w).to_owned()),
        )
    };
    assert_eq!(row("inlined"), ("30ms".into(), Some("50ms".into())), "{text}");
}
