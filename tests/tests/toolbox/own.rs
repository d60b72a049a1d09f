//! `stoker record` for people who are not root. The tests run as root and give every right away,
//! so that they run wherever the others do.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use stoker_tests::{Language, build_workload, can_sample, skipped};

use crate::record::{Burning, check_shares, leaves};
use crate::support::{done, refused, text};

/// Nobody's user and group.
const NOBODY: &str = "65534";

/// A folder that is open to all, with `stoker` and the burner in it.
struct Desk {
    dir: tempfile::TempDir,
    program: PathBuf,
}

impl Desk {
    /// None where the kernel lets nobody sample; then the test counts as skipped.
    fn new(test: &str) -> Option<Self> {
        if !can_sample(test) {
            return None;
        }
        let level = fs::read_to_string("/proc/sys/kernel/perf_event_paranoid").ok()?;
        if level.trim().parse::<i32>().is_ok_and(|level| level > 2) {
            skipped(test, "kernel.perf_event_paranoid is above 2");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
        // Where the binary stands may be closed to others; a copy is not.
        fs::copy(stoker_tests::binary("stoker"), dir.path().join("stoker")).unwrap();
        let program = dir.path().join("burn");
        build_workload(Language::C, &program).expect("gcc is there where Rust links");
        Some(Self { dir, program })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A command of nobody's, with these capabilities and no other.
    fn nobody(&self, capabilities: &[&str], program: &Path, arguments: &[&str]) -> Command {
        let set = ["-all"].iter().chain(capabilities).copied().collect::<Vec<_>>().join(",");
        let mut command = Command::new("setpriv");
        command.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"]);
        command.args([format!("--inh-caps={set}"), format!("--ambient-caps={set}")]);
        command.arg(program).args(arguments).current_dir(self.dir.path());
        command
    }

    fn stoker(&self, arguments: &[&str]) -> Command {
        self.nobody(&[], &self.path("stoker"), arguments)
    }
}

#[test]
fn a_command_of_one_s_own_is_recorded_without_root() {
    let Some(desk) = Desk::new("a_command_of_one_s_own_is_recorded_without_root") else { return };
    let out = desk.path("a.collapsed");
    let burn = text(&desk.program);
    let (printed, said) =
        done(&mut desk.stoker(&["record", "-F", "499", "-o", text(&out), "--", burn, "2"]));
    assert!(printed.starts_with("hot_half "), "its own output: {printed}");
    for word in ["at 499 Hz (cpu-clock)", "0 samples lost", "recorded without root", "hot_half"] {
        assert!(said.contains(word), "the summary lacks {word:?}: {said}");
    }
    let stacks = fs::read_to_string(&out).unwrap();
    check_shares(&stacks);
    let total: f64 = leaves(&stacks).values().sum();
    assert!((1.8e9..=2.1e9).contains(&total), "{total} ns of 2 s");
    let arguments = ["record", "-q", "-o", text(&out), "--", "sh", "-c", "exit 7"];
    assert_eq!(desk.stoker(&arguments).status().unwrap().code(), Some(7));
}

#[test]
fn children_and_threads_count_from_their_first_instruction_without_root() {
    let test = "children_and_threads_count_from_their_first_instruction_without_root";
    let Some(desk) = Desk::new(test) else { return };
    let script = "for i in 1 2 3 4 5 6 7 8; do \"$0\" 0.1 > /dev/null & done; wait";
    let arguments = ["record", "-q", "-F", "999", "-o", "-", "--format", "collapsed", "--"];
    let command = ["sh", "-c", script, text(&desk.program)];
    let (printed, _) = done(&mut desk.stoker(&[&arguments[..], &command[..]].concat()));
    check_shares(&printed);
    let total: f64 = leaves(&printed).values().sum();
    assert!((0.7e9..=0.95e9).contains(&total), "{total} ns of 0.8 s");
}

#[test]
fn a_process_of_one_s_own_is_recorded_with_its_children_and_no_other_s() {
    let test = "a_process_of_one_s_own_is_recorded_with_its_children_and_no_other_s";
    let Some(desk) = Desk::new(test) else { return };
    let script = "\"$0\" 3 > /dev/null; exit 0";
    let sh = Path::new("sh");
    let parent = Burning::start(&mut desk.nobody(&[], sh, &["-c", script, text(&desk.program)]));
    stoker_tests::wait_for("its child", || {
        let pid = parent.pid();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
        (!children.trim().is_empty()).then_some(())
    });
    let out = desk.path("a.collapsed");
    let (_, said) = done(&mut desk.stoker(&["record", "-p", &parent.pid(), "-o", text(&out)]));
    check_shares(&fs::read_to_string(&out).unwrap());
    assert!(said.contains("recorded without root"), "{said}");
    let roots = Burning::start(Command::new("sleep").arg("600"));
    let arguments = ["record", "-p", &roots.pid(), "-o", text(&out)];
    refused(&mut desk.stoker(&arguments), &["belongs to another user", "run: sudo /"]);
}

#[test]
fn the_kernel_s_time_is_seen_where_the_kernel_allows_it() {
    let Some(desk) = Desk::new("the_kernel_s_time_is_seen_where_the_kernel_allows_it") else {
        return;
    };
    let out = desk.path("a.collapsed");
    let copy = ["--", "dd", "if=/dev/zero", "of=/dev/null", "bs=1M", "count=40000"];
    let total = |capabilities: &[&str]| {
        let arguments = ["record", "-F", "999", "-o", text(&out)];
        let arguments = [&arguments[..], &copy[..]].concat();
        let mut command = desk.nobody(capabilities, &desk.path("stoker"), &arguments);
        let (_, said) = done(command.stdout(Stdio::null()));
        let stacks = fs::read_to_string(&out).unwrap();
        (leaves(&stacks).values().sum::<f64>(), said)
    };
    let (all, said) = total(&["+perfmon"]);
    assert!(said.contains("through perf events alone"), "{said}");
    assert!(all > 0.1e9, "{all} ns in system calls: {said}");
    let level = fs::read_to_string("/proc/sys/kernel/perf_event_paranoid").unwrap();
    if level.trim() == "2" {
        let (own, said) = total(&[]);
        assert!(own < all / 4.0, "{own} of {all}");
        assert!(said.contains("no time that the kernel worked"), "{said}");
    }
}

#[test]
fn the_whole_machine_needs_root_and_the_command_to_run_is_named() {
    let test = "the_whole_machine_needs_root_and_the_command_to_run_is_named";
    let Some(desk) = Desk::new(test) else { return };
    let out = desk.path("a b.svg");
    let words = ["CAP_BPF and CAP_PERFMON", "run: sudo /", "a b.svg'"];
    let said = refused(&mut desk.stoker(&["record", "-d", "1", "-o", text(&out)]), &words);
    assert_eq!(said.lines().count(), 1, "one sentence: {said}");
    assert!(!out.exists());
}
