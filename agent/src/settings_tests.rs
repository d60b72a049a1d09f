//! Who wins, and what is refused in which words.

use super::*;

fn read(text: &str) -> Result<Settings, String> {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), text).expect("writes");
    Settings::read(file.path()).map_err(|error| {
        let path = file.path().display().to_string();
        error.to_string().replace(&path, "FILE")
    })
}

fn daemon(text: &str) -> Result<Daemon, String> {
    read(text)?.into_daemon().map_err(|error| error.to_string())
}

#[test]
fn the_stronger_source_wins_setting_by_setting() {
    let file = read("frequency = 49\nmax_cpu = 7\n[labels]\nzone = \"a\"").expect("is fine");
    let flags = Settings { frequency: Some(99), ..Settings::default() };
    let daemon = flags.or(file).into_daemon().expect("is fine");
    assert_eq!(daemon.agent.frequency_hz, 99);
    assert_eq!(daemon.agent.labels, [("zone".to_owned(), "a".to_owned())]);
    assert_eq!(daemon.agent.budget.cpu_percent, Some(7));
    assert_eq!(daemon.agent.budget.memory_bytes, Some(256 << 20));
    assert_eq!(daemon.agent.kill_switch, Some("/var/lib/stoker-agent/off".into()));
    assert!(daemon.seccomp && daemon.http.is_none());
}

#[test]
fn a_target_is_chosen_as_a_whole() {
    let file = read("cgroup = \"/sys/fs/cgroup/x\"").expect("is fine");
    let flags = Settings { pid: Some(vec![7]), ..Settings::default() };
    let daemon = flags.or(file).into_daemon().expect("is fine");
    assert_eq!(daemon.agent.target, Target::Pids(vec![7]));
}

#[test]
fn zero_takes_a_bound_away() {
    let budget = daemon("max_cpu = 0\nmax_memory = 0").expect("is fine").agent.budget;
    assert_eq!(budget, Budget::default());
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    for (text, wanted) in [
        ("frequency = \"x\"", "the configuration FILE is wrong: line 1: "),
        ("\nfrequenzy = 9", "line 2: unknown field `frequenzy`"),
        ("frequency = 0", "frequency: choose 1 to 10000 Hz"),
        ("labels = { \"a b\" = \"c\" }", "labels: \"a b\" is no label name"),
        ("http = \"0.0.0.0:1\"", "http: other machines could reach"),
        ("pid = [1]\ncgroup = \"/x\"", "pid: choose processes or a control group"),
        ("flush_seconds = 61", "flush_seconds: choose 1 to 60"),
    ] {
        let error = daemon(text).expect_err(text);
        assert!(error.contains(wanted), "{text}: {error}");
        assert!(!error.contains('\n'), "one sentence: {error}");
    }
    assert!(daemon("http = \"0.0.0.0:1\"\ninsecure = true").is_ok());
}

#[test]
fn what_needs_a_restart_is_named() {
    let before = daemon("").expect("is fine");
    let after = daemon("frequency = 7\nserver = \"http://x:1\"\nlog = \"debug\"").expect("is fine");
    assert_eq!(before.needs_restart(&after), ["server", "log"]);
}
