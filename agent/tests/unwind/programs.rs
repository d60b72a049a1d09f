//! The programs whose stacks are replayed, as compilers make them.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::replay::From;

/// A program and the command that builds it. Words without a `-` that name a file of
/// `tests/unwind/programs/` are its source.
pub struct Program {
    pub name: &'static str,
    pub command: &'static str,
    pub from: From,
    /// Whether it is short enough to be part of every test run.
    pub is_quick: bool,
}

/// All of them.
pub const PROGRAMS: [Program; 15] = [
    quick("C", "gcc -O2 -fomit-frame-pointer plain.c"),
    slow("C, -O0", "gcc -O0 plain.c"),
    slow("C, -O3", "gcc -O3 -fomit-frame-pointer plain.c"),
    slow("C, no PIE", "gcc -O2 -no-pie plain.c"),
    slow("C, static", "gcc -O2 -static plain.c"),
    quick("C, static PIE", "gcc -O2 -static-pie plain.c"),
    slow("C, stripped", "gcc -O2 -s plain.c"),
    quick("C, signals", "gcc -O2 -fomit-frame-pointer signals.c"),
    quick("C, threads", "gcc -O2 -fomit-frame-pointer threads.c"),
    slow("C, dlopen", "gcc -O2 -fomit-frame-pointer loads.c"),
    slow("C, libcrypto", "gcc -O2 -fomit-frame-pointer hashing.c -lcrypto"),
    quick("C++", "g++ -O2 -fomit-frame-pointer thrown.cc"),
    slow("C++, static", "g++ -O2 -static thrown.cc"),
    quick("Rust", "rustc -O --edition=2024 rusty.rs"),
    // The dynamic linker itself, and calls that it binds when they are first made.
    Program { from: From::Exec, ..slow("start and lazy binding", "gcc -O2 -Wl,-z,lazy plain.c") },
];

const fn quick(name: &'static str, command: &'static str) -> Program {
    Program { name, command, from: From::Entry, is_quick: true }
}

const fn slow(name: &'static str, command: &'static str) -> Program {
    Program { is_quick: false, ..quick(name, command) }
}

impl Program {
    /// Builds it in `folder`; nothing where its compiler or a library is missing.
    pub fn build(&self, folder: &Path) -> Option<PathBuf> {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/unwind/programs");
        let name: String = self.name.chars().filter(char::is_ascii_alphanumeric).collect();
        let output = folder.join(name);
        let mut words = self.command.split_whitespace();
        let mut command = Command::new(words.next()?);
        for word in words {
            let source = sources.join(word);
            if source.is_file() {
                command.arg(source)
            } else {
                command.arg(word)
            };
        }
        let built = command.arg("-o").arg(&output).output().ok()?;
        built.status.success().then_some(output)
    }
}
