//! `stoker record`: every mode and every format on a program with known functions.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use stoker_tests::{Running, can_sample, wait_for};

use crate::support::{burner, done, refused, stoker, text};

/// A process group that ends with the test, however that ends.
pub struct Burning(std::process::Child);

impl Burning {
    pub fn start(command: &mut Command) -> Self {
        let command = std::os::unix::process::CommandExt::process_group(command, 0);
        Self(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap())
    }

    pub fn pid(&self) -> String {
        self.0.id().to_string()
    }
}

impl Drop for Burning {
    fn drop(&mut self) {
        let group = format!("-{}", self.0.id());
        let _ = Command::new("kill").args(["-9", "--", &group]).status();
        let _ = self.0.wait();
    }
}

/// Value by function (each counts where it is the leaf) of collapsed stacks.
pub fn leaves(collapsed: &str) -> BTreeMap<String, f64> {
    let mut sums = BTreeMap::new();
    for line in collapsed.lines() {
        let (stack, value) = line.rsplit_once(' ').unwrap();
        let leaf = stack.rsplit(';').next().unwrap();
        *sums.entry(leaf.to_owned()).or_default() += value.parse::<f64>().unwrap();
    }
    sums
}

/// The hot functions have about the shares that their names say.
pub fn check_shares(collapsed: &str) {
    let sums = leaves(collapsed);
    let total: f64 = sums.values().sum();
    for (name, share) in [("hot_half", 0.5), ("hot_third", 0.3), ("hot_fifth", 0.2)] {
        let got = sums.get(name).copied().unwrap_or(0.0) / total;
        assert!((got - share).abs() < 0.12, "{name} has {got}, not {share}: {sums:?}");
    }
}

#[test]
fn a_command_is_recorded_in_every_format_and_its_output_is_its_own() {
    if !can_sample("a_command_is_recorded_in_every_format_and_its_output_is_its_own") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let program = burner(dir.path());
    for name in ["a.collapsed", "a.svg", "a.pb.gz", "a.speedscope.json", "a.html"] {
        let out = dir.path().join(name);
        let arguments = ["record", "-F", "499", "-o", text(&out), "--", text(&program), "1"];
        let (printed, said) = done(&mut stoker(&arguments));
        assert!(printed.starts_with("hot_half "), "its own output: {printed}");
        for word in ["samples in", "at 499 Hz", "lost", "complete", "of frames named", "wrote"] {
            assert!(said.contains(word), "the summary lacks {word:?}: {said}");
        }
        assert!(said.contains("hot_half"), "{said}");
        let bytes = fs::read(&out).unwrap();
        match name {
            "a.collapsed" => check_shares(&String::from_utf8(bytes).unwrap()),
            "a.pb.gz" => assert!(bytes.starts_with(&[0x1f, 0x8b])),
            _ => assert!(String::from_utf8_lossy(&bytes).contains("hot_half"), "{name}"),
        }
    }
    let files = fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(files, 6, "nothing else is left");
}

#[test]
fn the_exit_code_is_the_command_s() {
    if !can_sample("the_exit_code_is_the_command_s") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("a.collapsed");
    for (script, wanted) in [("exit 7", 7), ("exit 0", 0), ("kill -9 $$", 137)] {
        let arguments = ["record", "-q", "-o", text(&out), "--", "sh", "-c", script];
        let output = stoker(&arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(wanted), "{script}");
        assert!(output.stderr.is_empty(), "-q says nothing");
        assert!(out.exists());
    }
    // Input, folder and environment are the command's own.
    let mut command = stoker(&["record", "-q", "-o", text(&out), "--", "sh", "-c", "cat; echo $A"]);
    command.env("A", "set").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"through\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "through\nset\n");
}

#[test]
fn a_command_s_short_lived_children_are_recorded_too() {
    if !can_sample("a_command_s_short_lived_children_are_recorded_too") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let program = burner(dir.path());
    // Each lives about as long as lies between two looks at the rings.
    let script = "for i in 1 2 3 4 5 6 7 8; do \"$0\" 0.1 > /dev/null & done; wait";
    let arguments = [
        "record",
        "-q",
        "-F",
        "999",
        "-o",
        "-",
        "--format",
        "collapsed",
        "--",
        "sh",
        "-c",
        script,
        text(&program),
    ];
    let (printed, _) = done(&mut stoker(&arguments));
    check_shares(&printed);
    let total: f64 = leaves(&printed).values().sum();
    assert!(total > 0.7e9, "{total} ns of 0.8 s");
}

#[test]
fn with_standard_output_taken_the_command_s_goes_to_standard_error() {
    if !can_sample("with_standard_output_taken_the_command_s_goes_to_standard_error") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let program = burner(dir.path());
    let arguments = ["record", "-o", "-", "--format", "collapsed", "--", text(&program), "0.5"];
    let (printed, said) = done(&mut stoker(&arguments));
    assert!(!leaves(&printed).is_empty());
    assert!(said.contains("hot_half ") && said.contains("samples in"), "{said}");
}

#[test]
fn processes_and_their_children_are_recorded_until_they_end_or_ctrl_c() {
    if !can_sample("processes_and_their_children_are_recorded_until_they_end_or_ctrl_c") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let program = burner(dir.path());
    let start = |seconds: &str| {
        let script = "\"$0\" \"$1\"; exit 0";
        Burning::start(Command::new("sh").args(["-c", script, text(&program), seconds]))
    };
    let parent = start("2");
    let out = dir.path().join("until-end.collapsed");
    let pid = parent.pid();
    done(&mut stoker(&["record", "-p", &pid, "-o", text(&out)]));
    check_shares(&fs::read_to_string(&out).unwrap());

    let parent = start("600");
    let out = dir.path().join("until-ctrl-c.collapsed");
    let pid = parent.pid();
    let log = dir.path().join("log");
    let mut command = stoker(&["record", "-p", &pid, "-F", "499", "-o", text(&out)]);
    let mut running = Running::start(&mut command, &log);
    std::thread::sleep(Duration::from_secs(4));
    assert!(!out.exists(), "nothing is written before the end");
    running.signal("INT");
    assert!(running.wait(Duration::from_secs(30)).success(), "{}", running.output());
    assert!(running.output().contains("hot_half"), "{}", running.output());
    check_shares(&fs::read_to_string(&out).unwrap());
    assert!(Path::new(&format!("/proc/{pid}")).exists(), "what is recorded goes on");
}

#[test]
fn the_whole_machine_is_recorded_for_a_while() {
    if !can_sample("the_whole_machine_is_recorded_for_a_while") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let program = burner(dir.path());
    let _burning = Burning::start(Command::new(&program).arg("600"));
    let out = dir.path().join("all.collapsed");
    let (_, said) = done(&mut stoker(&["record", "-d", "4", "-o", text(&out)]));
    let stacks = fs::read_to_string(&out).unwrap();
    // On a busy machine some names may come too late, and the summary says so.
    assert!(stacks.contains("hot_half") || said.contains("did not come in time"), "{said}");
    let total: f64 = leaves(&stacks).values().sum();
    assert!(total > 2e9, "{total} ns of a machine that was busy for 4 s");
}

#[test]
fn a_command_outlives_its_recording_and_nothing_stays_stopped() {
    if !can_sample("a_command_outlives_its_recording_and_nothing_stays_stopped") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("a.collapsed");
    let go = dir.path().join("go");
    let script = format!("until [ -e {} ]; do sleep 0.1; done; exit 3", text(&go));
    let arguments = ["record", "-q", "-d", "0.5", "-o", text(&out), "--", "sh", "-c", &script];
    let mut child = stoker(&arguments).spawn().unwrap();
    wait_for("the file", || out.exists().then_some(()));
    assert!(child.try_wait().unwrap().is_none(), "the command still runs");
    fs::write(&go, "").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(3));
}

#[test]
fn what_cannot_be_recorded_is_said_before_anything_runs() {
    let dir = tempfile::tempdir().unwrap();
    let mark = dir.path().join("mark");
    let touch = ["--", "touch", text(&mark)];
    let with = |arguments: &[&'static str]| stoker(&[arguments, &touch[..]].concat());
    refused(&mut with(&["record", "-o", "a.gz"]), &["no format", "--format"]);
    refused(&mut with(&["record", "-o", "/nowhere/a.svg"]), &["cannot write /nowhere/a.svg"]);
    refused(&mut with(&["record", "-o", "-"]), &["--format"]);
    refused(&mut with(&["record", "-o", "a.json"]), &["speedscope"]);
    refused(&mut with(&["record", "-F", "0", "-o", "a.svg"]), &["1..=10000"]);
    refused(&mut with(&["record", "-d", "soon", "-o", "a.svg"]), &["seconds"]);
    let out = dir.path().join("a.svg");
    refused(&mut stoker(&["record", "-o", text(&out), "--", "no-such-command"]), &["no-such"]);
    refused(&mut stoker(&["record", "-p", "4194305", "-o", text(&out)]), &["4194305"]);
    assert!(!mark.exists() && !out.exists(), "something ran or was written");
}
