//! Tables that are ready before anybody maps their files: of a command that has not begun.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use super::background::{Background, Source};
use super::loader::Loader;
use super::tables::State;
use crate::process::{ElfInfo, ProcessTable};

impl Loader {
    /// Compiles the table of a program, and those of what this process has mapped besides its own
    /// program: a C library and a dynamic linker are most programs' too. What cannot be read is
    /// left to the moment when it runs.
    pub fn prepare(&mut self, program: &Path, processes: &mut ProcessTable) {
        if let Ok(file) = File::open(program) {
            self.prepare_file(file);
        }
        let Some(code) = processes.code(std::process::id()) else { return };
        for (build, _) in code.mappings.into_iter().filter_map(|mapping| mapping.build) {
            let is_program = processes.module(&build).is_some_and(|(_, is_program)| is_program);
            if !is_program && self.tables.get(&build).is_none() {
                self.ask(&build, processes);
            }
        }
    }

    fn prepare_file(&mut self, file: File) {
        let Ok(info) = ElfInfo::read(&file) else { return };
        let build = info.build_id;
        let asked = |background: &mut Background| {
            background.ask(build.clone(), Source::File(Arc::new(file)))
        };
        if self.tables.get(&build).is_none() && self.background.as_mut().is_some_and(asked) {
            self.tables.set(build, State::Compiling);
        }
    }

    /// Whether a table is being compiled.
    #[must_use]
    pub fn is_compiling(&self) -> bool {
        self.tables.is_compiling()
    }
}
