//! Names through the real worker process, for files made by this machine's C compiler.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use object::{Object, ObjectSection, ObjectSymbol};
use stoker_agent::process::{ElfInfo, ProcessEvent, ProcessTable};
use stoker_agent::symbolize::{Asked, Symbolizer, SymbolizerConfig, WORKER_ARG};
use stoker_dag::{BuildId, Definition, DefinitionSource, Frame};

use crate::nobody::NOBODY;

#[path = "process/nobody.rs"]
mod nobody;

const PATIENCE: Duration = Duration::from_secs(60);

const PROGRAM: &str = r#"
volatile unsigned long sink;
static inline __attribute__((always_inline)) void inner_loop(unsigned long n) {
    for (unsigned long i = 0; i < n; i++)
        sink += i * i;              /* line 5 */
}
__attribute__((noinline)) void outer_work(unsigned long n) {
    inner_loop(n);                  /* line 8 */
    sink++;
}
int main(int argc, char **argv) { outer_work(argc); return 0; }
"#;

fn worker() -> SymbolizerConfig {
    SymbolizerConfig {
        program: PathBuf::from(env!("CARGO_BIN_EXE_stoker-agent")),
        arguments: vec![WORKER_ARG.into()],
        timeout: PATIENCE,
    }
}

fn symbolizer() -> Symbolizer {
    let SymbolizerConfig { program, arguments, .. } = worker();
    Symbolizer::with_worker(program, arguments).expect("starts")
}

/// Compiles the program with these options.
fn compile(folder: &Path, options: &[&str]) -> PathBuf {
    let (source, program) = (folder.join("burn.c"), folder.join("burn"));
    std::fs::write(&source, PROGRAM).expect("writes");
    let done = Command::new("gcc")
        .args(options)
        .args([source.as_os_str(), "-o".as_ref(), program.as_os_str()])
        .status()
        .expect("this test needs gcc");
    assert!(done.success());
    program
}

/// Address and size of a function, as `object` reads it.
fn function(program: &Path, name: &str) -> (u64, u64) {
    let bytes = std::fs::read(program).expect("reads");
    let file = object::File::parse(&*bytes).expect("parses");
    let symbol = file.symbols().find(|s| s.name() == Ok(name)).expect("is there");
    (symbol.address(), symbol.size())
}

/// Makes a table know `program`, and returns its build id.
fn learn(table: &mut ProcessTable, program: &Path) -> BuildId {
    let info = ElfInfo::read(&File::open(program).expect("opens")).expect("parses");
    table.apply(ProcessEvent::Exec { pid: NOBODY, comm: "burn".to_owned() }, Instant::now());
    table.apply(ProcessEvent::Mmap(nobody::maps(program)), Instant::now());
    table.resolve_user(NOBODY, nobody::START + info.code[0].file_offset, true);
    info.build_id
}

fn native(build_id: &BuildId, offset: u64) -> Frame {
    Frame::Native { build_id: build_id.clone(), offset }
}

/// Asks for the frames and waits for the answers, in the order of the frames.
fn names(
    symbolizer: &Symbolizer,
    table: &mut ProcessTable,
    frames: &[Frame],
) -> Vec<Option<Definition>> {
    let given_back = symbolizer.ask_all(frames.iter().cloned(), table);
    assert!(given_back.is_empty());
    assert!(symbolizer.wait_idle(PATIENCE), "{:?}", symbolizer.counters());
    let answers = symbolizer.answers();
    let answer = |frame| answers.iter().find(|(f, _)| f == frame).map(|(_, d)| d.clone());
    frames.iter().map(answer).collect()
}

fn functions(definition: &Definition) -> Vec<&str> {
    definition.locations.iter().map(|location| &*location.function).collect()
}

#[test]
fn inlined_functions_come_innermost_last_with_their_lines() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = compile(folder.path(), &["-g", "-O2"]);
    let mut table = ProcessTable::new();
    let build_id = learn(&mut table, &program);
    let (start, size) = function(&program, "outer_work");
    let frames: Vec<Frame> = (start..start + size).map(|at| native(&build_id, at)).collect();
    let symbolizer = symbolizer();
    let found = names(&symbolizer, &mut table, &frames);
    let definitions: Vec<&Definition> = found.iter().flatten().collect();
    assert_eq!(definitions.len(), frames.len(), "every byte of the function has a name");
    let inlined = definitions.iter().find(|d| functions(d) == ["outer_work", "inner_loop"]);
    let inlined = inlined.expect("the loop is inlined");
    assert_eq!(inlined.source, DefinitionSource::AgentDwarf);
    let places: Vec<_> =
        inlined.locations.iter().map(|l| (l.file.ends_with("burn.c"), l.line)).collect();
    assert!(places[0] == (true, 8) && matches!(places[1], (true, 4..=6)), "{places:?}");
    assert!(definitions.iter().any(|d| functions(d) == ["outer_work"]));

    let again = symbolizer.ask(&frames[0], &mut table);
    assert_eq!(again, Asked::Known(definitions[0].clone()));
    let counters = symbolizer.counters();
    assert_eq!(counters.frames_asked, frames.len() as u64);
    assert_eq!((counters.frames_cached, counters.worker.workers_started), (1, 1));
}

#[test]
fn stripped_files_have_symbols_or_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = compile(folder.path(), &["-O2"]);
    let (start, _) = function(&program, "outer_work");
    let mut table = ProcessTable::new();
    let frame = native(&learn(&mut table, &program), start + 1);
    let symbolizer = symbolizer();
    let found = names(&symbolizer, &mut table, std::slice::from_ref(&frame));
    let definition = found[0].as_ref().expect("is in the symbol table");
    assert_eq!(functions(definition), ["outer_work"]);
    assert_eq!(definition.source, DefinitionSource::SymbolTable);

    let other = tempfile::tempdir().expect("a folder");
    let stripped = compile(other.path(), &["-O2", "-s", "-DOTHER=1"]);
    let mut table = ProcessTable::new();
    let build_id = learn(&mut table, &stripped);
    let symbolizer = self::symbolizer();
    let found = names(&symbolizer, &mut table, &[native(&build_id, start + 1)]);
    assert_eq!(found, [None]);
    assert_eq!(symbolizer.counters().frames_nameless, 1);
}

/// A function that is known by its path although this profile's debug information has no paths.
#[inline(never)]
fn known_by_its_path(value: u64) -> u64 {
    std::hint::black_box(value) + 1
}

#[test]
fn rust_functions_have_their_whole_path() {
    let mut table = ProcessTable::new();
    let address = known_by_its_path as *const () as u64;
    let frame = table.resolve_user(std::process::id(), address, true);
    let found = names(&symbolizer(), &mut table, std::slice::from_ref(&frame));
    let definition = found[0].as_ref().expect("this test has symbols");
    assert_eq!(functions(definition)[0], "symbolize::known_by_its_path");
    assert_eq!(definition.source, DefinitionSource::AgentDwarf);
    assert!(definition.locations[0].line > 0);
    assert_eq!(known_by_its_path(1), 2);
}

#[test]
fn init_does_not_lend_its_name_to_the_linkage_table() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = compile(folder.path(), &["-O2", "-Wl,-z,lazy", "-fno-builtin"]);
    let bytes = std::fs::read(&program).expect("reads");
    let file = object::File::parse(&*bytes).expect("parses");
    let table_of_links = file.section_by_name(".plt").expect("lazy binding needs one");
    let mut table = ProcessTable::new();
    let frame = native(&learn(&mut table, &program), table_of_links.address() + 4);
    assert_eq!(names(&symbolizer(), &mut table, &[frame]), [None]);
}

#[test]
fn a_debug_link_is_followed() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = compile(folder.path(), &["-g", "-O2"]);
    let (start, _) = function(&program, "outer_work");
    let run = |program: &str, arguments: &[&str]| {
        let done = Command::new(program).args(arguments).current_dir(folder.path()).status();
        assert!(done.expect("this test needs binutils").success());
    };
    run("objcopy", &["--only-keep-debug", "--compress-debug-sections=zlib", "burn", "burn.debug"]);
    run("objcopy", &["--strip-all", "--add-gnu-debuglink=burn.debug", "burn"]);
    let mut table = ProcessTable::new();
    let frame = native(&learn(&mut table, &program), start + 1);
    let found = names(&symbolizer(), &mut table, std::slice::from_ref(&frame));
    let definition = found[0].as_ref().expect("is in the debug file");
    assert_eq!(functions(definition)[0], "outer_work");
    assert_eq!(definition.source, DefinitionSource::AgentDwarf);
}

#[test]
fn a_file_that_was_replaced_gives_no_names() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = compile(folder.path(), &["-g", "-O2"]);
    let (start, _) = function(&program, "outer_work");
    let mut table = ProcessTable::new();
    let build_id = learn(&mut table, &program);
    // The descriptor goes when nobody has used it for a while; then the path is all there is.
    table.tick(Instant::now() + Duration::from_secs(120));
    std::fs::remove_file(&program).expect("removes");
    compile(folder.path(), &["-g", "-O1"]);
    let symbolizer = symbolizer();
    let found = names(&symbolizer, &mut table, &[native(&build_id, start)]);
    assert_eq!(found, [None]);
    assert_eq!(symbolizer.counters().frames_without_file, 1);
}

#[test]
fn a_file_that_is_overwritten_gives_no_names() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = compile(folder.path(), &["-g", "-O2"]);
    let (start, _) = function(&program, "outer_work");
    let mut table = ProcessTable::new();
    let build_id = learn(&mut table, &program);
    // The descriptor that is held open shows the new content.
    let other = tempfile::tempdir().expect("a folder");
    let new = std::fs::read(compile(other.path(), &["-g", "-O1"])).expect("reads");
    std::fs::write(&program, new).expect("overwrites");
    let symbolizer = symbolizer();
    let found = names(&symbolizer, &mut table, &[native(&build_id, start)]);
    assert_eq!(found, [None]);
    assert_eq!(symbolizer.counters().worker.requests_refused, 1);
}

#[test]
fn the_kernel_and_the_vdso_have_names() {
    let mut table = ProcessTable::new();
    let kallsyms = std::fs::read_to_string("/proc/kallsyms").expect("reads");
    let line = kallsyms.lines().find(|line| line.ends_with(" vfs_read")).expect("is there");
    let address = u64::from_str_radix(&line[..16], 16).expect("hexadecimal");
    let kernel = table.resolve_kernel(address + 5, true);

    let image = stoker_agent::process::vdso_image().expect("there is a vdso");
    let file = object::File::parse(&*image).expect("parses");
    let is_clock = |s: &object::Symbol<'_, '_>| s.name() == Ok("__vdso_clock_gettime");
    let symbol = file.dynamic_symbols().find(is_clock).expect("is there");
    let info = ElfInfo::read(&*image).expect("parses");
    let vdso = native(&info.build_id, symbol.address() + 1);

    let found = names(&symbolizer(), &mut table, &[kernel, vdso]);
    let kernel = found[0].as_ref().expect("kallsyms has it");
    assert_eq!(
        (functions(kernel), kernel.source),
        (vec!["vfs_read"], DefinitionSource::SymbolTable)
    );
    let vdso = found[1].as_ref().expect("its symbol table has it");
    assert!(functions(vdso)[0].ends_with("clock_gettime"));
}

/// Damages `program` in a way that leaves its identity readable.
fn damage(program: &Path, how: &str) -> Vec<u8> {
    let mut bytes = std::fs::read(program).expect("reads");
    let sections_at =
        usize::try_from(u64::from_le_bytes(bytes[40..48].try_into().expect("8"))).expect("fits");
    match how {
        "truncated" => bytes.truncate(sections_at + 100),
        "huge section count" => bytes[60..62].copy_from_slice(&u16::MAX.to_le_bytes()),
        "absurd section sizes" => {
            let count = usize::from(u16::from_le_bytes([bytes[60], bytes[61]]));
            for section in 1..count {
                let size_at = sections_at + 64 * section + 32;
                bytes[size_at..size_at + 8].copy_from_slice(&(u64::MAX - 5).to_le_bytes());
            }
        }
        _ => {
            // Everything behind the code: debug information, symbols, section headers.
            let mut state = 0x9e37_79b9_7f4a_7c15_u64;
            for byte in &mut bytes[0x3000..] {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                *byte = state.to_le_bytes()[7];
            }
        }
    }
    bytes
}

#[test]
fn damaged_files_harm_nobody() {
    let folder = tempfile::tempdir().expect("a folder");
    let symbolizer = symbolizer();
    for how in ["truncated", "huge section count", "absurd section sizes", "random bytes"] {
        let program =
            compile(folder.path(), &["-g", "-O2", &format!("-Wl,--build-id=0x{:02x}", how.len())]);
        let (start, _) = function(&program, "outer_work");
        std::fs::write(&program, damage(&program, how)).expect("writes");
        let mut table = ProcessTable::new();
        let build_id = learn(&mut table, &program);
        let found = names(&symbolizer, &mut table, &[native(&build_id, start + 1)]);
        let name = found[0].as_ref().map(|definition| functions(definition).join(" "));
        assert!(
            name.as_deref().is_none_or(|name| name.starts_with("outer_work")),
            "{how}: {name:?}"
        );
    }
    // After all that, a sound file still gets its name.
    let program = compile(folder.path(), &["-g", "-O2"]);
    let (start, _) = function(&program, "outer_work");
    let mut table = ProcessTable::new();
    let frame = native(&learn(&mut table, &program), start + 1);
    let found = names(&symbolizer, &mut table, std::slice::from_ref(&frame));
    assert!(found[0].is_some(), "{:?}", symbolizer.counters());
}

#[test]
fn a_worker_that_is_killed_is_started_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = compile(folder.path(), &["-g", "-O2"]);
    let (start, size) = function(&program, "outer_work");
    let mut table = ProcessTable::new();
    let build_id = learn(&mut table, &program);
    let symbolizer = symbolizer();
    names(&symbolizer, &mut table, &[native(&build_id, start)]);
    let worker = symbolizer.worker_pid().expect("runs");
    // Stopped, it cannot answer: the kill comes while it holds the request.
    signal(worker, "-STOP");
    let frames: Vec<Frame> = (start + 1..start + size).map(|at| native(&build_id, at)).collect();
    assert!(symbolizer.ask_all(frames.iter().cloned(), &mut table).is_empty());
    assert!(!symbolizer.wait_idle(Duration::from_millis(200)));
    signal(worker, "-KILL");
    assert!(symbolizer.wait_idle(PATIENCE));
    let counters = symbolizer.counters();
    assert_eq!((counters.worker.workers_started, counters.worker.worker_deaths), (2, 1));
    assert_eq!(counters.frames_named, size, "{counters:?}");
    assert_eq!(counters.worker.images_quarantined, 0);
}

/// A worker that says it is one and then does `what` with its first request.
fn bad_worker(folder: &Path, what: &str) -> SymbolizerConfig {
    let script = folder.join("worker.sh");
    let greeting = r"\005\000\000\000\353\336\321\233\005";
    std::fs::write(&script, format!("printf '{greeting}' >&0; head -c 1 >/dev/null; {what}\n"))
        .expect("writes");
    let arguments = vec!["-c".into(), format!(". {}", script.display()).into()];
    SymbolizerConfig { program: "/bin/sh".into(), arguments, timeout: Duration::from_millis(300) }
}

/// The counters after a file was given to bad workers until it was given up.
fn counters_after_harm(what: &str) -> stoker_agent::symbolize::SymbolizeCounters {
    let folder = tempfile::tempdir().expect("a folder");
    let program = compile(folder.path(), &["-g", "-O2"]);
    let (start, _) = function(&program, "outer_work");
    let mut table = ProcessTable::new();
    let frame = native(&learn(&mut table, &program), start);
    let symbolizer = Symbolizer::with_config(bad_worker(folder.path(), what)).expect("starts");
    let found = names(&symbolizer, &mut table, std::slice::from_ref(&frame));
    assert_eq!(found, [None]);
    assert_eq!(symbolizer.ask(&frame, &mut table), Asked::Nameless, "it is not tried again");
    symbolizer.counters()
}

#[test]
fn a_file_that_kills_or_hangs_two_workers_is_left_alone() {
    let killed = counters_after_harm("exit 1");
    assert_eq!((killed.worker.worker_deaths, killed.worker.worker_timeouts), (2, 0));
    let hung = counters_after_harm("exec sleep 60");
    assert_eq!((hung.worker.worker_deaths, hung.worker.worker_timeouts), (0, 2));
    for counters in [killed, hung] {
        assert_eq!((counters.worker.images_quarantined, counters.frames_quarantined), (1, 1));
        assert_eq!(counters.worker.workers_started, 2);
    }
}

fn kernel_frame(table: &mut ProcessTable) -> Frame {
    let kallsyms = std::fs::read_to_string("/proc/kallsyms").expect("reads");
    let line = kallsyms.lines().find(|line| line.ends_with(" vfs_write")).expect("is there");
    table.resolve_kernel(u64::from_str_radix(&line[..16], 16).expect("hexadecimal"), true)
}

fn signal(pid: u32, which: &str) {
    let sent = Command::new("kill").args([which, &pid.to_string()]).status().expect("runs");
    assert!(sent.success());
}

#[test]
fn what_is_no_worker_is_not_blamed_on_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = compile(folder.path(), &["-g", "-O2"]);
    let mut table = ProcessTable::new();
    let build_id = learn(&mut table, &program);
    let symbolizer = Symbolizer::with_worker("/bin/true".into(), Vec::new()).expect("starts");
    assert_eq!(symbolizer.ask(&native(&build_id, 1), &mut table), Asked::Queued);
    assert_eq!(symbolizer.ask(&native(&build_id, 1), &mut table), Asked::Queued);
    assert!(!symbolizer.wait_idle(Duration::from_millis(300)));
    let counters = symbolizer.counters();
    assert!(
        counters.worker.worker_start_failures >= 2 && counters.worker.worker_deaths == 0,
        "{counters:?}"
    );
    let start = Instant::now();
    drop(symbolizer);
    assert!(start.elapsed() < Duration::from_secs(1), "a pause does not delay the end");
}

#[test]
fn the_worker_has_given_up_its_rights() {
    let mut table = ProcessTable::new();
    let symbolizer = symbolizer();
    let frame = kernel_frame(&mut table);
    names(&symbolizer, &mut table, std::slice::from_ref(&frame));
    let worker = symbolizer.worker_pid().expect("runs");
    let read =
        |name: &str| std::fs::read_to_string(format!("/proc/{worker}/{name}")).expect("reads");
    let status = read("status");
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).expect("is there");
        line.split_whitespace().nth(1).expect("has a value").to_owned()
    };
    assert_eq!(field("NoNewPrivs:"), "1");
    // Of all capabilities at most CAP_DAC_READ_SEARCH and CAP_SYSLOG.
    let capabilities = u64::from_str_radix(&field("CapEff:"), 16).expect("hexadecimal");
    assert_eq!(capabilities & !(1 << 2 | 1 << 34), 0);
    let stat = read("stat");
    let nice = stat.rsplit(") ").next().expect("has fields").split(' ').nth(16);
    assert_eq!(nice, Some("19"));
    assert!(read("environ").is_empty());
    let limits = read("limits");
    let heap = limits.lines().find(|line| line.starts_with("Max data size")).expect("is there");
    assert!(heap.contains("268435456"), "{heap}");
    drop(symbolizer);
    assert!(!Path::new(&format!("/proc/{worker}")).exists(), "the worker ends with its parent");
}

#[test]
fn frames_that_name_themselves_are_not_asked() {
    let mut table = ProcessTable::new();
    let jit = Frame::Interpreted {
        runtime: "jit".into(),
        module: "".into(),
        function: "f".into(),
        line: 0,
    };
    let symbolizer = symbolizer();
    assert_eq!(symbolizer.ask(&jit, &mut table), Asked::Nameless);
    assert_eq!(symbolizer.worker_pid(), None, "no worker without work");
}
