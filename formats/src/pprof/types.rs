//! From pprof's sample types to profile types, as Pyroscope and Grafana name them.
//!
//! A profile type has five parts, `NAME:type:unit:period_type:period_unit`. The last four stand in
//! the file; the name does not, and is told from the types. `docs/formats-others.md` has the table.

use stoker_dag::ProfileType;

use super::message::{Message, ValueType};
use crate::error::{Place, ReadError};
use crate::import::ProfileKind;
use crate::profile_types::unique;

/// One column of values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) profile_type: ProfileType,
    pub(super) kind: ProfileKind,
    /// The column that says how many samples a value stands for; `None` for one per record.
    pub(super) counted_by: Option<usize>,
}

/// The columns of a message and which is meant by default. `file_name` tells block profiles from
/// mutex profiles, whose contents look alike.
pub(super) fn columns(
    message: &Message<'_>,
    file_name: &str,
) -> Result<(Vec<Column>, usize), ReadError> {
    let text = |index: i64, table: &'static str, at: usize| {
        message.text(index, || Place::Entry { table, index: at, byte: None })
    };
    let mut types = Vec::with_capacity(message.sample_types.len());
    for (at, ValueType { kind, unit }) in message.sample_types.iter().enumerate() {
        types.push((text(*kind, "sample type", at)?, text(*unit, "sample type", at)?));
    }
    let period = match message.period_type {
        Some(ValueType { kind, unit }) => {
            (text(kind, "period type", 0)?, text(unit, "period type", 0)?)
        }
        None => ("", ""),
    };
    let wanted = text(message.default_sample_type, "default sample type", 0)?;
    let default = types.iter().position(|(kind, _)| *kind == wanted && !wanted.is_empty());
    let is_momentary = message.duration_nanos == 0;
    let mut columns = Vec::with_capacity(types.len());
    for (at, (kind, unit)) in types.iter().enumerate() {
        let name = name_of(kind, period, &types, file_name);
        let period = if period.0.is_empty() { (*kind, *unit) } else { period };
        let taken = |made: &_| columns.iter().any(|column: &Column| column.profile_type == *made);
        columns.push(Column {
            profile_type: unique([name, kind, unit, period.0, period.1], taken),
            kind: kind_of(name, kind, is_momentary),
            counted_by: counted_by(&types, at),
        });
    }
    // Without a default the last type is meant, as google/pprof does it.
    let default = default.unwrap_or(columns.len().saturating_sub(1));
    Ok((columns, default))
}

fn name_of(
    kind: &str,
    period: (&str, &str),
    types: &[(&str, &str)],
    file_name: &str,
) -> &'static str {
    let has = |wanted: &str| types.iter().any(|(kind, _)| *kind == wanted);
    match kind {
        "cpu" => "process_cpu",
        "wall" => "wall",
        "alloc_objects" | "alloc_space" | "inuse_objects" | "inuse_space" | "objects" | "space"
        | "allocations" => "memory",
        "contentions" | "delay" if file_name.contains("block") => "block",
        "contentions" | "delay" => "mutex",
        "goroutine" | "goroutines" => "goroutine",
        "threadcreate" => "threadcreate",
        "samples" | "sample" if has("wall") && !has("cpu") => "wall",
        _ if has("cpu") || period.0 == "cpu" => "process_cpu",
        _ if period.0 == "space" => "memory",
        _ => "custom",
    }
}

fn kind_of(name: &str, kind: &str, is_momentary: bool) -> ProfileKind {
    match (name, kind) {
        (_, "inuse_objects" | "inuse_space" | "objects" | "space")
        | ("goroutine" | "threadcreate", _) => ProfileKind::Gauge,
        ("memory" | "mutex" | "block", _) if is_momentary => ProfileKind::Cumulative,
        _ => ProfileKind::Delta,
    }
}

/// Which column counts the samples of column `at`.
fn counted_by(types: &[(&str, &str)], at: usize) -> Option<usize> {
    let find = |wanted: &str| types.iter().position(|(kind, _)| *kind == wanted);
    let (kind, unit) = types[at];
    let partner = match kind {
        "alloc_space" => find("alloc_objects"),
        "inuse_space" => find("inuse_objects"),
        "space" => find("objects"),
        "delay" => find("contentions"),
        _ if unit == "count" => Some(at),
        _ => find("samples").or_else(|| find("sample")),
    };
    partner.filter(|&found| types[found].1 == "count")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(types: &[(&str, &str)], period: (&str, &str), file_name: &str) -> Vec<String> {
        let mut strings = vec![String::new()];
        let mut index = |text: &str| {
            strings.push(text.to_owned());
            i64::try_from(strings.len()).unwrap() - 1
        };
        let mut value_type =
            |(kind, unit): (&str, &str)| ValueType { kind: index(kind), unit: index(unit) };
        let message = Message {
            sample_types: types.iter().copied().map(&mut value_type).collect(),
            period_type: Some(value_type(period)),
            strings: strings.into_iter().map(Into::into).collect(),
            ..Message::default()
        };
        let (columns, _) = columns(&message, file_name).unwrap();
        columns
            .iter()
            .map(|c| format!("{} {:?} {:?}", c.profile_type, c.kind, c.counted_by))
            .collect()
    }

    #[test]
    fn types_are_named_as_pyroscope_names_them() {
        let cpu = [("samples", "count"), ("cpu", "nanoseconds")];
        assert_eq!(
            named(&cpu, ("cpu", "nanoseconds"), ""),
            [
                "process_cpu:samples:count:cpu:nanoseconds Delta Some(0)",
                "process_cpu:cpu:nanoseconds:cpu:nanoseconds Delta Some(0)",
            ]
        );
        let heap = [
            ("alloc_objects", "count"),
            ("alloc_space", "bytes"),
            ("inuse_objects", "count"),
            ("inuse_space", "bytes"),
        ];
        assert_eq!(
            named(&heap, ("space", "bytes"), ""),
            [
                "memory:alloc_objects:count:space:bytes Cumulative Some(0)",
                "memory:alloc_space:bytes:space:bytes Cumulative Some(0)",
                "memory:inuse_objects:count:space:bytes Gauge Some(2)",
                "memory:inuse_space:bytes:space:bytes Gauge Some(2)",
            ]
        );
        let lock = [("contentions", "count"), ("delay", "nanoseconds")];
        assert_eq!(
            named(&lock, ("contentions", "count"), "web.block.pb.gz")[1],
            "block:delay:nanoseconds:contentions:count Cumulative Some(0)"
        );
        assert!(named(&lock, ("contentions", "count"), "")[0].starts_with("mutex:contentions"));
        let goroutine = [("goroutine", "count")];
        assert_eq!(
            named(&goroutine, ("goroutine", "count"), ""),
            ["goroutine:goroutine:count:goroutine:count Gauge Some(0)"]
        );
    }

    #[test]
    fn odd_types_stay_apart_and_are_words() {
        let odd = [("a-b", "x y"), ("a.b", "x/y"), ("", "")];
        assert_eq!(
            named(&odd, ("", ""), ""),
            [
                "custom:a_b:x_y:a_b:x_y Delta None",
                "custom:a_b_2:x_y:a_b:x_y Delta None",
                "custom:unknown:unknown:unknown:unknown Delta None",
            ]
        );
    }
}
