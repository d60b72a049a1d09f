//! Names addresses with blazesym; runs in the worker only.

use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::os::fd::AsRawFd;

use blazesym::MaybeDefault;
use blazesym::symbolize::source::{Elf, Kernel, Source};
use blazesym::symbolize::{CodeInfo, Input, Sym, Symbolized, Symbolizer};
use rustc_hash::FxHashMap;
use rustix::fs::{MemfdFlags, memfd_create};

use crate::go::GoSpot;
use crate::known::{Known, Passed};
use crate::paths::is_whole_path_of;
use crate::protocol::{
    Answer, FILE_BYTES_MAX, INLINED_MAX, Image, Meaning, NAME_BYTES_MAX, Refusal, Request, Spot,
    Trouble,
};
use crate::text::clean_text;
use crate::vdso::vdso_image;

/// Most images that are open at one time; at the bound all are closed and all caches dropped.
pub(super) const IMAGES_MAX: usize = 48;
/// Where debug information that several files share is installed.
pub(super) const DEBUG_DIRS: [&str; 2] = ["/usr/lib/debug", "/lib/debug"];

/// blazesym and the files that it reads.
pub(super) struct Namer {
    symbolizer: Symbolizer,
    dirs: &'static [&'static str],
    images: FxHashMap<String, Known>,
    /// Since the last answer.
    trouble: Trouble,
}

fn source(file: &File, debug_info: bool) -> Source<'static> {
    let mut elf = Elf::new(format!("/proc/self/fd/{}", file.as_raw_fd()));
    elf.debug_syms = debug_info;
    Source::Elf(elf)
}

impl Namer {
    /// With debug information from `dirs` of this root only, which blazesym itself looks through: the
    /// parts that several files share (`.gnu_debugaltlink`) are found there.
    pub(super) fn new(dirs: &'static [&'static str]) -> Self {
        // A descriptor never comes to mean another file while the symbolizer lives.
        let symbolizer =
            Symbolizer::builder().enable_auto_reload(false).set_debug_dirs(Some(dirs)).build();
        Self { symbolizer, dirs, images: FxHashMap::default(), trouble: Trouble::default() }
    }

    /// Answers `request`, whose files came along as `passed`.
    pub(super) fn answer(&mut self, request: &Request, passed: Vec<File>) -> Answer {
        let mut passed = Passed::sorted(request, passed);
        let build_id = match &request.image {
            Image::Kernel => {
                let meanings = self.kernel_meanings(&request.addresses);
                return Answer::Meanings(meanings, Trouble::default());
            }
            Image::File(build_id) => build_id,
            Image::Vdso(build_id) => {
                passed = Passed { image: vdso_file(), roots: Vec::new() };
                build_id
            }
        };
        if let Err(refusal) = self.admit(build_id, request, passed) {
            return Answer::Refused(refusal);
        }
        let known = &self.images[build_id];
        let meanings = self.file_meanings(known, request);
        Answer::Meanings(meanings, std::mem::take(&mut self.trouble))
    }

    /// Takes in an image if its files are the build that they are said to be.
    fn admit(&mut self, build_id: &str, request: &Request, passed: Passed) -> Result<(), Refusal> {
        if self.images.contains_key(build_id) {
            return Ok(());
        }
        if self.images.len() >= IMAGES_MAX {
            // Dropped together: what blazesym has cached goes by the descriptors' numbers.
            *self = Self { trouble: self.trouble, ..Self::new(self.dirs) };
        }
        let known = Known::verified(build_id, request, passed, &mut self.trouble)?;
        self.images.insert(build_id.to_owned(), known);
        Ok(())
    }

    fn file_meanings(&self, known: &Known, request: &Request) -> Vec<Option<Meaning>> {
        let addresses = request.addresses.as_slice();
        let mut meanings = match request.debug_info {
            true => self.by_debug_info(known, addresses),
            false => self.by_symbols(known, addresses),
        };
        if let Some(table) = &known.go {
            // It says all that a symbol says, and more.
            let has_less = |meaning: &Option<Meaning>| {
                meaning.as_ref().is_none_or(|meaning| !meaning.from_debug_info)
            };
            let all = meanings.iter_mut().zip(addresses);
            for (meaning, &address) in all.filter(|(meaning, _)| has_less(meaning)) {
                *meaning = of_go(table.find(&known.image, address)).or(meaning.take());
            }
        }
        meanings
    }

    /// What debug information says, completed by symbols.
    fn by_debug_info(&self, known: &Known, addresses: &[u64]) -> Vec<Option<Meaning>> {
        let mut meanings = self.by_debug_file(known, addresses);
        if let Some(split) = &known.split {
            for (meaning, &address) in meanings.iter_mut().zip(addresses) {
                *meaning = split.find(address).or(meaning.take());
            }
        }
        meanings
    }

    fn by_debug_file(&self, known: &Known, addresses: &[u64]) -> Vec<Option<Meaning>> {
        let with_debug_info = known.debug.as_ref().unwrap_or(&known.image);
        let mut meanings = self.look_up(known, with_debug_info, true, addresses);
        let lacks_a_path = |m: &Option<Meaning>| m.as_ref().is_none_or(Meaning::lacks_a_path);
        if meanings.iter().any(lacks_a_path) {
            complete(&mut meanings, self.by_symbols(known, addresses));
        }
        meanings
    }

    /// What symbol tables say: the debug file's first, which is the fuller one.
    fn by_symbols(&self, known: &Known, addresses: &[u64]) -> Vec<Option<Meaning>> {
        let mut meanings = match &known.debug {
            Some(debug) => self.look_up(known, debug, false, addresses),
            None => vec![None; addresses.len()],
        };
        let of_image = match &known.symbols {
            Some(table) => addresses.iter().map(|&address| table.find(address)).collect(),
            None => self.look_up(known, &known.image, false, addresses),
        };
        for (meaning, of_image) in meanings.iter_mut().zip(of_image) {
            *meaning = meaning.take().or(of_image);
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
fn complete(meanings: &mut [Option<Meaning>], by_symbols: Vec<Option<Meaning>>) {
    for (meaning, by_symbol) in meanings.iter_mut().zip(by_symbols) {
        let Some(by_symbol) = by_symbol else { continue };
        let Some(meaning) = meaning else {
            *meaning = Some(by_symbol);
            continue;
        };
        let Some((outer, path)) = meaning.spots.first_mut().zip(by_symbol.spots.first()) else {
            continue;
        };
        if is_whole_path_of(&path.function, &outer.function) {
            outer.function.clone_from(&path.function);
        }
    }
}

/// What a Go function table says of an address.
fn of_go(spots: Option<Vec<GoSpot>>) -> Option<Meaning> {
    let spot = |spot: GoSpot| Spot {
        function: clean_text(&spot.function, NAME_BYTES_MAX),
        file: clean_text(&spot.file, FILE_BYTES_MAX),
        line: spot.line,
    };
    let spots = spots?.into_iter().map(spot).collect();
    Some(Meaning { from_debug_info: false, spots })
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
