//! Go's function table against other witnesses: the symbol table of the same file, and what the Go
//! tools say.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking and shows numbers"
)]

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use object::{Object, ObjectSection, ObjectSymbol, SymbolKind};
use stoker_symbols::elf::named_sections;
use stoker_symbols::go::{GoFrameKind, GoFrameSink, GoFunction, GoSpot, GoTable};

const PROGRAM: &str = r#"
package main

import (
	"fmt"
	"os"
)

type number interface{ ~int | ~float64 }

//go:noinline
func sum[T number](values []T) (total T) {
	for _, value := range values {
		total += square(value)
	}
	return
}

func square[T number](value T) T { return value * value }

type adder struct{ total int }

//go:noinline
func (a *adder) add(value int) { a.total += twice(value) }

func twice(value int) int {
	if value > 3 {
		value ^= 7
	}
	return value * value
}

func main() {
	a := &adder{}
	each := func(value int) { a.add(value) }
	for i := range os.Args {
		each(i)
	}
	fmt.Println(a.total, sum([]int{1, 2}), sum([]float64{1.5}))
}
"#;

/// Builds the program; `None` where there is no Go compiler.
fn build(dir: &Path, name: &str, options: &[&str]) -> Option<PathBuf> {
    let (source, program) = (dir.join("main.go"), dir.join(name));
    fs::write(&source, PROGRAM).unwrap();
    let built = Command::new("go")
        .arg("build")
        .args(options)
        .arg("-o")
        .args([&program, &source])
        .env("GO111MODULE", "off")
        .env("GOFLAGS", "-buildvcs=false")
        .env("GOCACHE", dir.join("cache"))
        .output()
        .ok()?;
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    Some(program)
}

fn table(path: &Path) -> (File, GoTable) {
    let file = File::open(path).unwrap();
    let sections = named_sections(&file, file.metadata().unwrap().len()).unwrap();
    let table = GoTable::of(&file, &sections).unwrap();
    (file, table)
}

/// The functions of a file's symbol table that the Go compiler made.
fn symbols(path: &Path) -> Vec<(String, u64, u64)> {
    let bytes = fs::read(path).unwrap();
    let file = object::File::parse(&*bytes).unwrap();
    let functions = file
        .symbols()
        .filter(|s| s.kind() == SymbolKind::Text && s.is_definition() && s.size() > 0);
    functions.filter_map(|s| Some((s.name().ok()?.to_owned(), s.address(), s.size()))).collect()
}

/// Names as both write them: the symbol table marks the calling convention, and the function table
/// leaves out what stands in brackets.
fn bare(name: &str) -> String {
    let name = name.trim_end_matches(".abi0").trim_end_matches(".abiinternal");
    // The linker of C writes a point for Go's raised one.
    let name = name.replace('·', ".");
    match (name.find('['), name.rfind(']')) {
        (Some(start), Some(end)) if start < end => {
            format!("{}[...]{}", &name[..start], &name[end + 1..])
        }
        _ => name,
    }
}

/// How many functions both know, and those to which the table gives another name.
fn compare(path: &Path, symbols: &[(String, u64, u64)]) -> (usize, Vec<String>) {
    let (file, table) = table(path);
    // Several symbols may stand at one address.
    let mut names: HashMap<u64, Vec<String>> = HashMap::new();
    for (name, start, _) in symbols {
        names.entry(*start).or_default().push(bare(name));
    }
    let (mut same, mut wrong) = (0, Vec::new());
    for (name, start, size) in symbols {
        for at in [*start, start + size / 2, start + size - 1] {
            let Some(spots) = table.find(&file, at) else { continue };
            let found = bare(&spots[0].function);
            if names[start].contains(&found) {
                same += 1;
            } else {
                wrong.push(format!("{at:#x}: {name} is called {found}"));
            }
        }
    }
    (same, wrong)
}

#[test]
fn every_function_has_the_name_of_its_symbol() {
    let dir = tempfile::tempdir().unwrap();
    for options in [&[][..], &["-buildmode=pie"]] {
        let Some(full) = build(dir.path(), "full", options) else { return };
        let stripped = dir.path().join("stripped");
        assert!(
            Command::new("strip").arg("-o").args([&stripped, &full]).status().unwrap().success()
        );
        let symbols = symbols(&full);
        let (same, wrong) = compare(&stripped, &symbols);
        assert!(
            wrong.is_empty(),
            "{} wrong, such as {:?}",
            wrong.len(),
            &wrong[..wrong.len().min(9)]
        );
        assert!(same > 3000, "{same} of {}", 3 * symbols.len());
    }
}

fn names(spots: &[GoSpot]) -> Vec<&str> {
    spots.iter().map(|spot| &*spot.function).collect()
}

#[test]
fn generics_closures_methods_and_inlined_calls_have_names_and_lines() {
    let dir = tempfile::tempdir().unwrap();
    let Some(full) = build(dir.path(), "full", &[]) else { return };
    let stripped = build(dir.path(), "stripped", &["-ldflags=-s -w"]).unwrap();
    let (file, table) = table(&stripped);
    let (mut seen, mut lines) = (Vec::new(), Vec::new());
    for (name, start, size) in symbols(&full).iter().filter(|(name, ..)| name.starts_with("main."))
    {
        for at in *start..start + size {
            let spots = table.find(&file, at).unwrap_or_else(|| panic!("{name} at {at:#x}"));
            assert_eq!(bare(&spots[0].function), bare(name));
            for spot in spots.iter().filter(|spot| spot.function.starts_with("main.")) {
                let is_generated = spot.file == "<autogenerated>";
                assert!(is_generated || spot.file.ends_with("main.go"), "{spot:?}");
                lines.push((spot.function.clone(), spot.line));
            }
            seen.push(names(&spots).join(" < "));
        }
    }
    seen.sort_unstable();
    seen.dedup();
    for wanted in ["main.(*adder).add", "main.(*adder).add < main.twice", "main.main"] {
        assert!(seen.iter().any(|stack| stack == wanted), "{wanted}: {seen:#?}");
    }
    assert!(seen.iter().any(|stack| stack == "main.sum[...]"), "{seen:#?}");
    assert!(seen.iter().any(|stack| stack == "main.sum[...] < main.square[...]"), "{seen:#?}");
    for (function, line) in [("main.twice", 30), ("main.(*adder).add", 24)] {
        assert!(lines.contains(&(function.to_owned(), line)), "{function}: {lines:?}");
    }
}

/// Every function with the runs of its frame.
#[derive(Default)]
struct Frames(Vec<(GoFunction, Vec<Run>)>);

/// Start, end, size.
type Run = (u64, u64, Option<u32>);

impl GoFrameSink for Frames {
    type Stop = std::convert::Infallible;

    fn function(&mut self, function: &GoFunction) -> Result<(), Self::Stop> {
        self.0.push((function.clone(), Vec::new()));
        Ok(())
    }

    fn size(&mut self, start: u64, end: u64, size: Option<u32>) -> Result<(), Self::Stop> {
        self.0.last_mut().unwrap().1.push((start, end, size));
        Ok(())
    }
}

#[test]
fn frames_of_every_function_are_told_from_its_first_byte_to_its_last() {
    let dir = tempfile::tempdir().unwrap();
    let Some(full) = build(dir.path(), "full", &[]) else { return };
    let stripped = build(dir.path(), "stripped", &["-ldflags=-s -w"]).unwrap();
    let (file, table) = table(&stripped);
    let mut frames = Frames::default();
    let Ok(()) = table.frames(&file, &mut frames);
    for (function, runs) in &frames.0 {
        assert_eq!((runs[0].0, runs.last().unwrap().1), (function.start, function.end));
        assert!(runs.windows(2).all(|pair| pair[0].1 == pair[1].0), "{function:?}: {runs:?}");
        // The caller has just pushed the return address.
        assert_eq!(runs[0].2, Some(0), "{function:?}");
    }
    let kind = |name: &str| {
        let symbols = symbols(&full);
        let (_, start, _) = symbols.iter().find(|(of, ..)| bare(of) == name).unwrap();
        frames.0.iter().find(|(function, _)| function.start == *start).unwrap().0.kind
    };
    assert_eq!(kind("main.main"), GoFrameKind::Sized);
    assert_eq!(kind("runtime.goexit"), GoFrameKind::Start);
    assert_eq!(kind("runtime.mcall"), GoFrameKind::Start);
    assert_eq!(kind("runtime.systemstack"), GoFrameKind::SwitchesStack);
    assert_eq!(kind("runtime.sigtramp"), GoFrameKind::Sized);
    assert_eq!(kind("runtime.sigreturn"), GoFrameKind::SignalReturn);
}

/// Files of other compilers, where there are any: `STOKER_GO_BINARIES` lists them, with colons.
#[test]
#[ignore = "needs binaries of other Go versions; see STOKER_GO_BINARIES"]
fn binaries_of_other_go_versions_agree_with_their_symbols() {
    let list = std::env::var("STOKER_GO_BINARIES").unwrap_or_default();
    let mut seen = 0;
    for path in list.split(':').map(Path::new).filter(|path| path.exists()) {
        inlined_share(path);
        let (same, wrong) = compare(path, &symbols(path));
        let text = format!("{}: {same} agree, {} do not", path.display(), wrong.len());
        assert!(wrong.is_empty(), "{text}: {:?}", &wrong[..wrong.len().min(9)]);
        seen += same;
    }
    assert!(seen > 0, "no binary has both");
}

/// Samples the code of a binary: all but the gaps has names, and what is inlined is seen.
fn inlined_share(path: &Path) {
    let (file, table) = table(path);
    let bytes = fs::read(path).unwrap();
    let object = object::File::parse(&*bytes).unwrap();
    let text = object.section_by_name(".text").unwrap();
    let all: Vec<_> = (text.address()..text.address() + text.size())
        .step_by(4099)
        .map(|at| table.find(&file, at))
        .collect();
    let (count, named) = (all.len(), all.iter().flatten().count());
    let inlined = all.iter().flatten().filter(|spots| spots.len() > 1).count();
    let lines = all.iter().flatten().filter(|spots| spots.iter().all(|s| s.line > 0)).count();
    println!("{}: {count} places, {named} named, {inlined} inlined, {lines} lines", path.display());
    assert!(named * 2 > count && inlined > 0 && lines * 10 > named * 9);
}
