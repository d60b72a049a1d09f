//! What there is to ask about: profile types, labels, their values, series.
//!
//! All of it is told from rows of the range, never from a dictionary: a label of which the range
//! holds no sample is not listed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;
use stoker_dag::{LabelSet, ProfileType, SampleRow};
use stoker_wire::Dictionary;

use super::error::QueryError;
use super::scan::{scan, unknown_label};
use super::selector::value_of;
use super::sink::{Sink, SummedStacks};
use super::{Engine, Query};
use crate::store::{GROUP_LABEL, WindowRows};

/// A profile type, as `docs/api.md` describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProfileTypeEntry {
    /// The long name.
    pub id: String,
    /// The short name, or the long one.
    pub short: String,
    /// What values are in.
    pub unit: String,
    /// How values come about.
    pub kind: &'static str,
}

/// Profile types, in order of their long names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProfileTypes {
    /// The types.
    pub profile_types: Vec<ProfileTypeEntry>,
}

/// Names of labels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Labels {
    /// In order.
    pub labels: Vec<String>,
    /// Start of the range.
    pub from_ms: u64,
    /// End of the range.
    pub until_ms: u64,
}

/// Values of one label.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Values {
    /// In order.
    pub values: Vec<String>,
    /// Start of the range.
    pub from_ms: u64,
    /// End of the range.
    pub until_ms: u64,
}

/// One series.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct SeriesEntry {
    /// What values count.
    pub profile_type: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// All series that a query selects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SeriesList {
    /// In order of type, then labels.
    pub series: Vec<SeriesEntry>,
    /// Start of the range.
    pub from_ms: u64,
    /// End of the range.
    pub until_ms: u64,
}

/// The profile types that the range holds samples of, and `cpu`, which every agent records.
///
/// # Errors
/// When a limit bites, the query is cancelled, or the store cannot be read.
pub fn profile_types(engine: Engine<'_>, query: &Query) -> Result<ProfileTypes, QueryError> {
    let pairs = selected(engine, query)?;
    let mut types: BTreeSet<ProfileType> = pairs.into_iter().map(|(of, _, _)| of).collect();
    types.insert(ProfileType::cpu());
    let entry = |of: &ProfileType| ProfileTypeEntry {
        id: of.to_string(),
        short: of.short().to_owned(),
        unit: of.unit().to_owned(),
        kind: "delta",
    };
    Ok(ProfileTypes { profile_types: types.iter().map(entry).collect() })
}

/// The names of labels and attributes of selected rows.
///
/// # Errors
/// As [`profile_types`].
pub fn labels(engine: Engine<'_>, query: &Query) -> Result<Labels, QueryError> {
    let pairs = selected(engine, query)?;
    Ok(Labels {
        labels: names_of(&pairs).iter().map(ToString::to_string).collect(),
        from_ms: query.from_ms(),
        until_ms: query.until_ms(),
    })
}

/// The values that a label or attribute has on selected rows.
///
/// # Errors
/// As [`profile_types`], and when no selected row has the label.
pub fn values(engine: Engine<'_>, query: &Query, name: &str) -> Result<Values, QueryError> {
    let pairs = selected(engine, query)?;
    let values: BTreeSet<&str> = pairs
        .iter()
        .map(|(_, series, attributes)| value_of(name, series, attributes))
        .filter(|value| !value.is_empty())
        .collect();
    if values.is_empty() {
        return Err(unknown_label(name, &names_of(&pairs)));
    }
    Ok(Values {
        values: values.into_iter().map(str::to_owned).collect(),
        from_ms: query.from_ms(),
        until_ms: query.until_ms(),
    })
}

/// The series of selected rows.
///
/// # Errors
/// As [`profile_types`].
pub fn series(engine: Engine<'_>, query: &Query) -> Result<SeriesList, QueryError> {
    let pairs = selected(engine, query)?;
    let distinct: BTreeSet<SeriesEntry> = pairs
        .into_iter()
        .map(|(profile_type, series, _)| SeriesEntry {
            profile_type: profile_type.to_string(),
            labels: series
                .iter()
                .map(|(name, value)| (name.to_string(), value.to_string()))
                .collect(),
        })
        .collect();
    Ok(SeriesList {
        series: distinct.into_iter().collect(),
        from_ms: query.from_ms(),
        until_ms: query.until_ms(),
    })
}

type Kind = (ProfileType, LabelSet, LabelSet);

fn names_of(pairs: &BTreeSet<Kind>) -> BTreeSet<Arc<str>> {
    let sets = pairs.iter().flat_map(|(_, series, attributes)| [series, attributes]);
    let names = sets.flat_map(|set| set.iter().map(|(name, _)| Arc::clone(name)));
    // What stands for hosts in rollups is nobody's label.
    names.filter(|name| **name != *GROUP_LABEL).collect()
}

/// Every distinct (type, series, attributes) of selected rows.
fn selected(engine: Engine<'_>, query: &Query) -> Result<BTreeSet<Kind>, QueryError> {
    let mut sink = KindSink::default();
    scan(engine, query, &mut sink)?;
    Ok(sink.kinds)
}

#[derive(Default)]
struct KindSink {
    kinds: BTreeSet<Kind>,
    /// The pairs of this part; a class is an index into it.
    pairs: Vec<(LabelSet, LabelSet)>,
    /// The type under which each pair was noted last.
    noted: Vec<Option<ProfileType>>,
}

impl Sink for KindSink {
    fn enter(&mut self, _: &Dictionary) {
        self.pairs.clear();
        self.noted.clear();
    }

    fn class(&mut self, series: &LabelSet, attributes: &LabelSet) -> Result<u32, QueryError> {
        let class = u32::try_from(self.pairs.len()).expect("fewer than 2^32 pairs in a part");
        self.pairs.push((series.clone(), attributes.clone()));
        self.noted.push(None);
        Ok(class)
    }

    fn takes_sums(&self) -> bool {
        true
    }

    fn summed(&mut self, _: &Dictionary, stacks: SummedStacks<'_>, class: u32) {
        if !stacks.nodes.is_empty() {
            self.note(stacks.profile_type, class);
        }
    }

    fn row(&mut self, _: &Dictionary, window: &WindowRows, _: &SampleRow, class: u32) {
        self.note(&window.profile_type, class);
    }
}

impl KindSink {
    fn note(&mut self, profile_type: &ProfileType, class: u32) {
        let noted = &mut self.noted[class as usize];
        if noted.as_ref() != Some(profile_type) {
            *noted = Some(profile_type.clone());
            let (series, attributes) = self.pairs[class as usize].clone();
            self.kinds.insert((profile_type.clone(), series, attributes));
        }
    }
}
