//! Unwinding tables of real files.

#[path = "unwind/compare.rs"]
mod compare;
#[path = "unwind/elf_file.rs"]
mod elf_file;
#[path = "unwind/host.rs"]
mod host;
#[path = "unwind/hostile.rs"]
mod hostile;
#[path = "unwind/programs.rs"]
mod programs;
#[path = "unwind/ptrace.rs"]
mod ptrace;
#[path = "unwind/replay.rs"]
mod replay;
#[path = "unwind/second_reading.rs"]
mod second_reading;
#[path = "unwind/shadow.rs"]
mod shadow;

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use stoker_agent::unwind::compile::{Rules, Table, compile};

use self::compare::{Comparison, compare};
use self::programs::{PROGRAMS, Program};
use self::replay::{From, Sum, WRONG, replay};

/// Folders that hold what a machine runs.
const FOLDERS: [&str; 5] = ["/usr/lib", "/usr/bin", "/usr/sbin", "/usr/libexec", "/opt"];

fn check(files: impl IntoIterator<Item = PathBuf>) {
    let mut rules = Rules::default();
    let mut all = Comparison::default();
    for file in files {
        compare(&file, &mut rules, &mut all);
    }
    #[expect(clippy::print_stdout, reason = "the numbers are what the command is run for")]
    {
        let Comparison { files, told, unsupported, overlapping, outside, rows, bytes, .. } = &all;
        println!("files                        {files}");
        println!("rows of readelf compared     {told}");
        println!("of these not supported       {unsupported}");
        println!("overlapping, not compared    {overlapping}");
        println!("outside of the text          {outside}");
        println!("differences                  {}", all.differences.len());
        println!("rows of ours                 {rows}");
        println!("bytes per row with the index {:.2}", *bytes as f64 / *rows as f64);
        println!("rules                        {}", rules.as_slice().len());
    }
    assert!(all.files > 0 && all.told > 1000, "too little was compared: {all:?}");
    let first: Vec<_> = all.differences.iter().take(20).collect();
    assert!(first.is_empty(), "{first:#?}");
}

/// Every instruction of every program: `cargo test --release -p stoker-agent --test unwind
/// all_replayed -- --ignored --nocapture`
#[test]
#[ignore = "runs programs one instruction at a time, which takes minutes"]
fn all_replayed_stacks_are_true() {
    replay_all(PROGRAMS.iter(), 1);
}

#[test]
fn replayed_stacks_are_true() {
    /// One instruction in so many is looked at: coprime to what loops take.
    const STRIDE: u64 = 31;
    replay_all(PROGRAMS.iter().filter(|program| program.is_quick), STRIDE);
}

/// Replays and prints; stacks are never wrong, and complete but for one in a hundred.
#[expect(clippy::print_stdout, reason = "the numbers are what the command is run for")]
fn replay_all<'a>(programs: impl Iterator<Item = &'a Program>, stride: u64) {
    const COMPLETE_PERCENT_MIN: f64 = 99.0;
    let folder = tempfile::tempdir().expect("a folder");
    println!("| program | stacks | complete and right | others |\n|---|---|---|---|");
    let mut failures = Vec::new();
    for program in programs {
        let Some(file) = program.build(folder.path()) else {
            println!("| {} | skipped: `{}` fails here |", program.name, program.command);
            continue;
        };
        let Sum { stacks, complete, others, examples, .. } = replay(&file, program.from, stride);
        let percent = complete as f64 * 100.0 / stacks as f64;
        println!("| {} | {stacks} | {percent:.3} % | {others:?} |", program.name);
        let is_short = percent < COMPLETE_PERCENT_MIN && program.from == From::Entry;
        if others.contains_key(WRONG) || is_short {
            failures.push(format!("{}: {examples:#?}", program.name));
        } else if !examples.is_empty() {
            println!("{examples:#?}");
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Files that every machine has, and this test.
#[test]
fn tables_say_what_readelf_says() {
    let mut files = BTreeSet::from([std::env::current_exe().expect("this test has a file")]);
    for file in ["/bin/sh", "/usr/bin/readelf"] {
        files.extend(std::fs::canonicalize(file));
    }
    let maps = std::fs::read_to_string("/proc/self/maps").expect("a process has mappings");
    let mapped = maps.lines().filter_map(|line| line.split_whitespace().nth(5));
    files.extend(mapped.filter(|path| path.starts_with('/')).map(PathBuf::from));
    for name in ["libcrypto.so.3", "libstdc++.so.6", "libm.so.6"] {
        let folders = ["/usr/lib/x86_64-linux-gnu", "/usr/lib64"].map(Path::new);
        files.extend(folders.iter().filter_map(|folder| folder.join(name).canonicalize().ok()));
    }
    check(files);
}

/// `cargo test --release -p stoker-agent --test unwind -- --ignored --nocapture`
#[test]
#[ignore = "reads every program and library of the machine, which takes minutes"]
fn all_tables_say_what_readelf_says() {
    check(machine_files());
}

/// `cargo test --release -p stoker-agent --test unwind largest -- --ignored --nocapture`
#[test]
#[ignore = "a measurement, and of the release build"]
fn largest() {
    /// Rows of the printed table.
    const FILES: usize = 16;
    let mut tables: Vec<_> = machine_files().into_iter().filter_map(measured).collect();
    tables.sort_by_key(|(_, table, _)| std::cmp::Reverse(table.rows.len()));
    println!("| file | functions | rows | no information | bytes per row | not supported | ms |");
    println!("|---|---|---|---|---|---|---|");
    for (file, table, time) in tables.iter().take(FILES) {
        let report = &table.report;
        println!(
            "| {} | {} | {} | {} | {:.2} | {} | {:.1} |",
            file.file_name().unwrap_or_default().display(),
            report.fdes,
            report.rows,
            report.rows_none,
            table.bytes() as f64 / table.rows.len() as f64,
            report.rows_unsupported,
            time.as_secs_f64() * 1e3,
        );
    }
}

/// The file's table and the shortest time of three.
fn measured(file: PathBuf) -> Option<(PathBuf, Table, Duration)> {
    let open = File::open(&file).ok()?;
    let mut times = Vec::new();
    let mut last = None;
    for _ in 0..3 {
        let start = Instant::now();
        last = compile(&open, &mut Rules::default()).ok();
        times.push(start.elapsed());
    }
    Some((file, last?, times.into_iter().min()?))
}

/// The programs and libraries of the machine, and of `STOKER_UNWIND_FOLDERS`.
fn machine_files() -> BTreeSet<PathBuf> {
    let mut files = BTreeSet::new();
    let more = std::env::var("STOKER_UNWIND_FOLDERS").unwrap_or_default();
    let folders = FOLDERS.into_iter().chain(more.split(':').filter(|folder| !folder.is_empty()));
    folders.for_each(|folder| collect(Path::new(folder), &mut files));
    files
}

fn collect(folder: &Path, files: &mut BTreeSet<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => collect(&entry.path(), files),
            Ok(kind) if kind.is_file() && is_elf(&entry.path()) => {
                files.insert(entry.path());
            }
            _ => {}
        }
    }
}

fn is_elf(file: &Path) -> bool {
    use std::io::Read as _;
    let mut magic = [0; 4];
    let read = File::open(file).and_then(|mut file| file.read_exact(&mut magic));
    read.is_ok() && magic == *b"\x7fELF"
}
