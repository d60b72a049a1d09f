//! Labels of samples: text or a number with a unit. Both become attributes; a number keeps its unit
//! after a space (`bytes="512 bytes"` says so twice, so a unit that is the key is left out).

use stoker_dag::LabelSet;

use super::message::{Message, malformed};
use super::wire::{Fields, Value, WireError, signed};
use crate::error::{Place, ReadError};
use crate::import::{Notes, cut};
use crate::limits::Limits;

#[derive(Default)]
struct Label {
    key: i64,
    text: i64,
    number: i64,
    unit: i64,
}

/// The label set of one sample. Several values of one key are joined by commas.
pub(super) fn set(
    message: &Message<'_>,
    labels: &[&[u8]],
    limits: &Limits,
    notes: &mut Notes,
    place: impl Fn() -> Place,
) -> Result<LabelSet, ReadError> {
    let mut pairs: Vec<(String, String)> = Vec::with_capacity(labels.len());
    for bytes in labels {
        let label = Label::parse(bytes).map_err(|error| malformed(place(), error.problem()))?;
        let key = message.text(label.key, &place)?;
        let value = label.value(message, key, &place)?;
        let (key, value) = (cut(key, limits, notes), cut(&value, limits, notes));
        let has_room = pairs.len() < limits.labels;
        match pairs.iter_mut().find(|(held, _)| *held == key) {
            Some((_, held)) if held.len() + value.len() < limits.name_bytes => {
                held.push(',');
                held.push_str(&value);
            }
            None if has_room => {
                pairs.push((key.into_owned(), value.into_owned()));
            }
            _ => notes.lost_labels += 1,
        }
    }
    Ok(LabelSet::new(pairs))
}

impl Label {
    fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let mut parsed = Self::default();
        let mut fields = Fields::new(bytes);
        while let Some(field) = fields.next()? {
            match field {
                (1, Value::Varint(value)) => parsed.key = signed(value),
                (2, Value::Varint(value)) => parsed.text = signed(value),
                (3, Value::Varint(value)) => parsed.number = signed(value),
                (4, Value::Varint(value)) => parsed.unit = signed(value),
                _ => {}
            }
        }
        Ok(parsed)
    }

    fn value(
        &self,
        message: &Message<'_>,
        key: &str,
        place: &impl Fn() -> Place,
    ) -> Result<String, ReadError> {
        if self.text != 0 {
            return message.text(self.text, place).map(str::to_owned);
        }
        let unit = message.text(self.unit, place)?;
        Ok(if unit.is_empty() || unit == key {
            self.number.to_string()
        } else {
            format!("{} {unit}", self.number)
        })
    }
}
