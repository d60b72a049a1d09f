//! Whom a sampler samples.

use std::{fs, os::unix::fs::MetadataExt as _, time::Duration};

use stoker_agent::kernel::{Sampler, SamplerConfig, Target};

use crate::{
    check_conservation,
    common::{self, Burner, can_sample, config, record, while_doing},
};

#[test]
fn pid_target_takes_its_process_and_its_children_only() {
    let Some(_turn) = can_sample("pid_target_takes_its_process_and_its_children_only") else {
        return;
    };
    let (wanted, _other) = (Burner::start(), Burner::start());
    let mut child = 0;
    let target = Target::Pids(vec![wanted.pid(), std::process::id()]);
    let recording = while_doing(&config(target), || {
        let burner = Burner::start();
        child = burner.pid();
        std::thread::sleep(Duration::from_secs(1));
    });
    check_conservation(&recording.stats);
    let ours = [wanted.pid(), child, std::process::id()];
    let strangers: Vec<_> =
        recording.samples.iter().filter(|seen| !ours.contains(&seen.pid)).collect();
    assert!(
        strangers.iter().all(|seen| recording.descends(seen.pid, std::process::id())),
        "{strangers:?}"
    );
    assert!(!recording.of(wanted.pid()).is_empty());
    assert!(!recording.of(child).is_empty(), "a child must be followed");
    assert!(recording.stats.filtered > 0);
}

#[test]
fn pids_can_be_added_and_removed() {
    let Some(_turn) = can_sample("pids_can_be_added_and_removed") else { return };
    let burner = Burner::start();
    let mut sampler = Sampler::start(&config(Target::Pids(Vec::new()))).unwrap();
    let taken = |sampler: &mut Sampler| {
        std::thread::sleep(Duration::from_millis(300));
        sampler.drain(&mut |_| ());
        std::thread::sleep(Duration::from_millis(300));
        sampler.drain(&mut |_| ())
    };
    assert_eq!(taken(&mut sampler), 0);
    sampler.add_pid(burner.pid()).unwrap();
    assert!(taken(&mut sampler) > 0);
    assert!(sampler.remove_pid(burner.pid()).unwrap());
    assert_eq!(taken(&mut sampler), 0);
    let mut everything = Sampler::start(&config(Target::All)).unwrap();
    assert!(everything.add_pid(1).is_err());
}

#[test]
fn cgroup_target_takes_the_cgroup_and_what_lies_below() {
    const NAME: &str = "cgroup_target_takes_the_cgroup_and_what_lies_below";
    let Some(_turn) = can_sample(NAME) else { return };
    let Some(group) = common::TestCgroup::make() else {
        return common::skip(NAME, "no cgroup version 2 hierarchy can be written to");
    };
    let (inside, _outside) = (Burner::start(), Burner::start());
    fs::write(group.below.join("cgroup.procs"), inside.pid().to_string()).unwrap();
    let recording = record(&config(Target::Cgroup(group.path.clone())), Duration::from_secs(1));
    check_conservation(&recording.stats);
    assert!(!recording.samples.is_empty());
    assert!(recording.samples.iter().all(|seen| seen.pid == inside.pid()));
    let id = fs::metadata(&group.below).unwrap().ino();
    assert!(recording.samples.iter().all(|seen| seen.cgroup_id == id));
    assert!(recording.stats.filtered > 0);
}

#[test]
fn wrong_requests_are_refused_in_a_sentence() {
    let Some(_turn) = can_sample("wrong_requests_are_refused_in_a_sentence") else { return };
    let refused = |config: &SamplerConfig| Sampler::start(config).err().unwrap().to_string();
    let zero = SamplerConfig { frequency_hz: 0, ..config(Target::All) };
    assert!(refused(&zero).contains("choose 1 to"), "{}", refused(&zero));
    let nowhere = config(Target::Cgroup("/nonexistent".into()));
    assert!(refused(&nowhere).contains("no such folder"), "{}", refused(&nowhere));
    let nothing = config(Target::Cgroup("/tmp".into()));
    assert!(refused(&nothing).contains("not the folder of a cgroup"), "{}", refused(&nothing));
    let many = config(Target::Pids((1..=20_000).collect()));
    assert!(refused(&many).contains("16384"), "{}", refused(&many));
}
