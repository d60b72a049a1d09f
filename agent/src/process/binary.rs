//! Binaries: what a mapped file is, learned once for each file and each build.
//!
//! The kernel's build id, where a mapping came with one, is the identity that counts: a file found
//! under the same path is believed only if it has that build id, or that inode. So a process that
//! is gone, or whose file was replaced, never borrows another build's addresses.

use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use stoker_dag::{BuildId, UnwindFailure};
use stoker_symbols::elf::{CodeSegment, ElfError, ElfInfo, virtual_offset};

use super::file_keeper::FileKeeper;
use super::maps::MappedFile;
use super::module_name::module_name;
use super::open::{FileKey, OpenFile, map_file_path, open_in_root, open_regular};

/// Most files, and most builds, that are remembered; at the bound all are forgotten and learned
/// again.
pub const BINARIES_MAX: usize = 8192;

/// One build of a program or library.
#[derive(Debug)]
pub struct Binary {
    /// Which build.
    pub build_id: BuildId,
    /// Where its code lies.
    pub code: SmallVec<[CodeSegment; 1]>,
    /// What its frames are filed under: SONAME without version, or an executable's file name.
    pub module: Arc<str>,
    /// Whether it is a program rather than a library.
    pub main_executable: bool,
    pub(super) origin: Origin,
}

impl Binary {
    /// The virtual offset of the code at `file_offset`; see [`virtual_offset`].
    #[must_use]
    pub fn virtual_offset(&self, file_offset: u64) -> Option<u64> {
        virtual_offset(&self.code, file_offset)
    }

    pub(super) fn new(info: ElfInfo, path: &Path, origin: Origin) -> Self {
        let module = module_name(path, info.soname.as_deref(), info.main_executable);
        let ElfInfo { build_id, code, main_executable, .. } = info;
        Self { build_id, code, module: module.into(), main_executable, origin }
    }
}

/// Where a file was found, to find it again.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    /// `/proc/PID`.
    pub process: PathBuf,
    /// The same of an ancestor that lives.
    pub ancestor: Option<PathBuf>,
    /// The mapping that shows it.
    pub range: (u64, u64),
    /// Its path within the process's root.
    pub path: Arc<Path>,
}

/// How files were found, and why not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BinaryCounters {
    /// Files whose headers were read.
    pub files_read: u64,
    /// Mappings whose file could not be opened by any way.
    pub unopened: u64,
    /// Files that were there but are another build, or another file, than what was mapped.
    pub mismatched: u64,
    /// Files that are no ELF.
    pub not_elf: u64,
    /// ELF files that are truncated, absurd or for another machine.
    pub malformed: u64,
    /// Times that everything was forgotten at [`BINARIES_MAX`].
    pub cleared: u64,
}

/// All binaries that are known.
#[derive(Debug)]
pub struct BinaryCache {
    by_file: FxHashMap<FileKey, Arc<Binary>>,
    by_build: FxHashMap<BuildId, Arc<Binary>>,
    files: FileKeeper,
    own_root: PathBuf,
    counters: BinaryCounters,
}

impl BinaryCache {
    /// An empty cache; `own_root` is where paths of processes that are gone are looked up.
    #[must_use]
    pub fn new(own_root: PathBuf) -> Self {
        Self {
            by_file: FxHashMap::default(),
            by_build: FxHashMap::default(),
            files: FileKeeper::default(),
            own_root,
            counters: BinaryCounters::default(),
        }
    }

    pub(super) fn own_root(&self) -> &Path {
        &self.own_root
    }

    /// What was counted.
    #[must_use]
    pub fn counters(&self) -> BinaryCounters {
        self.counters
    }

    /// The build, if it is known.
    #[must_use]
    pub fn get(&self, build_id: &BuildId) -> Option<&Arc<Binary>> {
        self.by_build.get(build_id)
    }

    /// What is mapped as `origin` says.
    ///
    /// # Errors
    /// When no file with the identity that was mapped can be read.
    pub(super) fn resolve(
        &mut self,
        mapped: &MappedFile,
        origin: &Origin,
    ) -> Result<Arc<Binary>, UnwindFailure> {
        let found = if mapped.may_try() { self.find(mapped, origin) } else { None };
        let binary = found.ok_or(UnwindFailure::UnreadableFile)?;
        mapped.set_binary(&binary);
        Ok(binary)
    }

    /// Tries the mapping itself, then its path in each root where it may be found.
    fn find(&mut self, mapped: &MappedFile, origin: &Origin) -> Option<Arc<Binary>> {
        let mut opened_any = false;
        for way in Way::ALL {
            let Ok(opened) = way.open(origin, &self.own_root) else { continue };
            opened_any = true;
            if !way.is_the_mapping() && mapped.inode.is_some_and(|inode| inode != opened.key.inode)
            {
                self.counters.mismatched += 1;
                continue;
            }
            // Without an inode only the mapping itself is certain to be what was mapped.
            let is_certain = way.is_the_mapping() || mapped.inode.is_some();
            match self.learn(opened, origin) {
                Some(found) if is_certain => return Some(found),
                Some(_) => self.counters.mismatched += 1,
                None => {}
            }
        }
        self.counters.unopened += u64::from(!opened_any);
        None
    }

    /// Opens a program by a link such as `/proc/PID/exe`.
    pub(super) fn program(&mut self, link: &Path, origin: &Origin) -> Option<Arc<Binary>> {
        let opened = open_regular(link).ok()?;
        self.learn(opened, origin)
    }

    fn learn(&mut self, opened: OpenFile, origin: &Origin) -> Option<Arc<Binary>> {
        if let Some(known) = self.by_file.get(&opened.key) {
            return Some(Arc::clone(known));
        }
        self.counters.files_read += 1;
        let info = match ElfInfo::read(&opened.file) {
            Ok(info) => info,
            Err(error) => {
                self.count(&error);
                return None;
            }
        };
        let same_build = self.by_build.get(&info.build_id).cloned();
        let binary =
            same_build.unwrap_or_else(|| Arc::new(Binary::new(info, &origin.path, origin.clone())));
        self.remember(opened, &binary);
        Some(binary)
    }

    fn remember(&mut self, opened: OpenFile, binary: &Arc<Binary>) {
        if self.by_file.len() >= BINARIES_MAX || self.by_build.len() >= BINARIES_MAX {
            self.by_file.clear();
            self.by_build.clear();
            self.counters.cleared += 1;
        }
        self.by_file.insert(opened.key, Arc::clone(binary));
        self.by_build.insert(binary.build_id.clone(), Arc::clone(binary));
        self.files.keep(&binary.build_id, opened.file, Instant::now());
    }

    fn count(&mut self, error: &ElfError) {
        match error {
            ElfError::NotElf => self.counters.not_elf += 1,
            _ => self.counters.malformed += 1,
        }
    }

    /// An open file of this build, for the symbolizer, which verifies that it is what it seems.
    pub fn open(&mut self, build_id: &BuildId) -> Option<Arc<File>> {
        let now = Instant::now();
        if let Some(file) = self.files.get(build_id, now) {
            return Some(file);
        }
        let origin = &self.by_build.get(build_id)?.origin;
        let mut opened = Way::ALL.iter().filter_map(|way| way.open(origin, &self.own_root).ok());
        let opened = opened.find(|opened| self.is_build(opened, build_id))?;
        Some(self.files.keep(build_id, opened.file, now))
    }

    fn is_build(&self, opened: &OpenFile, build_id: &BuildId) -> bool {
        match self.by_file.get(&opened.key) {
            Some(known) => known.build_id == *build_id,
            None => ElfInfo::read(&opened.file).is_ok_and(|info| info.build_id == *build_id),
        }
    }

    /// Closes files that nobody has asked for lately.
    pub fn tick(&mut self, now: Instant) {
        self.files.close_idle(now);
    }
}

/// A way to open a mapped file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// The mapping itself (`map_files` in proc(5)); needs privilege and a living process.
    Mapping,
    /// The path, as the living process sees it.
    ProcessRoot,
    /// The path, as an ancestor of the process sees it.
    AncestorRoot,
    /// The path, as the agent sees it.
    OwnRoot,
}

impl Way {
    const ALL: [Self; 4] = [Self::Mapping, Self::ProcessRoot, Self::AncestorRoot, Self::OwnRoot];

    fn is_the_mapping(self) -> bool {
        self == Self::Mapping
    }

    fn open(self, origin: &Origin, own_root: &Path) -> Result<OpenFile, rustix::io::Errno> {
        let (start, end) = origin.range;
        match self {
            Self::Mapping => {
                open_mapping(&map_file_path(&origin.process, start, end), &origin.path)
            }
            Self::ProcessRoot => open_in_root(&origin.process.join("root"), &origin.path),
            Self::AncestorRoot => {
                let ancestor = origin.ancestor.as_ref().ok_or(rustix::io::Errno::NOENT)?;
                open_in_root(&ancestor.join("root"), &origin.path)
            }
            Self::OwnRoot => open_in_root(own_root, &origin.path),
        }
    }
}

/// Opens a mapping's file if it still goes by the path it was mapped with: by now another program
/// may have something else at the same addresses. (Inodes are no help, overlay file systems show
/// different ones here and there. A process in a chroot has a shorter path for the same file.)
fn open_mapping(link: &Path, path: &Path) -> Result<OpenFile, rustix::io::Errno> {
    let shown = std::fs::read_link(link).map_err(|_| rustix::io::Errno::NOENT)?;
    let shown = shown.as_os_str().as_bytes();
    let shown = shown.strip_suffix(b" (deleted)").unwrap_or(shown);
    if !shown.ends_with(path.as_os_str().as_bytes()) {
        return Err(rustix::io::Errno::NOENT);
    }
    open_regular(link)
}
