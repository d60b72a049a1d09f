//! How a sampler ends.

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use stoker_agent::kernel::{KernelEvent, Sampler, Target};

use crate::{
    check_conservation,
    common::{Burner, can_sample, config, is_loaded, program_ids, soon},
};

#[test]
fn stop_hands_out_everything() {
    let Some(_turn) = can_sample("stop_hands_out_everything") else { return };
    let _burner = Burner::start();
    let mut sampler = Sampler::start(&config(Target::All)).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    sampler.stop().unwrap();
    let mut samples = 0;
    sampler.drain(&mut |event| samples += u64::from(matches!(event, KernelEvent::Sample(_))));
    let stats = sampler.stats().unwrap();
    assert_eq!((stats.delivered, stats.pending), (samples, 0));
    assert_eq!(stats.taken, samples);
    assert!(samples > 0);
    check_conservation(&stats);
}

#[test]
fn dropping_a_sampler_leaves_nothing_behind() {
    let Some(_turn) = can_sample("dropping_a_sampler_leaves_nothing_behind") else { return };
    let sampler = Sampler::start(&config(Target::All)).unwrap();
    let programs = program_ids(std::process::id());
    assert!(!programs.is_empty());
    assert!(programs.keys().all(|id| is_loaded(*id)));
    drop(sampler);
    assert!(soon(|| !programs.keys().any(|id| is_loaded(*id))), "still loaded: {programs:?}");
}

#[test]
fn killing_a_sampler_leaves_nothing_behind() {
    let Some(_turn) = can_sample("killing_a_sampler_leaves_nothing_behind") else { return };
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "lifetime::hold_a_sampler"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    assert!(soon(|| !program_ids(child.id()).is_empty()), "the other process does not start");
    let programs = program_ids(child.id());
    assert!(programs.keys().all(|id| is_loaded(*id)));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(soon(|| !programs.keys().any(|id| is_loaded(*id))), "still loaded: {programs:?}");
}

#[test]
fn killing_the_daemon_leaves_nothing_behind() {
    let Some(_turn) = can_sample("killing_the_daemon_leaves_nothing_behind") else { return };
    let state = tempfile::tempdir().unwrap();
    let mut daemon = Command::new(env!("CARGO_BIN_EXE_stoker-agent"))
        .args(["--server", "http://127.0.0.1:1", "--state-dir"])
        .arg(state.path())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    assert!(soon(|| !program_ids(daemon.id()).is_empty()), "the daemon does not start");
    let programs = program_ids(daemon.id());
    assert!(programs.keys().all(|id| is_loaded(*id)));
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    assert!(soon(|| !programs.keys().any(|id| is_loaded(*id))), "still loaded: {programs:?}");
}

/// The process that `killing_a_sampler_leaves_nothing_behind` kills.
#[test]
#[ignore = "runs for a minute; started by another test"]
fn hold_a_sampler() {
    let _sampler = Sampler::start(&config(Target::All)).unwrap();
    std::thread::sleep(Duration::from_secs(60));
}

#[test]
fn the_frequency_changes_between_two_drains() {
    let Some(_turn) = can_sample("the_frequency_changes_between_two_drains") else { return };
    let burner = Burner::start();
    let mut sampler = Sampler::start(&config(Target::Pids(vec![burner.pid()]))).unwrap();
    let take = |sampler: &mut Sampler| {
        let mut times = Vec::new();
        sampler.drain(&mut |event| {
            if let KernelEvent::Sample(sample) = event {
                times.push(sample.time_ns);
            }
        });
        times
    };
    std::thread::sleep(Duration::from_secs(1));
    sampler.pause().unwrap();
    let often = take(&mut sampler);
    assert!((50..=110).contains(&often.len()), "{} samples at 99 Hz", often.len());
    std::thread::sleep(Duration::from_millis(300));
    assert!(take(&mut sampler).is_empty(), "paused");
    sampler.resume(10).unwrap();
    std::thread::sleep(Duration::from_secs(2));
    sampler.pause().unwrap();
    let seldom = take(&mut sampler);
    assert!((8..=22).contains(&seldom.len()), "{} samples at 10 Hz", seldom.len());
    assert!(often.iter().max() < seldom.iter().min());
    let stats = sampler.stats().unwrap();
    let cpus = crate::common::cpus() as u64;
    assert!((100 * cpus..=145 * cpus).contains(&stats.expected), "{}", stats.expected);
    check_conservation(&stats);
}
