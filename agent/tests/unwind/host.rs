//! The unwinder's view of a stopped process on the host: its mappings, its memory, and tables
//! compiled of its files.

use std::collections::HashMap;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;

use object::{Object as _, ObjectSymbol as _};
use stoker_agent::process::ElfInfo;
use stoker_agent::unwind::compile::{Rules, Table, compile};
use stoker_unwind::{Cursor, Machine, Outcome, Place, Row, Rule, RuleId, Step, step};

/// As many frames as a record in the kernel holds.
const FRAMES_MAX: usize = 127;

/// What the compiler and the identity reader say of one file.
struct Image {
    table: Table,
    elf: ElfInfo,
    /// Virtual addresses of the functions that land exceptions.
    landing: Vec<Range<u64>>,
}

struct Mapping {
    range: Range<u64>,
    file_offset: u64,
    path: String,
}

/// A stack by tables.
pub struct Stack {
    /// Recorded addresses, from the leaf on.
    pub frames: Vec<u64>,
    /// How it ended.
    pub outcome: Outcome,
    /// Whether a frame pointer was followed that nothing vouches for.
    pub is_guessed: bool,
}

/// A process that is stopped while it is unwound.
pub struct Process {
    pid: i32,
    memory: File,
    mappings: Vec<Mapping>,
    /// By path; none where a file has no table.
    images: HashMap<String, Option<Image>>,
    rules: Rules,
    /// The path of the table found last.
    found: String,
}

impl Process {
    pub fn new(pid: i32) -> std::io::Result<Self> {
        let memory = File::open(format!("/proc/{pid}/mem"))?;
        Ok(Self {
            pid,
            memory,
            mappings: Vec::new(),
            images: HashMap::new(),
            rules: Rules::default(),
            found: String::new(),
        })
    }

    /// The stack of a thread with these registers.
    pub fn stack(&mut self, pc: u64, sp: u64, bp: u64) -> Stack {
        let mut cursor = Cursor { pc, sp, bp, ..Cursor::default() };
        let mut frames = Vec::new();
        let mut outcome = Outcome::TooDeep;
        while frames.len() < FRAMES_MAX {
            match step(self, &mut cursor) {
                Step::Caller(address) => {
                    frames.push(address);
                    continue;
                }
                Step::Last(address, why) => {
                    frames.push(address);
                    outcome = why;
                }
                Step::Nothing(why) => outcome = why,
            }
            break;
        }
        Stack { frames, outcome, is_guessed: cursor.guessed != 0 }
    }

    /// The rule for an address, for messages.
    pub fn rule_text(&mut self, address: u64) -> String {
        let Place::Text(offset) = self.find(address) else { return "no table".to_owned() };
        let image = self.images.get(&self.found).and_then(Option::as_ref).expect("it was found");
        let at = image.table.text_start + offset;
        let id = image.table.rule_at(at);
        let rule = self.rules.as_slice()[usize::from(id.0)];
        format!("{} {at:#x}: {id:?} {rule:?}", self.found)
    }

    /// Whether an address lies in one of the functions that land an exception. To do so they write
    /// the registers of the frame that catches it over those that their own frame saved.
    pub fn is_landing(&mut self, address: u64) -> bool {
        let Place::Text(offset) = self.find(address) else { return false };
        let Some(Some(image)) = self.images.get(&self.found) else { return false };
        let at = image.table.text_start + offset;
        image.landing.iter().any(|range| range.contains(&at))
    }

    /// Bytes of the process from an address on; fewer where its memory ends.
    pub fn bytes<const N: usize>(&self, address: u64) -> [u8; N] {
        let mut bytes = [0; N];
        let _ = self.memory.read_at(&mut bytes, address);
        bytes
    }

    fn mapping(&self, address: u64) -> Option<&Mapping> {
        self.mappings.iter().find(|mapping| mapping.range.contains(&address))
    }

    fn read_mappings(&mut self) {
        let maps = std::fs::read_to_string(format!("/proc/{}/maps", self.pid)).unwrap_or_default();
        self.mappings = maps.lines().filter_map(mapping).collect();
    }

    fn load(&mut self, path: &str, range: &Range<u64>) {
        if self.images.contains_key(path) {
            return;
        }
        let image = if path == "[vdso]" {
            let mut bytes = vec![0; usize::try_from(range.end - range.start).expect("small")];
            self.memory.read_exact_at(&mut bytes, range.start).expect("the vdso can be read");
            let table = compile(&bytes[..], &mut self.rules);
            table.ok().zip(ElfInfo::read(&bytes[..]).ok())
        } else {
            let file = File::open(path).ok();
            file.and_then(|file| {
                let table = compile(&file, &mut self.rules).ok()?;
                Some((table, ElfInfo::read(&file).ok()?))
            })
        };
        let image = image.map(|(table, elf)| Image { table, elf, landing: landing(path) });
        self.images.insert(path.to_owned(), image);
    }

    fn table(&self) -> Option<&Table> {
        Some(&self.images.get(&self.found)?.as_ref()?.table)
    }
}

fn landing(path: &str) -> Vec<Range<u64>> {
    let bytes = std::fs::read(path).unwrap_or_default();
    let Ok(file) = object::File::parse(&bytes[..]) else { return Vec::new() };
    let symbols = file.symbols().chain(file.dynamic_symbols());
    let unwinding = symbols.filter(|s| s.name().is_ok_and(|name| name.starts_with("_Unwind_")));
    unwinding.map(|symbol| symbol.address()..symbol.address() + symbol.size()).collect()
}

/// An executable mapping from its line of `/proc/PID/maps`.
fn mapping(line: &str) -> Option<Mapping> {
    let mut words = line.split_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let number = |text| u64::from_str_radix(text, 16).ok();
    let range = number(start)?..number(end)?;
    words.next()?.contains('x').then_some(())?;
    let file_offset = number(words.next()?)?;
    let path = words.nth(2).unwrap_or_default().to_owned();
    Some(Mapping { range, file_offset, path })
}

impl Machine for Process {
    fn find(&mut self, address: u64) -> Place {
        if self.mapping(address).is_none() {
            self.read_mappings();
        }
        let Some(mapping) = self.mapping(address) else { return Place::Unmapped };
        let (path, range) = (mapping.path.clone(), mapping.range.clone());
        let file_offset = address - range.start + mapping.file_offset;
        self.load(&path, &range);
        let Some(Some(image)) = self.images.get(&path) else { return Place::NoTable };
        let place = image.elf.virtual_offset(file_offset);
        let offset = place.and_then(|place| place.checked_sub(image.table.text_start));
        self.found = path;
        offset.map_or(Place::NoTable, Place::Text)
    }

    fn index(&mut self, at: u64) -> Option<u32> {
        self.table()?.index.get(usize::try_from(at).ok()?).copied()
    }

    fn row(&mut self, at: u32) -> Option<Row> {
        self.table()?.rows.get(at as usize).copied()
    }

    fn rule(&mut self, id: RuleId) -> Option<Rule> {
        self.rules.as_slice().get(usize::from(id.0)).copied()
    }

    fn word(&mut self, address: u64) -> Option<u64> {
        let mut bytes = [0; 8];
        self.memory.read_exact_at(&mut bytes, address).ok()?;
        Some(u64::from_le_bytes(bytes))
    }
}
