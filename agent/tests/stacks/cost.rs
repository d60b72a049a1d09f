//! What a sample by tables costs in the kernel: measured and printed, not asserted.
//!
//! ```text
//! cargo xtask ebpf --measure --out target/measure.bpf.o
//! STOKER_BPF_OBJECT=$PWD/target/measure.bpf.o \
//!     cargo test -p stoker-agent --test stacks -- --ignored cost --nocapture
//! ```

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use stoker_agent::kernel::Target;
use stoker_unwind::Outcome;

use crate::harness::{Run, Running, can_sample, skip};

const FREQUENCY_HZ: u32 = 2_000;
/// Functions of the program that meets cold caches.
const COLD_FUNCTIONS: u32 = 24_000;

#[test]
#[ignore = "measures for half a minute; needs a measuring build"]
fn cost_by_tables() {
    if !can_sample("cost_by_tables") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let burner = folder.path().join("burner");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kernel/burner.c");
    gcc(&["-O2", "-fomit-frame-pointer", "-fno-optimize-sibling-calls"], &source, &burner);
    println!("{:>7} {:>8} {:>7} {:>7} {:>7}", "frames", "samples", "p50 ns", "p90", "p99");
    for frames in [0, 26, 56, 116] {
        let mut command = Command::new(&burner);
        measure(command.args(["1", &frames.to_string()]));
    }
    let cold = folder.path().join("cold.c");
    std::fs::write(&cold, cold_source()).unwrap();
    let program = folder.path().join("cold");
    gcc(&["-O1", "-fomit-frame-pointer", "-fno-optimize-sibling-calls"], &cold, &program);
    println!("cold, {COLD_FUNCTIONS} functions:");
    measure(&mut Command::new(&program));
}

fn gcc(options: &[&str], source: &Path, program: &Path) {
    let done = Command::new("gcc").args(options).arg("-o").arg(program).arg(source).status();
    assert!(done.unwrap().success());
}

/// Warms up until stacks come by tables, then measures for four seconds.
fn measure(command: &mut Command) {
    let running = Running::start(command);
    let mut run = Run::start(FREQUENCY_HZ, Target::Pids(vec![running.pid()]));
    let is_by_tables =
        |run: &Run| run.stacks.last().is_some_and(|stack| stack.outcome == Outcome::Complete);
    for _ in 0..100 {
        run.go_on(Duration::from_millis(200));
        if is_by_tables(&run) {
            break;
        }
    }
    assert!(is_by_tables(&run), "no tables in twenty seconds");
    run.stacks.clear();
    let Some(before) = run.cost() else {
        return skip("cost_by_tables", "STOKER_BPF_OBJECT names no measuring build");
    };
    run.go_on(Duration::from_secs(4));
    let cost = run.cost().unwrap().since(&before);
    run.stop();
    let frames: usize = run.stacks.iter().map(|stack| stack.user.len()).sum();
    let at = |percent| cost.percentile_ns(percent).map_or("-".into(), |ns| ns.to_string());
    println!(
        "{:>7} {:>8} {:>7} {:>7} {:>7}",
        frames / run.stacks.len().max(1),
        cost.samples(),
        at(50),
        at(90),
        at(99)
    );
}

/// Chains of 40 calls through functions chosen at random among many: neither rows nor stack are in
/// a cache.
fn cold_source() -> String {
    let mut text = String::from(
        "#include <stdlib.h>\ntypedef unsigned long W;\nstatic volatile W sink;\n\
         extern W (*all[])(W, W);\n",
    );
    for number in 0..COLD_FUNCTIONS {
        let (space, push) = (number % 13 * 8 + 8, number % 7);
        let _ = writeln!(
            text,
            "__attribute__((noipa)) W f{number}(W depth, W seed) {{ volatile char s[{space}]; \
             s[0] = {push}; seed = seed * 6364136223846793005ul + {number} * 2 + 1; \
             if (!depth) {{ for (int i = 0; i < 3000; i++) sink += i; return seed; }} \
             W r = all[(seed >> 33) % {COLD_FUNCTIONS}](depth - 1, seed); \
             return r + s[0]; }}"
        );
    }
    text.push_str("W (*all[])(W, W) = {\n");
    for number in 0..COLD_FUNCTIONS {
        let _ = writeln!(text, "f{number},");
    }
    text.push_str("};\nint main(void) { W seed = 1; for (;;) seed = f0(40, seed); }\n");
    text
}
