//! Looking up an address: the function, its file and line, and what is inlined there.

use super::image::Image;
use super::layout::{GoVersion, Layout};
use super::piece::Piece;
use super::{GoTableError, inlined};
use crate::elf::{NamedSection, ReadAt};

/// Longest run of a value table that is followed, in steps.
pub(super) const STEPS_MAX: usize = 100_000;
/// How much of a value table is read at a time.
const CHUNK_BYTES: usize = 512;
/// What stands for "no file" in a unit's list of files.
const NO_FILE: u32 = u32::MAX;

/// One function at an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoSpot {
    /// Its name, with its package's whole path.
    pub function: String,
    /// Its source file, or empty.
    pub file: String,
    /// The line, or 0.
    pub line: u32,
}

/// A Go binary's function table.
#[derive(Debug, Clone)]
pub struct GoTable {
    pub(super) layout: Layout,
    /// Where the table lies in the file, and its size.
    place: (u64, u64),
    /// The first address of the code.
    pub(super) text: u64,
    /// Where lists of inlined calls are in the file.
    pub(super) lists: Option<inlined::Lists>,
}

/// What the table says of a function.
pub(super) struct Func {
    /// Where that stands in the table.
    pub at: u64,
    /// The function's first address, from the start of the code (since Go 1.18).
    pub entry: u64,
    /// The next function's.
    pub end: u64,
}

impl GoTable {
    /// Finds the table of a file by its sections.
    ///
    /// # Errors
    /// When it has none, one of an unknown version, or one that does not fit the file.
    pub fn of<R: ReadAt + ?Sized>(
        file: &R,
        sections: &[NamedSection],
    ) -> Result<Self, GoTableError> {
        let image = Image::new(file, sections);
        let (address, offset, size) = image.table().ok_or(GoTableError::None)?;
        let layout = Layout::read(&Piece::new(file, offset, size))?;
        let text = match layout.version {
            GoVersion::Go116 => 0,
            _ => image.text(&layout, address).ok_or(GoTableError::Place)?,
        };
        let lists = image.lists(&layout, address, text);
        let table = Self { layout, place: (offset, size), text, lists };
        table.check(file, sections)?;
        Ok(table)
    }

    pub(super) fn piece<'a, R: ReadAt + ?Sized>(&self, file: &'a R) -> Piece<'a, R> {
        Piece::new(file, self.place.0, self.place.1)
    }

    /// Whether first and last function lie in sections of code: otherwise every name would be wrong.
    fn check<R: ReadAt + ?Sized>(
        &self,
        file: &R,
        sections: &[NamedSection],
    ) -> Result<(), GoTableError> {
        let table = self.piece(file);
        let is_code = |address: u64| {
            let holds = |s: &&NamedSection| address.wrapping_sub(s.address) <= s.size;
            sections.iter().filter(|s| s.is_code).any(|s| holds(&s))
        };
        for index in [0, self.layout.functions] {
            let start = self.start(&table, index).ok_or(GoTableError::Damaged)?;
            if !is_code(start.wrapping_add(self.text)) {
                return Err(GoTableError::Place);
            }
        }
        Ok(())
    }

    /// Where the function of this number starts; the last one is the end of all.
    fn start<R: ReadAt + ?Sized>(&self, table: &Piece<'_, R>, index: u64) -> Option<u64> {
        let size = self.layout.entry();
        table.number(self.layout.funcs + 2 * size * index, size)
    }

    /// The function at an address from the start of the code.
    fn func<R: ReadAt + ?Sized>(&self, table: &Piece<'_, R>, at: u64) -> Option<Func> {
        let (mut low, mut high) = (0, self.layout.functions);
        if at < self.start(table, 0)? || at >= self.start(table, high)? {
            return None;
        }
        // Always: low starts at or before, high behind.
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if self.start(table, middle)? <= at {
                low = middle;
            } else {
                high = middle;
            }
        }
        self.numbered(table, low).filter(|func| func.entry <= at && at < func.end)
    }

    /// The function of this number.
    pub(super) fn numbered<R: ReadAt + ?Sized>(
        &self,
        table: &Piece<'_, R>,
        index: u64,
    ) -> Option<Func> {
        let (size, entry) = (self.layout.entry(), self.start(table, index)?);
        let offset = table.number(self.layout.funcs + 2 * size * index + size, size)?;
        let func = self.layout.funcs.checked_add(offset)?;
        // Said twice; a damaged table says two things.
        let again = table.number(func, self.layout.entry_address())?;
        let end = self.start(table, index + 1)?;
        (again == entry && entry < end).then_some(Func { at: func, entry, end })
    }

    /// The functions at `address`, outermost first; `None` where no Go function lies.
    #[must_use]
    pub fn find<R: ReadAt + ?Sized>(&self, file: &R, address: u64) -> Option<Vec<GoSpot>> {
        let table = self.piece(file);
        let at = address.checked_sub(self.text)?;
        let func = self.func(&table, at)?;
        let name = self.name(&table, self.field(&table, &func, 0)?)?;
        Some(inlined::spots(self, file, &func, at, name))
    }

    /// A number of four bytes behind a function's entry address.
    pub(super) fn field<R: ReadAt + ?Sized>(
        &self,
        table: &Piece<'_, R>,
        func: &Func,
        offset: u64,
    ) -> Option<i32> {
        table.i32(func.at + self.layout.entry_address() + offset)
    }

    /// The name at an offset among the names.
    pub(super) fn name<R: ReadAt + ?Sized>(
        &self,
        table: &Piece<'_, R>,
        offset: i32,
    ) -> Option<String> {
        table.text(self.layout.names.checked_add(u64::try_from(offset).ok()?)?)
    }

    /// File and line at an address within a function; empty and 0 where they are not known.
    pub(super) fn line<R: ReadAt + ?Sized>(
        &self,
        table: &Piece<'_, R>,
        func: &Func,
        at: u64,
    ) -> (String, u32) {
        let file = self.file(table, func, at).unwrap_or_default();
        let line = self.field(table, func, 20).and_then(|list| self.value(table, func, list, at));
        (file, line.and_then(|line| u32::try_from(line).ok()).unwrap_or(0))
    }

    fn file<R: ReadAt + ?Sized>(
        &self,
        table: &Piece<'_, R>,
        func: &Func,
        at: u64,
    ) -> Option<String> {
        let number = self.value(table, func, self.field(table, func, 16)?, at)?;
        let unit = self.field(table, func, 28)?;
        let index = u64::try_from(number).ok()?.checked_add(u64::try_from(unit).ok()?)?;
        let offset = table.u32(self.layout.units.checked_add(4 * index)?)?;
        if offset == NO_FILE {
            return None;
        }
        table.text(self.layout.files.checked_add(offset.into())?)
    }

    /// The value at an address of a table of values: pairs of a signed difference of the value and a
    /// difference of the address, both of variable length.
    pub(super) fn value<R: ReadAt + ?Sized>(
        &self,
        table: &Piece<'_, R>,
        func: &Func,
        list: i32,
        at: u64,
    ) -> Option<i32> {
        let list = u64::try_from(list).ok().filter(|&list| list > 0)?;
        let mut steps = Steps::new(table, self.layout.pcs.checked_add(list)?);
        let (mut value, mut address) = (-1_i32, func.entry);
        for step in 0..STEPS_MAX {
            let (next, length) = steps.pair(value, step == 0)?;
            value = next;
            address = address.checked_add(u64::from(length) * self.layout.quantum)?;
            if at < address {
                return Some(value);
            }
        }
        None
    }
}

/// Numbers of variable length, read in chunks.
pub(super) struct Steps<'a, 'f, R: ?Sized> {
    table: &'a Piece<'f, R>,
    at: u64,
    chunk: [u8; CHUNK_BYTES],
    held: usize,
    used: usize,
}

impl<'a, 'f, R: ReadAt + ?Sized> Steps<'a, 'f, R> {
    pub(super) fn new(table: &'a Piece<'f, R>, at: u64) -> Self {
        Self { table, at, chunk: [0; CHUNK_BYTES], held: 0, used: 0 }
    }

    /// The value after `value`, and over how many instructions it holds; `None` at the end.
    pub(super) fn pair(&mut self, value: i32, is_first: bool) -> Option<(i32, u32)> {
        let change = self.next()?;
        if change == 0 && !is_first {
            return None;
        }
        let half = i32::try_from(change >> 1).ok()?;
        let change = if change & 1 == 0 { half } else { !half };
        Some((value.checked_add(change)?, self.next()?))
    }

    fn byte(&mut self) -> Option<u8> {
        if self.used == self.held {
            self.held = self.table.some(self.at, &mut self.chunk)?.len();
            self.at += self.held as u64;
            self.used = 0;
        }
        self.used += 1;
        self.chunk[..self.held].get(self.used - 1).copied()
    }

    fn next(&mut self) -> Option<u32> {
        let mut number = 0_u32;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.byte()?;
            number |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
}
