//! Debug information that lies apart from the program: in every place where it may lie, and in none
//! where it may not. Real files of this machine's compiler, through the real worker process.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use object::{Object, ObjectSymbol};
use stoker_symbols::elf::ElfInfo;
use stoker_symbols::{Image, Meaning, Outcome, Question, Role, Runner, WORKER_ARG};
use stoker_symbols::{WorkerConfig, WorkerCounters};

const PROGRAM: &str = r#"
volatile unsigned long sink;
static inline __attribute__((always_inline)) void inner_loop(unsigned long n) {
    for (unsigned long i = 0; i < n; i++)
        sink += i * i;
}
__attribute__((noinline)) void outer_work(unsigned long n) {
    inner_loop(n);
    sink++;
}
int main(int argc, char **argv) { outer_work(argc); return 0; }
"#;

/// A root folder with a stripped program in it, and the program as it was.
struct Place {
    dir: tempfile::TempDir,
    /// Where `outer_work` lies.
    range: std::ops::Range<u64>,
}

fn run(command: &mut Command) {
    let output = command.output().expect("runs");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

impl Place {
    fn new(options: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("root/opt")).unwrap();
        let place = Self { dir, range: 0..0 };
        fs::write(place.at("burn.c"), PROGRAM).unwrap();
        let mut gcc = Command::new("gcc");
        gcc.current_dir(place.dir.path()).args(["-O2", "-g"]).args(options);
        run(gcc.args(["burn.c", "-o", "full"]));
        run(Command::new("strip").args(["-o"]).args([&place.program(), &place.at("full")]));
        let range = place.function("outer_work");
        Self { range, ..place }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    fn program(&self) -> PathBuf {
        self.at("root/opt/burn")
    }

    fn function(&self, name: &str) -> std::ops::Range<u64> {
        let bytes = fs::read(self.at("full")).unwrap();
        let file = object::File::parse(&*bytes).unwrap();
        let symbol = file.symbols().find(|s| s.name() == Ok(name)).unwrap();
        symbol.address()..symbol.address() + symbol.size()
    }

    fn build_id(&self) -> String {
        ElfInfo::read(&File::open(self.program()).unwrap()).unwrap().build_id.to_string()
    }

    /// Where the debug information of this build lies by its build id.
    fn by_id(&self) -> String {
        let id = self.build_id();
        format!("root/usr/lib/debug/.build-id/{}/{}.debug", &id[..2], &id[2..])
    }

    /// Puts the debug information at a path.
    fn keep_debug(&self, path: &str) {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        run(Command::new("objcopy").arg("--only-keep-debug").args([&self.at("full"), &path]));
    }

    /// Makes the program name a file of debug information.
    fn link(&self, debug: &str) {
        let link = format!("--add-gnu-debuglink={}", self.at(debug).display());
        run(Command::new("objcopy").arg(link).arg(self.program()));
    }

    /// What the function's addresses mean.
    fn names(&self) -> (Vec<Option<Meaning>>, WorkerCounters) {
        let open = |path: &Path| Arc::new(File::open(path).unwrap());
        let files = [(Role::Image, open(&self.program())), (Role::Root, open(&self.at("root")))];
        let addresses: Vec<u64> = self.range.clone().collect();
        let image = Image::File(self.build_id());
        let question =
            Question { image: &image, path: "/opt/burn", files: &files, addresses: &addresses };
        let mut runner = runner();
        loop {
            if runner.has_given_up(&image) {
                return (vec![None; addresses.len()], runner.counted);
            }
            assert!(runner.ensure_worker());
            match runner.attempt(&question, || false) {
                Outcome::Named(meanings) => return (meanings, runner.counted),
                Outcome::Again | Outcome::Quarantined => {}
                Outcome::Refused => panic!("refused"),
            }
        }
    }

    /// The names of every address of the function are these.
    #[track_caller]
    fn is_named(&self, wanted: &[&str], what: &str) -> WorkerCounters {
        let (meanings, counters) = self.names();
        let names = |meaning: &Meaning| -> Vec<String> {
            meaning.spots.iter().map(|spot| spot.function.clone()).collect()
        };
        for meaning in &meanings {
            let names = meaning.as_ref().map(names).unwrap_or_default();
            assert!(names.first().is_some_and(|name| name == "outer_work"), "{what}: {names:?}");
        }
        let has = meanings.iter().flatten().any(|meaning| names(meaning) == wanted);
        assert!(has, "{what}: {meanings:?}");
        counters
    }

    #[track_caller]
    fn is_nameless(&self, what: &str) -> WorkerCounters {
        let (meanings, counters) = self.names();
        assert!(meanings.iter().all(Option::is_none), "{what}: {meanings:?}");
        counters
    }
}

fn runner() -> Runner {
    Runner::new(WorkerConfig {
        program: PathBuf::from(env!("CARGO_BIN_EXE_stoker-agent")),
        arguments: vec![WORKER_ARG.into()],
        timeout: Duration::from_secs(60),
    })
}

const INLINED: [&str; 2] = ["outer_work", "inner_loop"];

#[test]
fn debug_information_is_found_by_build_id() {
    let place = Place::new(&[]);
    place.is_nameless("stripped");
    place.keep_debug(&place.by_id());
    place.is_named(&INLINED, "by build id");
    let place = Place::new(&[]);
    place.keep_debug("root/usr/lib/debug/opt/burn.debug");
    place.is_named(&INLINED, "by path");
}

#[test]
fn debug_information_is_found_by_its_link() {
    for path in ["root/opt/b.debug", "root/opt/.debug/b.debug", "root/usr/lib/debug/opt/b.debug"] {
        // A build id is not needed then.
        for id in ["-Wl,--build-id=sha1", "-Wl,--build-id=none"] {
            let place = Place::new(&[id]);
            place.keep_debug(path);
            place.link(path);
            let counters = place.is_named(&INLINED, path);
            assert_eq!(counters.debug_files_refused, 0);
        }
    }
}

#[test]
fn what_belongs_to_another_build_is_refused_and_counted() {
    let place = Place::new(&[]);
    place.keep_debug("root/opt/b.debug");
    place.link("root/opt/b.debug");
    let bytes = fs::read(place.at("root/opt/b.debug")).unwrap();
    let mut changed = bytes.clone();
    let last = changed.len() - 1;
    changed[last] ^= 1;
    fs::write(place.at("root/opt/b.debug"), changed).unwrap();
    let counters = place.is_nameless("another checksum");
    assert_eq!(counters.debug_files_refused, 1);

    let place = Place::new(&[]);
    let other = Place::new(&["-DOTHER", "-O1"]);
    let by_id = place.at(&place.by_id());
    fs::create_dir_all(by_id.parent().unwrap()).unwrap();
    fs::copy(other.at("full"), &by_id).unwrap();
    assert_eq!(place.is_nameless("another build id").debug_files_refused, 1);
    fs::write(&by_id, &bytes[..bytes.len() / 2]).unwrap();
    assert_eq!(place.is_nameless("truncated").debug_files_refused, 1);
    fs::write(&by_id, b"no ELF file").unwrap();
    assert_eq!(place.is_nameless("no ELF").debug_files_refused, 1);
    // The next place may still have it.
    place.keep_debug("root/usr/lib/debug/opt/burn.debug");
    assert_eq!(place.is_named(&INLINED, "by path").debug_files_refused, 1);
}

#[test]
fn links_do_not_lead_out_of_the_process_s_root() {
    let place = Place::new(&[]);
    place.keep_debug("outside.debug");
    let by_id = place.at(&place.by_id());
    fs::create_dir_all(by_id.parent().unwrap()).unwrap();
    symlink(place.at("outside.debug"), &by_id).unwrap();
    place.is_nameless("an absolute link");
    fs::remove_file(&by_id).unwrap();
    symlink("../../../../../../outside.debug", &by_id).unwrap();
    place.is_nameless("a link upwards");
    fs::remove_file(&by_id).unwrap();
    run(Command::new("mkfifo").arg(&by_id));
    place.is_nameless("a FIFO");
    fs::remove_file(&by_id).unwrap();
    place.keep_debug("root/inside.debug");
    symlink("/inside.debug", &by_id).unwrap();
    place.is_named(&INLINED, "a link within the root");
}

/// Puts an xz stream of what `make` writes to `mini` into the program.
fn add_debugdata(place: &Place) {
    run(Command::new("xz").args(["--force", "--keep"]).arg(place.at("mini")));
    let section = format!(".gnu_debugdata={}", place.at("mini.xz").display());
    run(Command::new("objcopy").args(["--add-section", &section]).arg(place.program()));
}

#[test]
fn mini_debug_information_names_functions() {
    let place = Place::new(&[]);
    run(Command::new("objcopy")
        .args(["--strip-debug"])
        .args([&place.at("full"), &place.at("mini")]));
    add_debugdata(&place);
    place.is_named(&["outer_work"], "gnu_debugdata");
    // Whole debug information says more.
    place.keep_debug(&place.by_id());
    place.is_named(&INLINED, "by build id");
}

/// A program built so that its functions are described in a `.dwo` file.
fn split_place(options: &[&str]) -> Place {
    // The compiler writes where the file lies, as its own folder is called: so it is the root's too.
    let place = Place::new(&[&["-gsplit-dwarf"], options].concat());
    let inside = place.at("root").join(place.dir.path().strip_prefix("/").unwrap());
    fs::create_dir_all(&inside).unwrap();
    for entry in fs::read_dir(place.dir.path()).unwrap().flatten() {
        if entry.path().extension().is_some_and(|ending| ending == "dwo") {
            fs::copy(entry.path(), inside.join(entry.file_name())).unwrap();
        }
    }
    // What the debug information of the binary names is not in the stripped one.
    fs::copy(place.at("full"), place.program()).unwrap();
    place
}

#[test]
fn split_debug_information_is_found() {
    for options in [&["-gdwarf-5"][..], &["-gdwarf-4"], &["-gdwarf-5", "-gz"]] {
        let place = split_place(options);
        let counters = place.is_named(&INLINED, &format!("{options:?}"));
        assert_eq!(counters.split_unreadable, 0);
        // A package beside the binary does as well.
        let dwp = place.at("root/opt/burn.dwp");
        let mut packer = Command::new("dwp");
        packer.current_dir(place.dir.path()).args(["-e", "full", "-o"]).arg(&dwp);
        let Ok(true) = packed_ok(&mut packer) else { continue };
        fs::remove_dir_all(place.at("root/tmp")).unwrap();
        let counters = place.is_named(&INLINED, &format!("{options:?} as a package"));
        assert_eq!(counters.split_unreadable, 0);
    }
}

/// Whether the packer ran and knew the format; older ones know no DWARF 5.
fn packed_ok(command: &mut Command) -> std::io::Result<bool> {
    command.output().map(|output| output.status.success())
}

#[test]
fn split_debug_information_of_another_build_is_counted() {
    let place = split_place(&[]);
    let other = split_place(&["-DOTHER=1", "-O1"]);
    let dwo = |place: &Place| {
        let dir = fs::read_dir(place.dir.path()).unwrap().flatten().map(|entry| entry.path());
        dir.into_iter().find(|path| path.extension().is_some_and(|ending| ending == "dwo")).unwrap()
    };
    let inside = place.at("root").join(dwo(&place).strip_prefix("/").unwrap());
    fs::copy(dwo(&other), &inside).unwrap();
    let counters = place.is_named(&["outer_work"], "by its symbol");
    assert_eq!(counters.split_unreadable, 1, "another id");
    fs::write(&inside, b"no ELF file").unwrap();
    assert_eq!(place.is_named(&["outer_work"], "by its symbol").split_unreadable, 1);
    fs::remove_file(&inside).unwrap();
    assert_eq!(place.is_named(&["outer_work"], "by its symbol").split_unreadable, 1);
}

#[test]
fn a_stripped_go_program_names_its_functions() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("main.go");
    fs::write(
        &source,
        "package main\n//go:noinline\nfunc work(n int) int { return n * 3 }\n\
         func main() { println(work(2)) }\n",
    )
    .unwrap();
    let build = |name: &str, options: &[&str]| {
        let program = dir.path().join(name);
        let mut go = Command::new("go");
        go.arg("build").args(options).arg("-o").args([&program, &source]);
        go.env("GO111MODULE", "off").env("GOCACHE", dir.path().join("cache"));
        go.env("GOFLAGS", "-buildvcs=false").output().ok().map(|output| {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            program
        })
    };
    let Some(full) = build("full", &[]) else { return };
    let stripped = build("stripped", &["-ldflags=-s -w"]).unwrap();
    let bytes = fs::read(&full).unwrap();
    let object = object::File::parse(&*bytes).unwrap();
    let address = object.symbols().find(|s| s.name() == Ok("main.work")).unwrap().address();
    let file = Arc::new(File::open(&stripped).unwrap());
    let image = Image::File(ElfInfo::read(&*file).unwrap().build_id.to_string());
    let files = [(Role::Image, file)];
    let question =
        Question { image: &image, path: "", files: &files, addresses: &[address, 0x1000] };
    let mut runner = runner();
    assert!(runner.ensure_worker());
    let Outcome::Named(meanings) = runner.attempt(&question, || false) else { panic!("no names") };
    let spot = &meanings[0].as_ref().unwrap().spots[0];
    assert_eq!((&*spot.function, spot.line), ("main.work", 3), "{spot:?}");
    assert!(spot.file.ends_with("/main.go"), "{spot:?}");
    assert_eq!(meanings[1], None);
    assert_eq!(runner.counted.go_tables_unreadable, 0);
}

#[test]
fn hostile_mini_debug_information_costs_little_and_is_counted() {
    let place = Place::new(&[]);
    // A bomb: it would unpack to 2 GiB.
    let bomb = format!("head -c 2147483648 /dev/zero | xz -1 > {}", place.at("mini.xz").display());
    run(Command::new("sh").args(["-c", &bomb]));
    let section = format!(".gnu_debugdata={}", place.at("mini.xz").display());
    run(Command::new("objcopy").args(["--add-section", &section]).arg(place.program()));
    let start = std::time::Instant::now();
    let counters = place.is_nameless("a bomb");
    assert_eq!((counters.debugdata_unreadable, counters.worker_deaths), (1, 0), "{counters:?}");
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    let place = Place::new(&[]);
    fs::write(place.at("mini.xz"), b"\xfd7zXZ\0no stream at all").unwrap();
    let section = format!(".gnu_debugdata={}", place.at("mini.xz").display());
    run(Command::new("objcopy").args(["--add-section", &section]).arg(place.program()));
    assert_eq!(place.is_nameless("no stream").debugdata_unreadable, 1);
}
