//! Symbol tables of our own: what MiniDebugInfo adds to the symbols that a library exports.

use std::fs::File;
use std::io::BufReader;

use object::read::{Object, ObjectSymbol, ReadCache};
use object::{File as ObjectFile, SymbolKind};

use crate::demangled::demangled;
use crate::protocol::{Meaning, NAME_BYTES_MAX, Spot};
use crate::text::clean_text;

/// Most functions of one image.
const FUNCTIONS_MAX: usize = 500_000;
/// Most bytes of their names.
const NAMES_BYTES_MAX: usize = 48 << 20;

#[derive(Debug, Clone, Copy)]
struct Function {
    start: u64,
    size: u64,
    name_at: u32,
    name_len: u32,
}

/// Functions by address.
#[derive(Debug, Default)]
pub(crate) struct SymTable {
    functions: Vec<Function>,
    names: String,
}

impl SymTable {
    /// The symbols of an unpacked `.gnu_debugdata`, and those that the image itself exports.
    pub(crate) fn of_minidebug(image: &File, unpacked: &[u8]) -> Self {
        let mut table = Self::default();
        if let Ok(file) = ObjectFile::parse(unpacked) {
            table.add(file.symbols());
        }
        let cache = ReadCache::new(BufReader::new(image));
        if let Ok(file) = ObjectFile::parse(&cache) {
            table.add(file.dynamic_symbols());
        }
        table.functions.sort_by_key(|function| (function.start, function.size));
        table
    }

    fn add<'data, S: ObjectSymbol<'data>>(&mut self, symbols: impl Iterator<Item = S>) {
        let functions =
            symbols.filter(|s| s.kind() == SymbolKind::Text && s.is_definition() && s.size() > 0);
        for symbol in functions {
            let Ok(name) = symbol.name() else { continue };
            let (at, length) = (u32::try_from(self.names.len()), u32::try_from(name.len()));
            let (Ok(name_at), Ok(name_len)) = (at, length) else { return };
            let is_full = self.names.len() + name.len() > NAMES_BYTES_MAX;
            if is_full || self.functions.len() >= FUNCTIONS_MAX {
                return;
            }
            self.names.push_str(name);
            let (start, size) = (symbol.address(), symbol.size());
            self.functions.push(Function { start, size, name_at, name_len });
        }
    }

    /// The function at `address`.
    pub(crate) fn find(&self, address: u64) -> Option<Meaning> {
        let after = self.functions.partition_point(|function| function.start <= address);
        let function = self.functions.get(after.checked_sub(1)?)?;
        if address - function.start >= function.size {
            return None;
        }
        let (at, length) = (function.name_at as usize, function.name_len as usize);
        let name = demangled(self.names.get(at..at + length)?);
        let function = clean_text(&name, NAME_BYTES_MAX);
        let spot = Spot { function, file: String::new(), line: 0 };
        Some(Meaning { from_debug_info: false, spots: vec![spot] })
    }
}
