//! Mappings, functions and locations of a message, and the way from ids to indices.

use rustc_hash::FxHashMap;

use super::message::{Message, malformed};
use super::wire::{Fields, Value, WireError, signed, varint};
use crate::error::{Place, ReadError};
use crate::limits::MAX_LINES;

/// From the ids of a file to indices of a table. Ids are mostly 1, 2, 3, …, which needs no table at
/// all, but may be anything.
#[derive(Debug, Default)]
pub(super) struct Ids {
    /// How many ids there are from 1 on without a gap and in order: each is its index plus one.
    in_order: u64,
    others: FxHashMap<u64, u32>,
}

impl Ids {
    /// Says whether the id is new and not 0.
    fn insert(&mut self, id: u64, index: usize) -> bool {
        if id == self.in_order + 1 && self.others.is_empty() {
            self.in_order = id;
            return true;
        }
        let index = u32::try_from(index).expect("tables are bounded far below 2^32");
        id > self.in_order && self.others.insert(id, index).is_none()
    }

    #[inline]
    pub(super) fn get(&self, id: u64) -> Option<usize> {
        if id.wrapping_sub(1) < self.in_order {
            return usize::try_from(id - 1).ok();
        }
        self.others.get(&id).map(|&index| index as usize)
    }
}

/// Where an image lies in memory and what it is. Text fields are indices of strings.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Mapping {
    id: u64,
    pub(super) start: u64,
    pub(super) file_offset: u64,
    pub(super) file_name: i64,
    pub(super) build_id: i64,
}

#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Function {
    id: u64,
    pub(super) name: i64,
    pub(super) system_name: i64,
    pub(super) file_name: i64,
}

/// A function that a location stands in; the function is an index of the table, `None` where the
/// file names none.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Line {
    pub(super) function: Option<usize>,
    pub(super) line: u32,
}

#[derive(Debug, Default)]
pub(super) struct Location {
    id: u64,
    pub(super) mapping: Option<usize>,
    pub(super) address: u64,
    /// Innermost first, as in the file.
    pub(super) lines: Vec<Line>,
}

/// The resolved tables.
#[derive(Debug, Default)]
pub(super) struct Tables {
    pub(super) mappings: Vec<Mapping>,
    mapping_ids: Ids,
    pub(super) functions: Vec<Function>,
    function_ids: Ids,
    pub(super) location_ids: Ids,
}

impl Tables {
    pub(super) fn new(message: &Message<'_>) -> Result<Self, ReadError> {
        let mut tables = Self::default();
        (tables.mappings, tables.mapping_ids) =
            table(message, "mapping", &message.mappings, |bytes| {
                Mapping::parse(bytes).map(|mapping| (mapping.id, mapping))
            })?;
        (tables.functions, tables.function_ids) =
            table(message, "function", &message.functions, |bytes| {
                Function::parse(bytes).map(|function| (function.id, function))
            })?;
        let (_, ids): (Vec<()>, _) = table(message, "location", &message.locations, |bytes| {
            location_id(bytes).map(|id| (id, ()))
        })?;
        tables.location_ids = ids;
        Ok(tables)
    }

    /// Reads a location into `location`, whose memory is used again.
    pub(super) fn location(
        &self,
        bytes: &[u8],
        location: &mut Location,
        place: impl Fn() -> Place,
    ) -> Result<(), ReadError> {
        location.lines.clear();
        (location.id, location.address) = (0, 0);
        let wire = |error: WireError| malformed(place(), error.problem());
        let mut mapping_id = 0;
        let mut fields = Fields::new(bytes);
        while let Some(field) = fields.next().map_err(wire)? {
            match field {
                (1, Value::Varint(value)) => location.id = value,
                (2, Value::Varint(value)) => mapping_id = value,
                (3, Value::Varint(value)) => location.address = value,
                (4, Value::Bytes(bytes)) => {
                    location.lines.push(self.line(bytes, &place)?);
                    if location.lines.len() > MAX_LINES {
                        let (what, limit) = ("functions in one location", MAX_LINES);
                        return Err(ReadError::TooLarge { what, limit, place: place() });
                    }
                }
                _ => {}
            }
        }
        location.mapping = resolve(&self.mapping_ids, mapping_id, "mapping", &place)?;
        Ok(())
    }

    fn line(&self, bytes: &[u8], place: &impl Fn() -> Place) -> Result<Line, ReadError> {
        let (mut function_id, mut line) = (0, 0);
        let mut fields = Fields::new(bytes);
        while let Some(field) =
            fields.next().map_err(|error| malformed(place(), error.problem()))?
        {
            match field {
                (1, Value::Varint(value)) => function_id = value,
                // What is no line of a source file is not known.
                (2, Value::Varint(value)) => line = u32::try_from(signed(value)).unwrap_or(0),
                _ => {}
            }
        }
        let function = resolve(&self.function_ids, function_id, "function", place)?;
        Ok(Line { function, line })
    }
}

fn resolve(
    ids: &Ids,
    id: u64,
    what: &str,
    place: &impl Fn() -> Place,
) -> Result<Option<usize>, ReadError> {
    let found = ids.get(id);
    if found.is_none() && id != 0 {
        return Err(malformed(place(), format!("it names {what} {id}, which is not there")));
    }
    Ok(found)
}

fn table<T>(
    message: &Message<'_>,
    name: &'static str,
    entries: &[&[u8]],
    parse: impl Fn(&[u8]) -> Result<(u64, T), WireError>,
) -> Result<(Vec<T>, Ids), ReadError> {
    let mut ids = Ids::default();
    let mut parsed = Vec::with_capacity(entries.len());
    for (index, bytes) in entries.iter().enumerate() {
        let place = || message.place(name, index, bytes);
        let (id, entry) = parse(bytes).map_err(|error| malformed(place(), error.problem()))?;
        if !ids.insert(id, index) {
            let problem = format!("its id is {id}, which is 0 or was used before");
            return Err(malformed(place(), problem));
        }
        parsed.push(entry);
    }
    Ok((parsed, ids))
}

impl Mapping {
    fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let mut parsed = Self::default();
        let mut fields = Fields::new(bytes);
        while let Some(field) = fields.next()? {
            match field {
                (1, Value::Varint(value)) => parsed.id = value,
                (2, Value::Varint(value)) => parsed.start = value,
                (4, Value::Varint(value)) => parsed.file_offset = value,
                (5, Value::Varint(value)) => parsed.file_name = signed(value),
                (6, Value::Varint(value)) => parsed.build_id = signed(value),
                // The limit and the `has_` flags: a location says itself what is known of it.
                _ => {}
            }
        }
        Ok(parsed)
    }
}

impl Function {
    fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let mut parsed = Self::default();
        let mut fields = Fields::new(bytes);
        while let Some(field) = fields.next()? {
            match field {
                (1, Value::Varint(value)) => parsed.id = value,
                (2, Value::Varint(value)) => parsed.name = signed(value),
                (3, Value::Varint(value)) => parsed.system_name = signed(value),
                (4, Value::Varint(value)) => parsed.file_name = signed(value),
                _ => {}
            }
        }
        Ok(parsed)
    }
}

/// The id of a location; the rest is read when a sample needs it.
fn location_id(bytes: &[u8]) -> Result<u64, WireError> {
    // Writers put it first.
    if let [0x08, rest @ ..] = bytes {
        return varint(&mut &rest[..]);
    }
    let mut fields = Fields::new(bytes);
    while let Some(field) = fields.next()? {
        if let (1, Value::Varint(id)) = field {
            return Ok(id);
        }
    }
    Ok(0)
}
