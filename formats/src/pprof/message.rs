//! The tables of a pprof message, found in one pass. Strings stand at the end of most files, so
//! nothing can be resolved before the whole has been seen once.

use std::borrow::Cow;

use super::wire::{Fields, Value, WireError, signed, varint};
use crate::Format;
use crate::error::{Place, ReadError};
use crate::import::text_of;
use crate::limits::{Limits, MAX_PROFILES};

/// A message with its tables as slices of the input.
#[derive(Debug, Default)]
pub(super) struct Message<'a> {
    pub(super) input: &'a [u8],
    pub(super) sample_types: Vec<ValueType>,
    pub(super) samples: Vec<&'a [u8]>,
    pub(super) mappings: Vec<&'a [u8]>,
    pub(super) locations: Vec<&'a [u8]>,
    pub(super) functions: Vec<&'a [u8]>,
    pub(super) strings: Vec<Cow<'a, str>>,
    pub(super) drop_frames: i64,
    pub(super) keep_frames: i64,
    pub(super) time_nanos: i64,
    pub(super) duration_nanos: i64,
    pub(super) period_type: Option<ValueType>,
    pub(super) period: i64,
    pub(super) comments: Vec<i64>,
    pub(super) default_sample_type: i64,
}

/// What one value of each sample counts, as indices of strings.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct ValueType {
    pub(super) kind: i64,
    pub(super) unit: i64,
}

impl<'a> Message<'a> {
    pub(super) fn parse(input: &'a [u8], limits: &Limits) -> Result<Self, ReadError> {
        let mut message = Self { input, ..Self::default() };
        let mut fields = Fields::new(input);
        loop {
            let at = input.len() - fields.rest().len();
            let place = Place::Byte(at);
            let next = fields.next().map_err(|error| malformed(place, error.problem()))?;
            let Some((number, value)) = next else {
                return Ok(message);
            };
            message.field(number, value, place, limits)?;
        }
    }

    fn field(
        &mut self,
        number: u32,
        value: Value<'a>,
        place: Place,
        limits: &Limits,
    ) -> Result<(), ReadError> {
        let wire = |error: WireError| malformed(place, error.problem());
        match (number, value) {
            (1, Value::Bytes(bytes)) => {
                self.sample_types.push(ValueType::parse(bytes).map_err(wire)?);
                bounded("value types", &self.sample_types, MAX_PROFILES, place)?;
            }
            (2, Value::Bytes(bytes)) => {
                self.samples.push(bytes);
                bounded("samples", &self.samples, limits.samples, place)?;
            }
            (3..=5, Value::Bytes(bytes)) => {
                let table = match number {
                    3 => &mut self.mappings,
                    4 => &mut self.locations,
                    _ => &mut self.functions,
                };
                table.push(bytes);
                bounded("entries of one table", table, limits.table_entries, place)?;
            }
            (6, Value::Bytes(bytes)) => {
                // Names come from binaries; a bad byte in one is no reason to refuse the rest.
                self.strings.push(text_of(bytes));
                bounded("strings", &self.strings, limits.table_entries, place)?;
            }
            (11, Value::Bytes(bytes)) => {
                self.period_type = Some(ValueType::parse(bytes).map_err(wire)?);
            }
            (13, Value::Bytes(mut packed)) => {
                while !packed.is_empty() {
                    self.comments.push(signed(varint(&mut packed).map_err(wire)?));
                }
            }
            (_, Value::Varint(value)) => self.scalar(number, signed(value)),
            (1..=6 | 11, Value::Fixed) => {
                return Err(malformed(place, "a table entry is no message"));
            }
            // Fields of later versions.
            _ => {}
        }
        Ok(())
    }

    fn scalar(&mut self, number: u32, value: i64) {
        match number {
            7 => self.drop_frames = value,
            8 => self.keep_frames = value,
            9 => self.time_nanos = value,
            10 => self.duration_nanos = value,
            12 => self.period = value,
            13 => self.comments.push(value),
            14 => self.default_sample_type = value,
            _ => {}
        }
    }

    /// The text at `index`; `place` says who asks.
    pub(super) fn text(
        &self,
        index: i64,
        place: impl FnOnce() -> Place,
    ) -> Result<&str, ReadError> {
        let found = usize::try_from(index).ok().and_then(|at| self.strings.get(at));
        match found {
            Some(text) => Ok(text),
            // A file without any string may still hold addresses.
            None if index == 0 => Ok(""),
            None => {
                let count = self.strings.len();
                let problem = format!("it names string {index}, but there are {count}");
                Err(malformed(place(), problem))
            }
        }
    }

    /// Where an entry of a table stands.
    pub(super) fn place(&self, table: &'static str, index: usize, entry: &[u8]) -> Place {
        let byte = entry.as_ptr().addr().checked_sub(self.input.as_ptr().addr());
        Place::Entry { table, index, byte }
    }
}

impl ValueType {
    fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let mut parsed = Self::default();
        let mut fields = Fields::new(bytes);
        while let Some(field) = fields.next()? {
            match field {
                (1, Value::Varint(value)) => parsed.kind = signed(value),
                (2, Value::Varint(value)) => parsed.unit = signed(value),
                _ => {}
            }
        }
        Ok(parsed)
    }
}

pub(super) fn malformed(place: Place, problem: impl Into<String>) -> ReadError {
    ReadError::malformed(Format::Pprof, place, problem)
}

fn bounded<T>(
    what: &'static str,
    table: &[T],
    limit: usize,
    place: Place,
) -> Result<(), ReadError> {
    if table.len() > limit { Err(ReadError::TooLarge { what, limit, place }) } else { Ok(()) }
}

/// Whether the first bytes of a file can be those of a pprof: only its fields, of the right types,
/// with value types that hold two numbers and nothing else. `is_whole` says that there are no more.
pub(crate) fn looks_like(start: &[u8], is_whole: bool) -> bool {
    let mut fields = Fields::new(start);
    let mut seen = 0usize;
    loop {
        match fields.next() {
            Ok(None) => return seen > 0,
            Err(WireError::Truncated) => return seen > 0 && !is_whole,
            Err(_) => return false,
            Ok(Some(field)) if !fits(field) => return false,
            Ok(Some(_)) => seen += 1,
        }
    }
}

fn fits((number, value): (u32, Value<'_>)) -> bool {
    match (number, value) {
        (1 | 11, Value::Bytes(bytes)) => {
            let mut fields = Fields::new(bytes);
            loop {
                match fields.next() {
                    Ok(None) => return true,
                    Ok(Some((1 | 2, Value::Varint(_)))) => {}
                    _ => return false,
                }
            }
        }
        (2..=6 | 13, Value::Bytes(_)) | (7..=10 | 12..=14, Value::Varint(_)) => true,
        (number, _) => number > 14,
    }
}
