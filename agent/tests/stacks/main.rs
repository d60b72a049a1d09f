//! Native stacks against programs that know their own call graph: which edges a stack may have, and
//! where it must end. Needs root and BPF; says so where it has neither.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may fail by panic, and shows numbers"
)]

mod cost;
mod edges;
mod go;
mod harness;
mod symbols;

use std::process::Command;
use std::time::{Duration, Instant};

use edges::{C_EDGES, CPP_EDGES, RUST_EDGES};
use harness::{Program, Run, Running, Stack, can_sample, compile, source};
use stoker_agent::kernel::Target;
use stoker_unwind::Outcome;
use symbols::Symbols;

const FREQUENCY_HZ: u32 = 997;
/// How many stacks by tables are taken of each program, and for how long at most.
const STACKS_WANTED: usize = 500;
const PATIENCE: Duration = Duration::from_secs(20);

/// Where threads start, and what Go's scheduler does.
const STARTS: [&str; 10] = [
    "_start",
    "clone3",
    "__clone3",
    "clone",
    "__clone",
    "runtime.goexit",
    "runtime.mstart",
    "runtime.rt0_go",
    "runtime.mcall",
    "runtime.morestack",
];

/// What lets an exception land: its own frame is overwritten by that of the function that catches.
const LANDING: [&str; 2] = ["_Unwind_RaiseException", "_Unwind_Resume"];

/// What was found about a program's stacks.
#[derive(Debug, Default)]
struct Verdict {
    /// Stacks taken by tables.
    by_tables: usize,
    /// Stacks taken before the tables were there.
    before: usize,
    complete: usize,
    wrong: usize,
    /// Wrong while an exception lands, when the truth is no longer on the stack
    /// (`docs/unwinding.md`).
    landing: usize,
    guessed: usize,
    in_kernel: usize,
    example: Option<String>,
    first_ms: Option<u128>,
}

fn judge(stacks: &[Stack], pid: u32, symbols: &Symbols, edges: &[(&str, &[&str])]) -> Verdict {
    let mut verdict = Verdict::default();
    let of: Vec<&Stack> = stacks.iter().filter(|stack| stack.pid == pid).collect();
    let start = of.first().map(|stack| stack.at);
    for stack in of {
        if stack.outcome == Outcome::FramePointers {
            verdict.before += 1;
            continue;
        }
        verdict.by_tables += 1;
        verdict.guessed += usize::from(stack.guessed);
        verdict.in_kernel += usize::from(stack.kernel > 0);
        let named: Vec<_> = stack.user.iter().map(|pc| symbols.name(*pc)).collect();
        let is_landing = named.iter().any(|(_, name)| LANDING.contains(&name.as_str()));
        let wrong = first_wrong(&named, edges);
        verdict.landing += usize::from(wrong.is_some() && is_landing);
        let wrong = wrong.filter(|_| !is_landing);
        let last = named.last().map(|(_, function)| function.as_str()).unwrap_or_default();
        let at_start = STARTS.contains(&last);
        let is_complete = stack.outcome == Outcome::Complete && (at_start || last == "?");
        if is_complete && verdict.first_ms.is_none() {
            verdict.first_ms = start.map(|start| (stack.at - start).as_millis());
        }
        verdict.complete += usize::from(is_complete);
        verdict.wrong += usize::from(wrong.is_some());
        let is_worse = wrong.is_some() && verdict.wrong == 1;
        if is_worse || (!is_complete && verdict.example.is_none()) {
            let frames: Vec<_> =
                named.iter().map(|(file, name)| format!("{file}:{name}")).collect();
            let (why, frames) = (stack.outcome.name(), frames.join(" < "));
            let kernel = stack.kernel;
            verdict.example =
                Some(format!("{why} {wrong:?} {kernel} in the kernel {:x?} {frames}", stack.user));
        }
    }
    verdict
}

/// The first edge, caller first, that the program does not have.
fn first_wrong(named: &[(String, String)], edges: &[(&str, &[&str])]) -> Option<(String, String)> {
    let of = |name: &str| edges.iter().find(|(caller, _)| *caller == name).map(|(_, all)| *all);
    let is_own = |name: &str| {
        edges.iter().any(|(caller, callees)| *caller == name || callees.contains(&name))
    };
    (1..named.len()).find_map(|at| {
        let (callee, caller) = (&named[at - 1].1, &named[at].1);
        // A signal's handler, and the way back from it, lie over whatever the signal hit.
        let below = at.checked_sub(2).map(|at| named[at].1.as_str());
        if callee == "handler" || below == Some("handler") || callee == "__restore_rt" {
            return None;
        }
        let callees = of(caller)?;
        let is_known = callees.contains(&callee.as_str());
        let is_other = !is_own(callee) && callees.contains(&"*");
        (!is_known && !is_other).then(|| (caller.clone(), callee.clone()))
    })
}

fn print(title: &str, verdict: &Verdict) {
    let percent = |count: usize| 100.0 * count as f64 / verdict.by_tables.max(1) as f64;
    println!(
        "{title:<44} {:>6} stacks {:>6.2} % complete {:>5.2} % wrong {:>5.2} % guessed {:>5.1} % kernel; {} before, first after {} ms",
        verdict.by_tables,
        percent(verdict.complete),
        percent(verdict.wrong),
        percent(verdict.guessed),
        percent(verdict.in_kernel),
        verdict.before,
        verdict.first_ms.map_or("-".into(), |ms| ms.to_string()),
    );
    if let Some(example) = &verdict.example {
        println!("    e.g. {example}");
    }
}

/// Runs a program for a while and judges its stacks.
///
/// With `forks` those of its child, which it has made meanwhile.
fn run(title: &str, command: &mut Command, edges: &[(&str, &[&str])], forks: bool) -> Verdict {
    let running = Running::start(command);
    let mut run = Run::start(FREQUENCY_HZ, Target::Pids(vec![running.pid()]));
    let end = Instant::now() + PATIENCE;
    let own = || if forks { child_of(running.pid()) } else { Some(running.pid()) };
    let is_own = |stack: &&Stack| own() == Some(stack.pid);
    let by_tables = |stack: &&Stack| stack.outcome != Outcome::FramePointers;
    while Instant::now() < end
        && run.stacks.iter().filter(by_tables).filter(is_own).count() < STACKS_WANTED
    {
        run.go_on(Duration::from_millis(200));
    }
    let pid = own().unwrap();
    let symbols = Symbols::of(pid);
    drop(running);
    run.stop();
    let verdict = judge(&run.stacks, pid, &symbols, edges);
    print(title, &verdict);
    verdict
}

fn child_of(pid: u32) -> Option<u32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn check(title: &str, verdict: &Verdict) {
    assert!(verdict.by_tables >= 50, "{title}: {verdict:?}");
    assert_eq!(verdict.wrong, 0, "{title}: {verdict:?}");
    assert!(verdict.landing * 100 <= verdict.by_tables, "{title}: {verdict:?}");
    assert!(verdict.complete * 100 >= verdict.by_tables * 99, "{title}: {verdict:?}");
}

#[test]
fn stacks_of_c_reach_their_start_without_impossible_edges() {
    if !can_sample("stacks_of_c_reach_their_start_without_impossible_edges") {
        return;
    }
    let modes = [
        "recurse",
        "deep",
        "sort",
        "signal",
        "sigaltstack",
        "edges",
        "syscalls",
        "threads",
        "plugin",
    ];
    let mut verdicts = Vec::new();
    for mode in modes {
        verdicts.push(c(mode, "-O2 -fomit-frame-pointer -pthread"));
    }
    for options in [
        "-O0 -fomit-frame-pointer -pthread",
        "-O1 -fomit-frame-pointer -no-pie -pthread",
        "-O2 -fomit-frame-pointer -static -pthread",
        "-O3 -fomit-frame-pointer -static-pie -pthread",
        "-Os -fomit-frame-pointer -fcf-protection=none -fno-plt -pthread",
        "-O2 -fno-omit-frame-pointer -pthread",
        "-O2 -fstack-clash-protection -fstack-protector-all -pthread",
    ] {
        for mode in ["recurse", "sort", "signal"] {
            verdicts.push(c(mode, options));
        }
    }
    for (title, verdict) in verdicts.iter().flatten() {
        check(title, verdict);
    }
}

#[test]
fn a_child_that_is_forked_late_keeps_its_parents_mappings() {
    if !can_sample("a_child_that_is_forked_late_keeps_its_parents_mappings") {
        return;
    }
    let (title, verdict) = c("fork", "-O2 -fomit-frame-pointer -pthread").unwrap();
    check(&title, &verdict);
}

fn c(mode: &str, options: &str) -> Option<(String, Verdict)> {
    let Program { path, folder } = compile("gcc", options, "truth.c")?;
    let plugin = folder.path().join("plugin.so");
    let options_of_plugin = ["-O2", "-fomit-frame-pointer", "-shared", "-fPIC", "-o"];
    let mut built = Command::new("gcc");
    let built = built.args(options_of_plugin).arg(&plugin).arg(source("plugin.c"));
    assert!(built.status().unwrap().success());
    let title = format!("C {} {mode}", options.replace(" -pthread", ""));
    let mut command = Command::new(path);
    let verdict = run(&title, command.arg(mode).arg(plugin), C_EDGES, mode == "fork");
    Some((title, verdict))
}

#[test]
fn stacks_of_cpp_reach_their_start_without_impossible_edges() {
    if !can_sample("stacks_of_cpp_reach_their_start_without_impossible_edges") {
        return;
    }
    for options in ["-O2 -fomit-frame-pointer", "-O3 -fomit-frame-pointer -static", "-O0"] {
        let Some(program) = compile("g++", options, "truth.cpp") else {
            return harness::skip("stacks of C++", "g++ is not installed");
        };
        let title = format!("C++ {options}");
        let verdict = run(&title, &mut Command::new(&program.path), CPP_EDGES, false);
        check(&title, &verdict);
    }
}

#[test]
fn stacks_of_rust_reach_their_start_without_impossible_edges() {
    if !can_sample("stacks_of_rust_reach_their_start_without_impossible_edges") {
        return;
    }
    let rust = |options: &str| {
        let options = format!("--edition=2024 {options}");
        let program = compile("rustc", &options, "truth.rs").unwrap();
        let title = format!("Rust {options}");
        let verdict = run(&title, &mut Command::new(&program.path), RUST_EDGES, false);
        (title, verdict)
    };
    for options in ["-O", "-C opt-level=0"] {
        let (title, verdict) = rust(options);
        check(&title, &verdict);
    }
    // Here the compiler writes no unwinding information for `main` itself, so that the main
    // thread's stacks end there, and say so. None may be wrong.
    let (title, verdict) = rust("-O -C panic=abort");
    assert_eq!(verdict.wrong, 0, "{title}: {verdict:?}");
    assert!(verdict.complete > 0, "{title}: {verdict:?}");
}
