//! The second witness: names of addresses by a process's own maps and its files' symbol tables.

use std::collections::HashMap;
use std::path::Path;

use object::{Object as _, ObjectSegment as _, ObjectSymbol as _, SymbolKind};
use stoker_symbols::elf::named_sections;
use stoker_symbols::go::GoTable;

/// What a signal's handler returns to: `mov $15, %rax; syscall`. The C library has no name for it where
/// it is stripped; debuggers know it by these bytes too.
const RETURN_FROM_SIGNAL: [u8; 9] = [0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05];

#[derive(Debug, Clone, Default)]
struct File {
    /// Address, size and name, by address.
    symbols: Vec<(u64, u64, String)>,
    /// File offset, size and address of what is loaded.
    segments: Vec<(u64, u64, u64)>,
    /// What Go keeps for itself, in place of symbols.
    go: Option<(Vec<u8>, GoTable)>,
}

impl File {
    fn read(path: &Path) -> Self {
        let Ok(bytes) = std::fs::read(path) else { return Self::default() };
        let Ok(file) = object::File::parse(&*bytes) else { return Self::default() };
        let all = file.symbols().chain(file.dynamic_symbols());
        let functions = all.filter(|symbol| symbol.kind() == SymbolKind::Text);
        let named = functions.filter_map(|symbol| {
            Some((symbol.address(), symbol.size(), symbol.name().ok()?.to_owned()))
        });
        let mut symbols: Vec<_> = named.filter(|(address, ..)| *address != 0).collect();
        let returns = file.segments().filter_map(|segment| {
            let code = segment.data().ok()?;
            let at =
                code.windows(RETURN_FROM_SIGNAL.len()).position(|w| w == RETURN_FROM_SIGNAL)?;
            let size = RETURN_FROM_SIGNAL.len() as u64;
            Some((segment.address() + at as u64, size, "__restore_rt".to_owned()))
        });
        symbols.extend(returns);
        symbols.sort();
        let segments = file.segments().map(|segment| {
            let (offset, size) = segment.file_range();
            (offset, size, segment.address())
        });
        let segments = segments.collect();
        let sections = named_sections(&bytes[..], bytes.len() as u64).unwrap_or_default();
        let go = GoTable::of(&bytes[..], &sections).ok().map(|table| (bytes.clone(), table));
        Self { symbols, segments, go }
    }

    fn name(&self, file_offset: u64) -> Option<String> {
        let segment = |(offset, size, address): &(u64, u64, u64)| {
            (file_offset.wrapping_sub(*offset) < *size).then(|| file_offset - offset + address)
        };
        let address = self.segments.iter().find_map(segment)?;
        if let Some((bytes, table)) = &self.go {
            let spots = table.find(&bytes[..], address);
            return Some(spots?.first()?.function.clone());
        }
        let after = self.symbols.partition_point(|(start, ..)| *start <= address);
        let before = self.symbols.get(after.saturating_sub(3)..after)?;
        let holds = |(start, size, _): &&(u64, u64, String)| address < start + size.max(&1);
        before.iter().rev().find(holds).map(|(.., name)| name.clone())
    }
}

/// Names of one process.
pub struct Symbols {
    /// Start, end, file offset, path.
    mappings: Vec<(u64, u64, u64, String)>,
    files: HashMap<String, File>,
}

impl Symbols {
    /// Reads the maps of a process that lives.
    pub fn of(pid: u32) -> Self {
        let text = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
        let hex = |text: &str| u64::from_str_radix(text, 16).unwrap();
        let mappings = text.lines().filter_map(|line| {
            let mut words = line.split_ascii_whitespace();
            let (start, end) = words.next()?.split_once('-')?;
            let offset = words.nth(1)?;
            let path = words.nth(2).unwrap_or_default().to_owned();
            Some((hex(start), hex(end), hex(offset), path))
        });
        let mappings: Vec<_> = mappings.collect();
        let paths = mappings.iter().filter(|(.., path)| path.starts_with('/'));
        let files = paths.map(|(.., path)| (path.clone(), File::read(Path::new(path)))).collect();
        Self { mappings, files }
    }

    /// The file name and the function at an address.
    pub fn name(&self, address: u64) -> (String, String) {
        let inside =
            |(start, end, ..): &&(u64, u64, u64, String)| (*start..*end).contains(&address);
        let Some((start, _, offset, path)) = self.mappings.iter().find(inside) else {
            return ("?".into(), "?".into());
        };
        let function = self.files.get(path).and_then(|file| file.name(address - start + offset));
        let file = path.rsplit('/').next().unwrap_or_default().to_owned();
        (file, function.unwrap_or_else(|| "?".into()))
    }
}
