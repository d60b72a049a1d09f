//! The labels of each process, read when they are first asked for and kept until `exec`.

use std::sync::Arc;

use super::binary::Origin;
use super::entry::process_folder;
use super::meta::{MetaParts, ProcessMeta, exe_name};
use super::status::Status;
use super::table::ProcessTable;

impl ProcessTable {
    /// What the process is. The answer is the same `Arc` until something changes.
    ///
    /// A process that has gone already has the labels of an ancestor where a child has them from
    /// there (environment, cgroup), and its own command name and program, as events told them.
    pub fn meta(&mut self, pid: u32) -> Arc<ProcessMeta> {
        if let Some(known) = self.processes.get(&pid).and_then(|process| process.meta.as_ref()) {
            return Arc::clone(known);
        }
        let parts = self.meta_parts(pid);
        let meta = Arc::new(parts.meta());
        if let Some(process) = self.ensure(pid) {
            process.meta = Some(Arc::clone(&meta));
            process.parts = Some(Box::new(parts));
        }
        meta
    }

    fn meta_parts(&mut self, pid: u32) -> MetaParts {
        let ended = self.processes.get(&pid).is_some_and(|process| process.exited.is_some());
        let living = if ended { None } else { self.living_parts(pid) };
        let mut parts = match living {
            Some(parts) => parts,
            None => self.inherited_parts(pid),
        };
        if let Some(comm) = self.processes.get(&pid).and_then(|process| process.comm.clone()) {
            parts.comm = comm;
        }
        parts
    }

    fn living_parts(&mut self, pid: u32) -> Option<MetaParts> {
        let folder = process_folder(&self.proc_root, pid);
        let status = Status::read(&folder)?;
        let mut parts = MetaParts::read(&folder, status.kernel_thread)?;
        if status.kernel_thread {
            return Some(parts);
        }
        let link = folder.join("exe");
        let path = std::fs::read_link(&link).unwrap_or_default();
        let origin = Origin { process: folder, ancestor: None, range: (0, 0), path: path.into() };
        parts.build_id = self.binaries.program(&link, &origin).map(|exe| exe.build_id.clone());
        Some(parts)
    }

    fn inherited_parts(&mut self, pid: u32) -> MetaParts {
        let known = |pid: u32| self.processes.get(&pid)?.parts.as_deref().cloned();
        let known = known(pid).or_else(|| self.ancestors(pid).find_map(known));
        let inherited = known.or_else(|| {
            let ancestor = self.living_ancestor(pid)?;
            self.living_parts(ancestor)
        });
        let count = match inherited {
            Some(_) => &mut self.counters.meta_inherited,
            None => &mut self.counters.meta_missing,
        };
        *count += 1;
        let mut parts = inherited.unwrap_or_default();
        let program = self.processes.get(&pid).and_then(|process| process.first_file());
        if let Some(program) = program {
            parts.exe_name = exe_name(&program.path);
            parts.build_id = program.binary().map(|binary| binary.build_id.clone());
        }
        parts
    }
}
