//! Tables as Apache Parquet, which pandas, DuckDB, Spark and their like read. One file is one table
//! of flat columns; texts are dictionaries, all of it is zstd.
//!
//! Behind the feature `parquet`, because the encoder is heavy to build.

use std::io::{self, Write};
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical, ZstdLevel};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{Type, TypePtr};
use rustc_hash::FxHashMap;

use crate::WriteError;

/// Rows of a row group: what a reader takes at a time.
const ROW_GROUP: usize = 1 << 20;

/// A table: columns of one length.
#[derive(Debug, Default)]
pub struct Table {
    columns: Vec<(String, Column)>,
    rows: usize,
}

/// The values of one column.
#[derive(Debug)]
pub enum Column {
    /// Texts; an empty one is null.
    Text(Texts),
    /// Whole numbers.
    Whole(Vec<u64>),
    /// Other numbers.
    Number(Vec<Option<f64>>),
    /// Moments, in Unix nanoseconds, UTC.
    Time(Vec<u64>),
}

/// Texts that repeat.
#[derive(Debug, Default)]
pub struct Texts {
    distinct: Vec<Arc<str>>,
    index: FxHashMap<Arc<str>, u32>,
    values: Vec<u32>,
}

impl Texts {
    /// Adds a text.
    pub fn push(&mut self, text: &str) {
        let at = match self.index.get(text) {
            Some(known) => *known,
            None => {
                let text: Arc<str> = text.into();
                let next = u32::try_from(self.distinct.len()).unwrap_or(u32::MAX);
                self.distinct.push(Arc::clone(&text));
                self.index.insert(text, next);
                next
            }
        };
        self.values.push(at);
    }
}

impl<'a> FromIterator<&'a str> for Texts {
    fn from_iter<I: IntoIterator<Item = &'a str>>(all: I) -> Self {
        let mut texts = Self::default();
        all.into_iter().for_each(|text| texts.push(text));
        texts
    }
}

impl Column {
    fn len(&self) -> usize {
        match self {
            Self::Text(texts) => texts.values.len(),
            Self::Whole(values) | Self::Time(values) => values.len(),
            Self::Number(values) => values.len(),
        }
    }

    fn schema(&self, name: &str) -> Result<TypePtr, ParquetError> {
        let (physical, logical, repetition) = match self {
            Self::Text(_) => {
                (Physical::BYTE_ARRAY, Some(LogicalType::String), Repetition::OPTIONAL)
            }
            Self::Whole(_) => {
                (Physical::INT64, Some(LogicalType::integer(64, false)), Repetition::REQUIRED)
            }
            Self::Number(_) => (Physical::DOUBLE, None, Repetition::OPTIONAL),
            Self::Time(_) => {
                let logical = LogicalType::timestamp(true, TimeUnit::NANOS);
                (Physical::INT64, Some(logical), Repetition::REQUIRED)
            }
        };
        let column = Type::primitive_type_builder(name, physical).with_repetition(repetition);
        Ok(Arc::new(column.with_logical_type(logical).build()?))
    }

    fn write(
        &self,
        (from, until): (usize, usize),
        to: &mut ColumnWriter<'_>,
    ) -> Result<(), ParquetError> {
        let whole = |values: &[u64]| values[from..until].iter().map(|n| n.cast_signed()).collect();
        match (self, to) {
            (Self::Text(texts), ColumnWriter::ByteArrayColumnWriter(to)) => {
                let distinct: Vec<ByteArray> =
                    texts.distinct.iter().map(|text| text.as_bytes().to_vec().into()).collect();
                let values = || texts.values[from..until].iter().map(|at| &distinct[*at as usize]);
                let there: Vec<ByteArray> = values().filter(|v| !v.is_empty()).cloned().collect();
                let levels: Vec<i16> = values().map(|v| i16::from(!v.is_empty())).collect();
                to.write_batch(&there, Some(&levels), None)?;
            }
            (Self::Whole(values) | Self::Time(values), ColumnWriter::Int64ColumnWriter(to)) => {
                let values: Vec<i64> = whole(values);
                to.write_batch(&values, None, None)?;
            }
            (Self::Number(values), ColumnWriter::DoubleColumnWriter(to)) => {
                let values = &values[from..until];
                let there: Vec<f64> = values.iter().copied().flatten().collect();
                let levels: Vec<i16> = values.iter().map(|v| i16::from(v.is_some())).collect();
                to.write_batch(&there, Some(&levels), None)?;
            }
            _ => return Err(ParquetError::General("a column has another type".to_owned())),
        }
        Ok(())
    }
}

impl Table {
    /// Adds a column, of as many values as those before.
    ///
    /// # Panics
    /// When it has more or fewer.
    pub fn push(&mut self, name: impl Into<String>, column: Column) {
        assert!(self.columns.is_empty() || self.rows == column.len(), "columns of one length");
        self.rows = column.len();
        self.columns.push((name.into(), column));
    }
}

/// Writes a table.
///
/// # Errors
/// When `out` cannot be written.
pub fn write(table: &Table, out: &mut (impl Write + Send)) -> Result<(), WriteError> {
    let written = || -> Result<(), ParquetError> {
        let fields: Result<Vec<TypePtr>, ParquetError> =
            table.columns.iter().map(|(name, column)| column.schema(name)).collect();
        let schema = Type::group_type_builder("stoker").with_fields(fields?).build()?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_created_by("stoker".to_owned())
            .build();
        let mut file = SerializedFileWriter::new(out, Arc::new(schema), Arc::new(properties))?;
        for from in (0..table.rows).step_by(ROW_GROUP) {
            let until = (from + ROW_GROUP).min(table.rows);
            let mut group = file.next_row_group()?;
            for (_, column) in &table.columns {
                let Some(mut to) = group.next_column()? else { break };
                column.write((from, until), to.untyped())?;
                to.close()?;
            }
            group.close()?;
        }
        file.close()?;
        Ok(())
    };
    written().map_err(|error| match error {
        ParquetError::External(error) => match error.downcast::<io::Error>() {
            Ok(error) => WriteError::Io(*error),
            Err(error) => WriteError::Io(io::Error::other(error)),
        },
        error => WriteError::Io(io::Error::other(error)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use parquet::file::reader::{FileReader, SerializedFileReader};

    fn table(rows: usize) -> Table {
        let mut table = Table::default();
        let texts = ["a", "", "b\u{1b};\""];
        table.push("text", Column::Text((0..rows).map(|n| texts[n % 3]).collect()));
        table.push("whole", Column::Whole((0..rows as u64).map(|n| u64::MAX - n).collect()));
        table.push(
            "number",
            Column::Number((0..rows).map(|n| (n % 2 == 0).then_some(0.5)).collect()),
        );
        table.push("time", Column::Time(vec![1_760_000_000_000_000_001; rows]));
        table
    }

    fn lines(rows: usize) -> Vec<String> {
        let mut bytes = Vec::new();
        write(&table(rows), &mut bytes).unwrap();
        let file = SerializedFileReader::new(bytes::Bytes::from(bytes)).unwrap();
        file.get_row_iter(None).unwrap().map(|row| row.unwrap().to_string()).collect()
    }

    #[test]
    fn a_table_is_read_back() {
        let lines = lines(3);
        assert_eq!(
            lines[0],
            "{text: \"a\", whole: 18446744073709551615, number: 0.5, time: 1760000000000000001}"
        );
        assert!(lines[1].contains("text: null") && lines[1].contains("number: null"), "{lines:?}");
    }

    #[test]
    fn a_table_may_be_empty() {
        assert!(lines(0).is_empty());
    }
}
