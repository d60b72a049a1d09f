//! Search over everything that a selector selects, pruned nowhere.

use regex::{Regex, RegexBuilder};
use serde::Serialize;

use super::error::QueryError;
use super::top::TopEntry;
use super::{Engine, Query, fold};

/// Bytes of what is searched for.
const MAX_TERM_BYTES: usize = 12 << 10;
/// Bytes that a compiled regular expression may take.
const MAX_REGEX_MEMORY_BYTES: usize = 1 << 20;

/// What is searched for.
#[derive(Debug, Clone)]
pub enum SearchFor {
    /// A part of a name, in lower case; case does not matter.
    Text(String),
    /// A whole name.
    Exact(String),
    /// A part of a name that an expression describes.
    Regex(Regex),
}

impl SearchFor {
    /// Names with this text in them.
    ///
    /// # Errors
    /// With one sentence, when the term is too long.
    pub fn text(term: &str) -> Result<Self, String> {
        bounded(term).map(|term| Self::Text(term.to_lowercase()))
    }

    /// This name.
    ///
    /// # Errors
    /// With one sentence, when the term is too long.
    pub fn exact(term: &str) -> Result<Self, String> {
        bounded(term).map(|term| Self::Exact(term.to_owned()))
    }

    /// Names that the regular expression matches, not anchored.
    ///
    /// # Errors
    /// With one sentence, when it does not compile or is too large.
    pub fn regex(term: &str) -> Result<Self, String> {
        let built = RegexBuilder::new(bounded(term)?)
            .size_limit(MAX_REGEX_MEMORY_BYTES)
            .dfa_size_limit(MAX_REGEX_MEMORY_BYTES)
            .nest_limit(64)
            .build();
        built.map(Self::Regex).map_err(|error| {
            let text = error.to_string();
            let reason = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
            format!("the regular expression does not compile: {reason}")
        })
    }

    fn matches(&self, name: &str) -> bool {
        match self {
            Self::Text(text) => name.to_lowercase().contains(text),
            Self::Exact(text) => name == text,
            Self::Regex(regex) => regex.is_match(name),
        }
    }
}

fn bounded(term: &str) -> Result<&str, String> {
    match term.len() {
        0 => Err("there is nothing to search for".to_owned()),
        length if length > MAX_TERM_BYTES => {
            Err(format!("the term has {length} bytes, more than {MAX_TERM_BYTES}"))
        }
        _ => Ok(term),
    }
}

/// What was found, as `docs/api.md` describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SearchAnswer {
    /// The selector, as it was understood.
    pub query: String,
    /// What values count.
    pub profile_type: String,
    /// What values are in.
    pub unit: String,
    /// Start of the range.
    pub from_ms: u64,
    /// End of the range.
    pub until_ms: u64,
    /// The sum of all values that the selector selects.
    pub whole: u64,
    /// Value that ends in a match.
    #[serde(rename = "self")]
    pub self_value: u64,
    /// Value of all samples with a match on their stack, each counted once.
    pub total: u64,
    /// Boxes of the whole flame graph that match.
    pub boxes: usize,
    /// Functions that match, before `limit`.
    pub functions_total: usize,
    /// In order of falling self, then total, then name.
    pub functions: Vec<TopEntry>,
}

/// Searches, and lists the `limit` first functions; 0 lists all.
///
/// # Errors
/// When the selector names no profile type, a limit bites, the query is cancelled, or the store
/// cannot be read.
pub fn search(
    engine: Engine<'_>,
    query: &Query,
    term: &SearchFor,
    limit: usize,
) -> Result<SearchAnswer, QueryError> {
    let profile_type = super::top::required_type(query)?;
    let folded = fold(engine, query, None)?;
    let tree = stoker_analysis::call_tree(&folded.profile, &folded.modules);
    let found = stoker_analysis::search(&tree, |name| term.matches(name));
    let functions_total = found.functions.len();
    let kept = if limit == 0 { functions_total } else { limit };
    let functions = found.functions.into_iter().take(kept).map(|row| TopEntry {
        name: row.name,
        module: row.module,
        self_value: row.self_value,
        total: row.total,
    });
    Ok(SearchAnswer {
        query: query.selector.to_string(),
        profile_type: profile_type.to_string(),
        unit: profile_type.unit().to_owned(),
        from_ms: query.from_ms(),
        until_ms: query.until_ms(),
        whole: folded.profile.total(),
        self_value: found.self_value,
        total: found.total,
        boxes: found.boxes,
        functions_total,
        functions: functions.collect(),
    })
}
