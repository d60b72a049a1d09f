//! From the bytes of a pprof to stacks and columns.

use stoker_dag::UnixNanos;

use super::legacy;
use super::message::{Message, malformed};
use super::prune::Pruner;
use super::samples::Samples;
use super::tables::Tables;
use super::types::{Column, columns};
use crate::error::{Place, ReadError};
use crate::import::{Imported, ImportedProfile, ImportedRow};
use crate::{Format, ReadOptions, gzip};

/// Reads a pprof, gzipped or not.
///
/// # Errors
/// When it is broken, larger than a limit, a difference of two profiles, or a legacy format.
pub fn read(bytes: &[u8], options: &ReadOptions) -> Result<Imported, ReadError> {
    let mut imported = Imported::new(Format::Pprof);
    imported.default = read_into(bytes, options, &mut imported)?;
    Ok(imported)
}

/// Reads a pprof into tables that hold others already: profiles of one type become one, which costs
/// less than reading each by itself and merging. Gives the profile that this file means by default.
///
/// # Errors
/// As [`read`]; no value of the file has been added then.
pub fn read_into(
    bytes: &[u8],
    options: &ReadOptions,
    imported: &mut Imported,
) -> Result<usize, ReadError> {
    let input = gzip::inflate(bytes, options.limits.decompressed_bytes)?;
    if input.is_empty() {
        return Err(ReadError::Empty);
    }
    if let Some(what) = legacy::recognise(&input) {
        return Err(ReadError::Refused { what, hint: legacy::HINT });
    }
    let message = Message::parse(&input, &options.limits)?;
    let (columns, default) = columns(&message, &options.file_name)?;
    if columns.is_empty() {
        return Err(malformed(Place::Byte(input.len()), "it names no value type"));
    }
    for (index, &comment) in message.comments.iter().enumerate() {
        let place = || Place::Entry { table: "comment", index, byte: None };
        imported.comment(message.text(comment, place)?);
    }
    let mut rows = vec![Vec::with_capacity(message.samples.len()); columns.len()];
    let tables = Tables::new(&message)?;
    let pruner = Pruner::new(&message)?;
    Samples::new(&message, &tables, &options.limits, pruner.as_ref(), imported)?
        .read(&columns, &mut rows, imported)?;
    let mut default_at = 0;
    for (at, (column, rows)) in columns.into_iter().zip(rows).enumerate() {
        let added = imported.add(profile(&message, column, rows))?;
        if at == default {
            default_at = added;
        }
    }
    Ok(default_at)
}

fn profile(message: &Message<'_>, column: Column, rows: Vec<ImportedRow>) -> ImportedProfile {
    let positive = |value: i64| u64::try_from(value).unwrap_or(0);
    ImportedProfile {
        profile_type: column.profile_type,
        kind: column.kind,
        period: positive(message.period),
        start: Some(UnixNanos(positive(message.time_nanos))).filter(|start| start.0 != 0),
        duration_ns: positive(message.duration_nanos),
        rows,
    }
}
