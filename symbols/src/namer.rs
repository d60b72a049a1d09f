//! Names addresses with blazesym; runs in the worker only.

use std::fs::File;
use std::io::{Read as _, Seek as _, Write};
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::path::PathBuf;

use blazesym::MaybeDefault;
use blazesym::symbolize::source::{Elf, Kernel, Source};
use blazesym::symbolize::{CodeInfo, Input, Sym, Symbolized, Symbolizer};
use rustc_hash::FxHashMap;
use rustix::fs::{MemfdFlags, memfd_create};
use stoker_dag::BuildIdKind;

use crate::elf::{ElfInfo, code_sections};
use crate::paths::is_whole_path_of;
use crate::protocol::{
    Answer, FILE_BYTES_MAX, INLINED_MAX, Image, Meaning, NAME_BYTES_MAX, Refusal, Request, Role,
    Spot,
};
use crate::text::clean_text;
use crate::vdso::vdso_image;

/// Most images that are open at one time; at the bound all are closed and all caches dropped.
pub(super) const IMAGES_MAX: usize = 48;

/// How much of a file is read at a time.
const CRC_CHUNK_BYTES: usize = 256 * 1024;

/// blazesym and the files that it reads.
pub(super) struct Namer {
    symbolizer: Symbolizer,
    images: FxHashMap<String, Known>,
}

/// An image whose files are the build that they are said to be.
struct Known {
    image: File,
    /// Its debug information, where that is a file of its own.
    debug: Option<File>,
    code: Vec<Range<u64>>,
}

fn source(file: &File, debug_info: bool) -> Source<'static> {
    let mut elf = Elf::new(format!("/proc/self/fd/{}", file.as_raw_fd()));
    elf.debug_syms = debug_info;
    Source::Elf(elf)
}

impl Namer {
    pub(super) fn new() -> Self {
        // A descriptor never comes to mean another file while the symbolizer lives. Where debug
        // files may lie is for the parent to say: a name in a file must not make us open another.
        let nowhere: Option<[PathBuf; 0]> = Some([]);
        let symbolizer =
            Symbolizer::builder().enable_auto_reload(false).set_debug_dirs(nowhere).build();
        Self { symbolizer, images: FxHashMap::default() }
    }

    /// Answers `request`, whose files came along as `passed`.
    pub(super) fn answer(&mut self, request: &Request, passed: Vec<File>) -> Answer {
        let mut files: Vec<(Role, File)> = request.roles.iter().copied().zip(passed).collect();
        let build_id = match &request.image {
            Image::Kernel => return Answer::Meanings(self.kernel_meanings(&request.addresses)),
            Image::File(build_id) => build_id,
            Image::Vdso(build_id) => {
                files = vdso_file().map(|file| (Role::Image, file)).into_iter().collect();
                build_id
            }
        };
        if let Err(refusal) = self.admit(build_id, files) {
            return Answer::Refused(refusal);
        }
        let known = &self.images[build_id];
        Answer::Meanings(self.file_meanings(known, request))
    }

    /// Takes in an image if its files are the build that they are said to be.
    fn admit(&mut self, build_id: &str, files: Vec<(Role, File)>) -> Result<(), Refusal> {
        if self.images.contains_key(build_id) {
            return Ok(());
        }
        let known = Known::verified(build_id, files)?;
        if self.images.len() >= IMAGES_MAX {
            *self = Self::new();
        }
        self.images.insert(build_id.to_owned(), known);
        Ok(())
    }

    fn file_meanings(&self, known: &Known, request: &Request) -> Vec<Option<Meaning>> {
        let addresses = request.addresses.as_slice();
        let by_symbols = || self.look_up(known, &known.image, false, addresses);
        if !request.debug_info {
            return by_symbols();
        }
        let with_debug_info = known.debug.as_ref().unwrap_or(&known.image);
        let mut meanings = self.look_up(known, with_debug_info, true, addresses);
        let lacks_a_path = |m: &Option<Meaning>| m.as_ref().is_none_or(Meaning::lacks_a_path);
        if meanings.iter().any(lacks_a_path) {
            for (meaning, other) in meanings.iter_mut().zip(by_symbols()) {
                complete(meaning, other);
            }
        }
        meanings
    }

    fn look_up(
        &self,
        known: &Known,
        file: &File,
        debug_info: bool,
        addresses: &[u64],
    ) -> Vec<Option<Meaning>> {
        let source = source(file, debug_info);
        let meaning = |address: u64, symbolized: &Symbolized<'_>| {
            let sym = symbolized.as_sym().filter(|sym| is_sound(sym, address, &known.code))?;
            meaning(sym)
        };
        if let Ok(all) = self.symbolizer.symbolize(&source, Input::VirtOffset(addresses)) {
            return addresses.iter().zip(&all).map(|(&at, found)| meaning(at, found)).collect();
        }
        // Something in it cannot be read; that need not concern every address.
        let single = |address| {
            let input = Input::VirtOffset(address);
            meaning(address, &self.symbolizer.symbolize_single(&source, input).ok()?)
        };
        addresses.iter().map(|&address| single(address)).collect()
    }

    fn kernel_meanings(&self, addresses: &[u64]) -> Vec<Option<Meaning>> {
        match self.symbolizer.symbolize(&kernel_source(), Input::AbsAddr(addresses)) {
            Ok(all) => all.iter().map(|found| meaning(found.as_sym()?)).collect(),
            Err(_) => vec![None; addresses.len()],
        }
    }
}

impl Known {
    fn verified(build_id: &str, files: Vec<(Role, File)>) -> Result<Self, Refusal> {
        let (mut image, mut debug) = (None, None);
        for (role, file) in files {
            match role {
                Role::Image => image = Some(file),
                // One that is not what it was taken for is no loss: the next may be.
                _ if debug.is_some() || !is_debug_file(role, &file, build_id) => {}
                _ => debug = Some(file),
            }
        }
        let image = image.ok_or(Refusal::NoFile)?;
        let info = ElfInfo::read(&image).map_err(|_| Refusal::Unreadable)?;
        if info.build_id.to_string() != build_id {
            return Err(Refusal::OtherBuild);
        }
        let code = code_sections(&image);
        Ok(Self { image, debug, code })
    }
}

/// Whether a file of debug information belongs to the image that has this build id.
fn is_debug_file(role: Role, file: &File, build_id: &str) -> bool {
    let same_build = ElfInfo::read(file).map(|info| info.build_id);
    match role {
        Role::Image => false,
        Role::DebugById => same_build.is_ok_and(|found| found.to_string() == build_id),
        Role::DebugByLink(wanted) => {
            let has_other = same_build.is_ok_and(|found| {
                found.kind() == BuildIdKind::Gnu && found.to_string() != build_id
            });
            !has_other && crc32(file).is_ok_and(|found| found == wanted)
        }
    }
}

/// The CRC-32 of a whole file, as `.gnu_debuglink` has it.
fn crc32(mut file: &File) -> std::io::Result<u32> {
    file.rewind()?;
    let (mut hasher, mut chunk) = (crc32fast::Hasher::new(), vec![0; CRC_CHUNK_BYTES]);
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(hasher.finalize()),
            count => hasher.update(&chunk[..count]),
        }
    }
}

/// Whether a symbol can be believed. One without a size is taken to reach up to the next, and so
/// `_init` would lend its name to the whole procedure linkage table: it must lie in the section of
/// the address.
fn is_sound(sym: &Sym<'_>, address: u64, code: &[Range<u64>]) -> bool {
    let has_bounds = sym.size.is_some_and(|size| size > 0) || sym.code_info.is_some();
    has_bounds || code.iter().any(|s| s.contains(&sym.addr) && s.contains(&address))
}

/// Adds to what debug information says what only the symbol table knows: names of functions that
/// have no debug information, and whole paths. (Rust's `line-tables-only` and `-gmlt` leave a
/// function no more than its last name.)
fn complete(meaning: &mut Option<Meaning>, by_symbol: Option<Meaning>) {
    let Some(by_symbol) = by_symbol else { return };
    let Some(meaning) = meaning else {
        *meaning = Some(by_symbol);
        return;
    };
    let Some((outer, path)) = meaning.spots.first_mut().zip(by_symbol.spots.first()) else {
        return;
    };
    if is_whole_path_of(&path.function, &outer.function) {
        outer.function.clone_from(&path.function);
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

fn meaning(sym: &Sym<'_>) -> Option<Meaning> {
    if sym.name.is_empty() {
        return None;
    }
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
