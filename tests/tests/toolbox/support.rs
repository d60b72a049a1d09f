//! What the tests of the toolbox share.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use stoker_tests::{Language, binary, build_workload};

/// The `stoker` command with these arguments, and nothing of our environment that it reads.
pub fn stoker(arguments: &[&str]) -> Command {
    let mut command = Command::new(binary("stoker"));
    command.args(arguments);
    for name in ["STOKER_SERVER", "STOKER_FREQUENCY", "COLUMNS", "NO_COLOR", "RUST_BACKTRACE"] {
        command.env_remove(name);
    }
    command
}

/// Both outputs of a command that succeeds.
pub fn done(command: &mut Command) -> (String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert_eq!(status.code(), Some(0), "{command:?}: {out}{err}");
    (out.into_owned(), err.into_owned())
}

/// Standard error of a command that must be refused with exit code 2 and say these words.
pub fn refused(command: &mut Command, words: &[&str]) -> String {
    let Output { status, stderr, .. } = command.output().unwrap();
    let said = String::from_utf8_lossy(&stderr).into_owned();
    assert_eq!(status.code(), Some(2), "{command:?}: {said}");
    for word in words {
        assert!(said.contains(word), "{command:?} does not say {word:?}: {said}");
    }
    assert!(!said.contains("panicked"), "{said}");
    said
}

/// A program that spends its time in `hot_half`, `hot_third` and `hot_fifth`, as seldom as their
/// names say.
pub fn burner(dir: &Path) -> PathBuf {
    let path = dir.join("burn-toolbox");
    build_workload(Language::C, &path).expect("gcc is there where Rust links");
    path
}

/// A path as an argument.
pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
