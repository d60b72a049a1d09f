//! The kernel side on a real kernel: programs that burn CPU in known places, and what is seen of
//! them. Needs root and BPF; says so where it has neither.
//!
//! `STOKER_BPF_OBJECT` makes these tests use another object than the committed one.

#![expect(clippy::unwrap_used, reason = "a test may fail by panic")]

mod common;
mod cost;
mod lifetime;
mod targets;

use std::{
    ops::Range, os::unix::fs::MetadataExt as _, path::Path, process::Command, time::Duration,
};

use common::{Burner, Seen, can_sample, config, record, while_doing};
use stoker_agent::kernel::{Sampler, SamplerConfig, SamplerStats, Target};

/// Each firing has one end, and each sample taken has one receiver.
fn check_conservation(stats: &SamplerStats) {
    assert_eq!(stats.fired, stats.taken + stats.lost + stats.filtered + stats.idle, "{stats:?}");
    assert_eq!(stats.taken, stats.delivered + stats.pending + stats.malformed, "{stats:?}");
    assert_eq!((stats.malformed, stats.process_events_malformed), (0, 0), "{stats:?}");
}

#[test]
fn known_function_is_seen_with_its_callers() {
    let Some(_turn) = can_sample("known_function_is_seen_with_its_callers") else { return };
    let burner = Burner::start();
    let recording = record(&config(Target::All), Duration::from_secs(2));
    check_conservation(&recording.stats);
    let samples = recording.of(burner.pid());
    assert!(samples.len() > 60, "{} samples of a busy process in 2 s at 99 Hz", samples.len());
    let function = burner.range("burn");
    let at = |sample: &Seen, depth: usize, range: &Range<u64>| {
        sample.user.get(depth).is_some_and(|address| range.contains(address))
    };
    let hits: Vec<_> = samples.iter().filter(|sample| at(sample, 0, &function)).collect();
    assert!(hits.len() * 100 > samples.len() * 95, "{} of {} in burn", hits.len(), samples.len());
    let caller = burner.range("caller");
    let called = hits.iter().filter(|sample| at(sample, 1, &caller)).count();
    // Caught in the function's first or last instruction, the frame is not there.
    assert!(called * 100 >= hits.len() * 99, "{called} of {} called by caller", hits.len());
    assert!(samples.iter().all(|sample| sample.comm == "burner"));
    assert!(recording.in_order, "events must come in the order of time");
}

#[test]
fn every_run_of_the_program_is_counted_once() {
    let Some(_turn) = can_sample("every_run_of_the_program_is_counted_once") else { return };
    // The kernel's own count of how often the program ran, independent of the program's counters.
    // Both CPUs busy: an idle one may leave out ticks.
    let _burners: Vec<_> = (0..common::cpus()).map(|_| Burner::start()).collect();
    let _counting = common::RunCounting::start();
    let recording = record(&config(Target::All), Duration::from_secs(1));
    check_conservation(&recording.stats);
    assert_eq!(recording.program_runs, recording.stats.fired);
    let (fired, expected) = (recording.stats.fired, recording.stats.expected);
    assert!(fired.abs_diff(expected) * 10 < expected, "{fired} fired, {expected} expected");
}

#[test]
fn short_lived_process_leaves_its_name_and_its_files() {
    let Some(_turn) = can_sample("short_lived_process_leaves_its_name_and_its_files") else {
        return;
    };
    let program = common::compile_burner();
    let expected = std::fs::metadata(&program.path).unwrap().ino();
    let mut pid = 0;
    let recording = while_doing(&config(Target::All), || {
        let mut child = Command::new(&program.path).arg("0").spawn().unwrap();
        pid = child.id();
        assert!(child.wait().unwrap().success());
    });
    let kinds = recording.life_of(pid);
    let (fork, exec, exit) = (kinds.first(), kinds.get(1), kinds.last());
    assert_eq!((fork, exec, exit), (Some(&"fork"), Some(&"exec"), Some(&"exit")), "{kinds:?}");
    let mapped = recording.mmaps.iter().filter(|mmap| mmap.pid == pid);
    let own: Vec<_> = mapped.clone().filter(|mmap| *mmap.path == *program.path).collect();
    assert_eq!(own.len(), 1, "{:?}", mapped.collect::<Vec<_>>());
    assert_eq!(own[0].file.unwrap().inode, expected);
    assert!(mapped.clone().any(|mmap| mmap.path.ends_with("libc.so.6")));
    assert!(mapped.clone().any(|mmap| *mmap.path == *Path::new("[vdso]")));
}

#[test]
fn full_ring_is_counted() {
    let Some(_turn) = can_sample("full_ring_is_counted") else { return };
    let _burners = (Burner::start(), Burner::start());
    let config =
        SamplerConfig { frequency_hz: 2_000, ring_bytes: Some(64 << 10), ..config(Target::All) };
    let mut sampler = Sampler::start(&config).unwrap();
    std::thread::sleep(Duration::from_secs(1));
    sampler.stop().unwrap();
    sampler.drain(&mut |_| ());
    let stats = sampler.stats().unwrap();
    assert!(stats.lost > 0, "{stats:?}");
    check_conservation(&stats);
}

#[test]
fn many_short_processes_are_all_seen_in_order() {
    // About 1.3 KiB of records each: the rings, 512 KiB per CPU at most, wrap around.
    const PROCESSES: usize = 1_200;
    let Some(_turn) = can_sample("many_short_processes_are_all_seen_in_order") else { return };
    let mut pids = Vec::new();
    let recording = while_doing(&config(Target::All), || {
        for _ in 0..PROCESSES {
            let mut child = Command::new("/bin/true").spawn().unwrap();
            pids.push(child.id());
            child.wait().unwrap();
        }
    });
    assert_eq!(recording.stats.process_events_lost, 0);
    assert_eq!(recording.stats.late, 0);
    assert!(recording.in_order);
    for pid in pids {
        assert_eq!(recording.life_of(pid), ["fork", "exec", "exit"], "process {pid}");
        let mapped = recording.mmaps.iter().filter(|mmap| mmap.pid == pid);
        assert!(mapped.filter(|mmap| mmap.file.is_some()).count() >= 2, "program and libc");
    }
}

#[test]
fn kernel_stacks_come_with_the_user_stack_below() {
    let Some(_turn) = can_sample("kernel_stacks_come_with_the_user_stack_below") else { return };
    let mut child = Command::new("dd")
        .args(["if=/dev/zero", "of=/dev/null", "bs=1M", "status=none"])
        .spawn()
        .unwrap();
    let recording = record(&config(Target::Pids(vec![child.id()])), Duration::from_secs(1));
    child.kill().unwrap();
    child.wait().unwrap();
    check_conservation(&recording.stats);
    let in_kernel: Vec<_> =
        recording.samples.iter().filter(|seen| !seen.kernel.is_empty()).collect();
    assert!(in_kernel.len() * 2 > recording.samples.len(), "dd spends its time in the kernel");
    // Kernel addresses are the upper half of the address space, user addresses the lower.
    let is_kernel = |address: &u64| address >> 63 == 1;
    assert!(in_kernel.iter().all(|seen| seen.kernel.iter().all(is_kernel)));
    assert!(in_kernel.iter().all(|seen| !seen.user.is_empty()));
    assert!(recording.samples.iter().all(|seen| !seen.user.iter().any(is_kernel)));
}
