//! Mappings as they matter to frames: which build, where it lies, what it is called.

use std::collections::HashSet;
use std::sync::Arc;

use stoker_dag::{BuildId, Module};

use super::MAIN_EXECUTABLE;
use super::message::Message;
use super::tables::{Mapping, Tables};
use crate::error::{Place, ReadError};
use crate::import::{Imported, cut};
use crate::limits::Limits;

/// Where relocated images begin: Linux puts position-independent files far above.
const RELOCATED: u64 = 1 << 32;

/// A mapping, resolved.
pub(super) struct Image {
    mapping: Mapping,
    /// The last part of the file's name.
    pub(super) name: Arc<str>,
    /// `None` where the file gives none, or one that is no build id.
    pub(super) build_id: Option<BuildId>,
    pub(super) is_kernel: bool,
}

impl Image {
    /// The mapping at `index`; what it says of its build is learned.
    pub(super) fn new(
        message: &Message<'_>,
        tables: &Tables,
        index: usize,
        main_executables: &HashSet<BuildId>,
        limits: &Limits,
        imported: &mut Imported,
    ) -> Result<Self, ReadError> {
        let mapping = tables.mappings[index];
        let place = || message.place("mapping", index, message.mappings[index]);
        let path = message.text(mapping.file_name, place)?;
        let build_id = message.text(mapping.build_id, place)?.parse::<BuildId>().ok();
        let name = cut(base_name(path), limits, &mut imported.notes);
        // `[kernel.kallsyms]`, `[nf_tables]`; but `[vdso]` is a library.
        let is_kernel = name.starts_with('[') && !name.starts_with("[v") && name.ends_with(']');
        if let Some(build_id) = &build_id {
            let library = name.contains(".so") || is_kernel;
            // pprof puts the main binary first; a writer that took load addresses away may not, and
            // ours says it in comments.
            let is_first = index == 0 && mapping.start != 0 && !library;
            let main_executable = is_first || main_executables.contains(build_id);
            let module = Module { main_executable, name: without_version(&name).into() };
            imported.modules.learn(build_id, module);
        }
        Ok(Self { mapping, name: name.as_ref().into(), build_id, is_kernel })
    }

    /// Whether it lies where it was linked, so that addresses are offsets in its ELF file.
    pub(super) fn is_linked(&self) -> bool {
        self.mapping.start < RELOCATED
    }

    pub(super) fn file_offset(&self, address: u64) -> Option<u64> {
        address.checked_sub(self.mapping.start)?.checked_add(self.mapping.file_offset)
    }
}

/// The builds that comments call main executables.
pub(super) fn main_executables(message: &Message<'_>) -> HashSet<BuildId> {
    let place = || Place::Byte(0);
    let comments = message.comments.iter().filter_map(|&at| message.text(at, place).ok());
    comments.filter_map(|text| text.strip_prefix(MAIN_EXECUTABLE)?.parse().ok()).collect()
}

/// The last part of a path, of either system.
pub(crate) fn base_name(path: &str) -> &str {
    if path.starts_with('[') {
        return path;
    }
    path.trim_end_matches(['/', '\\']).rsplit(['/', '\\']).next().unwrap_or(path)
}

/// `libc.so.6` is `libc.so`.
fn without_version(name: &str) -> &str {
    let Some(at) = name.find(".so.") else {
        return name;
    };
    let end = at + ".so".len();
    let is_version = name[end..].bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if is_version { &name[..end] } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_called_by_what_does_not_change() {
        for (path, wanted) in [
            ("/usr/lib/libc.so.6", "libc.so"),
            ("/usr/lib/libstdc++.so.6.0.30", "libstdc++.so"),
            ("/tmp/go-build123/exe/api", "api"),
            ("C:\\bin\\api.exe", "api.exe"),
            ("[kernel.kallsyms]", "[kernel.kallsyms]"),
            ("libodd.so.conf", "libodd.so.conf"),
            ("", ""),
        ] {
            assert_eq!(without_version(base_name(path)), wanted);
        }
    }
}
