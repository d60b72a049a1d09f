//! From kernel addresses to frames.
//!
//! The kernel is one image named by its build id, and an address in it is an offset from `_text`,
//! so that address space randomisation leaves ids alone. A module is an image of its own. Code that
//! BPF programs were compiled to has no file: such a frame carries the program's name, which holds
//! a hash of its instructions.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use stoker_dag::{BuildId, BuildIdKind, Frame, KernelImage, SpecialFrame, UnwindFailure};
use stoker_symbols::elf::build_ids;

use super::ksyms::{KernelSymbols, ModuleRange, parse_modules};

/// Modules and BPF programs are read again after this time at the earliest, and only when an
/// address lies in none of those that are known.
pub const KERNEL_REREAD_AFTER: Duration = Duration::from_secs(30);

/// The runtime in frames of BPF programs.
pub const BPF_RUNTIME: &str = "bpf";

/// What the frames of the kernel proper are filed under.
pub const KERNEL_MODULE: &str = "[kernel]";

#[derive(Debug)]
struct Image {
    start: u64,
    end: u64,
    name: Arc<str>,
    image: KernelImage,
}

/// How kernel addresses were resolved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KernelCounters {
    /// Addresses that lie in no image that is known.
    pub unknown: u64,
    /// Times that modules and BPF programs were read again.
    pub rereads: u64,
}

/// The running kernel's images.
#[derive(Debug)]
pub struct KernelMap {
    proc_root: PathBuf,
    sys_root: PathBuf,
    release: Arc<str>,
    kernel: Option<Image>,
    modules: Vec<Image>,
    symbols: KernelSymbols,
    read_at: Instant,
    runtime: Arc<str>,
    nothing: Arc<str>,
    counters: KernelCounters,
}

impl KernelMap {
    /// Reads the running kernel's images from the folders where proc and sysfs are mounted. What
    /// cannot be read is left out; frames are then of an unknown mapping.
    #[must_use]
    pub fn read(proc_root: &Path, sys_root: &Path) -> Self {
        let release = read_text(&proc_root.join("sys/kernel/osrelease"));
        let mut map = Self {
            proc_root: proc_root.to_path_buf(),
            sys_root: sys_root.to_path_buf(),
            release: release.trim().into(),
            kernel: None,
            modules: Vec::new(),
            symbols: KernelSymbols::default(),
            read_at: Instant::now(),
            runtime: BPF_RUNTIME.into(),
            nothing: "".into(),
            counters: KernelCounters::default(),
        };
        map.reread();
        map
    }

    /// What was counted.
    #[must_use]
    pub fn counters(&self) -> KernelCounters {
        self.counters
    }

    /// Whether the kernel tells us its addresses (`kernel.kptr_restrict`, `CAP_SYSLOG`).
    #[must_use]
    pub fn sees_addresses(&self) -> bool {
        self.kernel.is_some()
    }

    /// The frame at `address`. A return address (`is_leaf` false) is looked up one byte before, so
    /// that it lies in the call; the frame's identity is of that byte.
    pub fn resolve(&mut self, address: u64, is_leaf: bool) -> Frame {
        let address = if is_leaf { address } else { address.saturating_sub(1) };
        if let Some(frame) = self.find(address) {
            return frame;
        }
        let is_due = self.read_at.elapsed() >= KERNEL_REREAD_AFTER;
        if self.sees_addresses() && is_due {
            self.counters.rereads += 1;
            self.reread();
        }
        self.find(address).unwrap_or_else(|| {
            self.counters.unknown += 1;
            Frame::Special(SpecialFrame::UnwindFailed(UnwindFailure::UnknownMapping))
        })
    }

    /// Where `offset` of an image lies in the running kernel.
    #[must_use]
    pub fn address(&self, image: &KernelImage, offset: u64) -> Option<u64> {
        let mut images = self.kernel.iter().chain(&self.modules);
        let found = images.find(|candidate| candidate.image == *image)?;
        let address = found.start.checked_add(offset)?;
        (address < found.end).then_some(address)
    }

    /// What the frames of this build are filed under: [`KERNEL_MODULE`] or the module's name.
    #[must_use]
    pub fn module_name(&self, build_id: &BuildId) -> Option<Arc<str>> {
        let is_it = |image: &&Image| matches!(&image.image, KernelImage::Build(b) if b == build_id);
        let image = self.kernel.iter().chain(&self.modules).find(is_it)?;
        Some(Arc::clone(&image.name))
    }

    fn find(&self, address: u64) -> Option<Frame> {
        let holds = |image: &&Image| image.start <= address && address < image.end;
        if let Some(kernel) = self.kernel.as_ref().filter(holds) {
            return Some(kernel.frame(address));
        }
        let after = self.modules.partition_point(|m| m.start <= address);
        let module = after.checked_sub(1).and_then(|at| self.modules.get(at));
        if let Some(module) = module.filter(holds) {
            return Some(module.frame(address));
        }
        let name = self.symbols.find_bpf(address)?;
        Some(Frame::Interpreted {
            runtime: Arc::clone(&self.runtime),
            module: Arc::clone(&self.nothing),
            function: name.into(),
            line: 0,
        })
    }

    fn reread(&mut self) {
        self.read_at = Instant::now();
        let kallsyms = File::open(self.proc_root.join("kallsyms"));
        if let Ok(symbols) = kallsyms.and_then(|file| KernelSymbols::read(BufReader::new(file))) {
            self.symbols = symbols;
        }
        let KernelSymbols { text: start, end, .. } = self.symbols;
        self.kernel = (start != 0 && start < end).then(|| {
            let notes = self.sys_root.join("kernel/notes");
            Image { start, end, name: KERNEL_MODULE.into(), image: self.image(&notes, "") }
        });
        let modules = read_text(&self.proc_root.join("modules"));
        self.modules = parse_modules(&modules).into_iter().map(|m| self.module(&m)).collect();
    }

    fn module(&self, module: &ModuleRange) -> Image {
        let folder = self.sys_root.join("module").join(&module.name);
        let notes = folder.join("notes/.note.gnu.build-id");
        Image {
            start: module.start,
            end: module.end,
            name: module.name.as_str().into(),
            image: self.image(&notes, &module.name),
        }
    }

    fn image(&self, notes: &Path, module: &str) -> KernelImage {
        match build_id_in(notes) {
            Some(build_id) => KernelImage::Build(build_id),
            None => {
                KernelImage::Release { release: Arc::clone(&self.release), module: module.into() }
            }
        }
    }
}

impl Image {
    fn frame(&self, address: u64) -> Frame {
        Frame::Kernel { image: self.image.clone(), offset: address - self.start }
    }
}

fn build_id_in(notes: &Path) -> Option<BuildId> {
    let bytes = std::fs::read(notes).ok()?;
    build_ids(&bytes, 4).find(|build_id| build_id.kind() == BuildIdKind::Gnu)
}

fn read_text(path: &Path) -> String {
    std::fs::read(path)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Folders like `/proc` and `/sys` of a kernel with two modules, one of them without a note.
    fn machine() -> (tempfile::TempDir, KernelMap) {
        let folder = tempfile::tempdir().expect("a folder");
        let (proc_root, sys_root) = (folder.path().join("proc"), folder.path().join("sys"));
        let write = |path: PathBuf, bytes: &[u8]| {
            std::fs::create_dir_all(path.parent().expect("has one")).expect("makes folders");
            std::fs::write(path, bytes).expect("writes");
        };
        let note = |byte: u8| [b"\x04\0\0\0\x04\0\0\0\x03\0\0\0GNU\0", &[byte; 4][..]].concat();
        write(proc_root.join("sys/kernel/osrelease"), b"6.1.0-9\n");
        write(
            proc_root.join("kallsyms"),
            b"ffffffff81000000 T _text\nffffffff82000000 T _etext\n\
            ffffffffc0300000 t bpf_prog_0011223344556677_x\t[bpf]\n",
        );
        write(
            proc_root.join("modules"),
            b"kvm 8192 0 - Live 0xffffffffc0100000\n\
            old 4096 0 - Live 0xffffffffc0200000\n",
        );
        write(sys_root.join("kernel/notes"), &note(0xaa));
        write(sys_root.join("module/kvm/notes/.note.gnu.build-id"), &note(0xbb));
        let map = KernelMap::read(&proc_root, &sys_root);
        (folder, map)
    }

    #[test]
    fn each_image_has_its_own_offsets() {
        let (_folder, mut map) = machine();
        let kernel = KernelImage::Build("aaaaaaaa".parse().expect("hexadecimal"));
        let kvm = KernelImage::Build("bbbbbbbb".parse().expect("hexadecimal"));
        let old = KernelImage::Release { release: "6.1.0-9".into(), module: "old".into() };
        for (address, image, offset) in [
            (0xffff_ffff_8100_0010, kernel.clone(), 0x10),
            (0xffff_ffff_c010_1fff, kvm, 0x1fff),
            (0xffff_ffff_c020_0004, old, 4),
        ] {
            assert_eq!(map.resolve(address, true), Frame::Kernel { image: image.clone(), offset });
            assert_eq!(map.address(&image, offset), Some(address));
        }
        assert_eq!(map.address(&kernel, 0x0100_0000), None);
        let name = |id: &str| map.module_name(&id.parse().expect("hexadecimal"));
        assert_eq!(name("aaaaaaaa").as_deref(), Some(KERNEL_MODULE));
        assert_eq!(name("bbbbbbbb").as_deref(), Some("kvm"));
    }

    #[test]
    fn bpf_programs_name_themselves_and_the_rest_is_counted() {
        let (_folder, mut map) = machine();
        let Frame::Interpreted { runtime, function, .. } =
            map.resolve(0xffff_ffff_c030_0001, false)
        else {
            panic!("a BPF program")
        };
        assert_eq!((&*runtime, &*function), ("bpf", "bpf_prog_0011223344556677_x"));
        assert!(matches!(map.resolve(0xffff_ffff_c010_2000, true), Frame::Special(_)));
        assert_eq!(map.counters().unknown, 1);
    }
}
