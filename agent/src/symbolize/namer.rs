//! Names addresses with blazesym; runs in the worker only.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;

use blazesym::MaybeDefault;
use blazesym::symbolize::source::{Elf, Kernel, Source};
use blazesym::symbolize::{CodeInfo, Input, Sym, Symbolized, Symbolizer};
use rustc_hash::FxHashMap;
use rustix::fs::{MemfdFlags, memfd_create};

use super::protocol::{
    Answer, FILE_BYTES_MAX, INLINED_MAX, Image, Meaning, NAME_BYTES_MAX, Refusal, Request, Spot,
};
use crate::process::{ElfInfo, clean_text, vdso_image};

/// Most files that are open at one time; at the bound all are closed and all caches dropped.
pub(super) const FILES_MAX: usize = 48;

/// blazesym and the files that it reads.
pub(super) struct Namer {
    symbolizer: Symbolizer,
    files: FxHashMap<String, File>,
}

impl Namer {
    pub(super) fn new() -> Self {
        // A descriptor never comes to mean another file while the symbolizer lives.
        let symbolizer = Symbolizer::builder().enable_auto_reload(false).build();
        Self { symbolizer, files: FxHashMap::default() }
    }

    /// Answers `request`, whose file came along as `passed`.
    pub(super) fn answer(&mut self, request: &Request, passed: Option<File>) -> Answer {
        match self.source(&request.image, request.debug_info, passed) {
            Ok(source) => Answer::Meanings(self.meanings(&source, request)),
            Err(refusal) => Answer::Refused(refusal),
        }
    }

    fn source(
        &mut self,
        image: &Image,
        debug_info: bool,
        passed: Option<File>,
    ) -> Result<Source<'static>, Refusal> {
        let (build_id, file) = match image {
            Image::Kernel => return Ok(kernel_source()),
            Image::File(build_id) => (build_id, passed),
            Image::Vdso(build_id) => (build_id, vdso_file()),
        };
        let file = match self.files.get(build_id) {
            Some(known) => known,
            None => self.admit(build_id, file.ok_or(Refusal::NoFile)?)?,
        };
        let mut elf = Elf::new(format!("/proc/self/fd/{}", file.as_raw_fd()));
        elf.debug_syms = debug_info;
        Ok(Source::Elf(elf))
    }

    /// Takes in a file if it is the build that it is said to be.
    fn admit(&mut self, build_id: &str, file: File) -> Result<&File, Refusal> {
        let info = ElfInfo::read(&file).map_err(|_| Refusal::Unreadable)?;
        if info.build_id.to_string() != build_id {
            return Err(Refusal::OtherBuild);
        }
        if self.files.len() >= FILES_MAX {
            *self = Self::new();
        }
        Ok(self.files.entry(build_id.to_owned()).or_insert(file))
    }

    fn meanings(&self, source: &Source<'_>, request: &Request) -> Vec<Option<Meaning>> {
        let addresses = request.addresses.as_slice();
        let input = match request.image {
            Image::Kernel => Input::AbsAddr(addresses),
            Image::File(_) | Image::Vdso(_) => Input::VirtOffset(addresses),
        };
        if let Ok(symbolized) = self.symbolizer.symbolize(source, input) {
            return symbolized.iter().map(meaning).collect();
        }
        // Something in it cannot be read: an address at a time, and if need be by symbols alone.
        addresses.iter().map(|&address| self.meaning_alone(source, address)).collect()
    }

    fn meaning_alone(&self, source: &Source<'_>, address: u64) -> Option<Meaning> {
        let Source::Elf(elf) = source else {
            return self.single(source, Input::AbsAddr(address));
        };
        let by_symbols = || {
            let mut elf = elf.clone();
            elf.debug_syms = false;
            self.single(&Source::Elf(elf), Input::VirtOffset(address))
        };
        self.single(source, Input::VirtOffset(address)).or_else(by_symbols)
    }

    fn single(&self, source: &Source<'_>, input: Input<u64>) -> Option<Meaning> {
        meaning(&self.symbolizer.symbolize_single(source, input).ok()?)
    }
}

/// Names come from kallsyms alone, whose addresses are already those of the running kernel.
fn kernel_source() -> Source<'static> {
    Source::Kernel(Kernel {
        kallsyms: MaybeDefault::Default,
        vmlinux: MaybeDefault::None,
        debug_syms: false,
        ..Kernel::default()
    })
}

/// The worker's own vdso as a file in memory; it is the same for every process.
fn vdso_file() -> Option<File> {
    let image = vdso_image().ok()?;
    let mut file = File::from(memfd_create("vdso", MemfdFlags::CLOEXEC).ok()?);
    file.write_all(&image).ok()?;
    Some(file)
}

fn meaning(symbolized: &Symbolized<'_>) -> Option<Meaning> {
    let sym = symbolized.as_sym().filter(|sym| !sym.name.is_empty())?;
    let from_debug_info = sym.code_info.is_some() || !sym.inlined.is_empty();
    Some(Meaning { from_debug_info, spots: spots(sym) })
}

/// The function and what is inlined into it, innermost last.
fn spots(sym: &Sym<'_>) -> Vec<Spot> {
    let outer = spot(&sym.name, sym.code_info.as_deref());
    let inlined = sym.inlined.iter().map(|inner| spot(&inner.name, inner.code_info.as_ref()));
    std::iter::once(outer).chain(inlined.take(INLINED_MAX)).collect()
}

fn spot(name: &str, code: Option<&CodeInfo<'_>>) -> Spot {
    let file = code.map(|code| code.to_path().to_string_lossy().into_owned()).unwrap_or_default();
    Spot {
        function: clean_text(name, NAME_BYTES_MAX),
        file: clean_text(&file, FILE_BYTES_MAX),
        line: code.and_then(|code| code.line).unwrap_or(0),
    }
}
