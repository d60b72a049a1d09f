//! Parameters of a request. Nothing is guessed: what is not known, stands twice or does not parse is
//! an error that names the parameter.

use std::time::SystemTime;

use stoker_dag::UnixNanos;

use super::error::ApiError;
use crate::query::{Query, QueryError, Selector, time};

/// The parameters that have not been read yet.
pub(super) struct Params {
    left: Vec<(String, String)>,
    known: Vec<&'static str>,
}

impl Params {
    /// Takes the part of an address behind `?`.
    pub(super) fn read(raw: Option<&str>) -> Result<Self, ApiError> {
        let uri = format!("/?{}", raw.unwrap_or_default());
        let parsed = uri
            .parse()
            .ok()
            .and_then(|uri| axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&uri).ok());
        let Some(axum::extract::Query(left)) = parsed else {
            let hint = "encode names and values, for example with curl --data-urlencode";
            return Err(ApiError::parameter("the parameters cannot be read", hint));
        };
        Ok(Self { left, known: Vec::new() })
    }

    /// The value of a parameter; an empty one is none.
    pub(super) fn text(&mut self, name: &'static str) -> Result<Option<String>, ApiError> {
        self.known.push(name);
        let mut found = None;
        while let Some(at) = self.left.iter().position(|(held, _)| held == name) {
            let (_, value) = self.left.swap_remove(at);
            if found.replace(value).is_some() {
                let message = format!("the parameter {name} stands more than once");
                return Err(ApiError::parameter(message, "give it once"));
            }
        }
        Ok(found.filter(|value| !value.is_empty()))
    }

    /// A number, or `default`.
    pub(super) fn number(&mut self, name: &'static str, default: usize) -> Result<usize, ApiError> {
        let Some(text) = self.text(name)? else {
            return Ok(default);
        };
        text.parse().map_err(|_| {
            let message = format!("{name}={text:.40?} is no whole number");
            ApiError::parameter(message, format!("leave it out for {default}"))
        })
    }

    /// A path from the root of a flame graph; an empty one is the root.
    pub(super) fn path(&mut self, name: &'static str) -> Result<Vec<u32>, ApiError> {
        let text = self.text(name)?.unwrap_or_default();
        stoker_analysis::path::parse(&text).ok_or_else(|| {
            let hint = "a path is what the viewer's links have as zoom: six characters a step";
            ApiError::parameter(format!("{name}={text:.40?} is no path"), hint)
        })
    }

    /// One of several words, or the first.
    pub(super) fn choice<T: Copy>(
        &mut self,
        name: &'static str,
        choices: &[(&'static str, T)],
    ) -> Result<T, ApiError> {
        let Some(text) = self.text(name)? else {
            return Ok(choices[0].1);
        };
        let found = choices.iter().find(|(word, _)| *word == text);
        found.map(|(_, value)| *value).ok_or_else(|| {
            let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
            let hint = format!("it is one of {}", words.join(", "));
            ApiError::parameter(format!("{name}={text:.40?} is not known"), hint)
        })
    }

    /// `query`, `from` and `until`. Without `query` everything is selected.
    pub(super) fn query(&mut self) -> Result<Query, ApiError> {
        self.query_since("now-15m")
    }

    /// As [`Self::query`], with another default for `from`.
    pub(super) fn query_since(&mut self, since: &str) -> Result<Query, ApiError> {
        let now = now();
        let text = self.text("query")?.unwrap_or_default();
        let selector = Selector::parse(&text).map_err(QueryError::from)?;
        let from = self.text("from")?;
        let from = moment("from", from.as_deref().unwrap_or(since), now)?;
        let until = self.text("until")?;
        let until = moment("until", until.as_deref().unwrap_or("now"), now)?;
        Ok(Query::new(selector, from, until)?)
    }

    /// As [`Self::query`], where there is no answer without a selector.
    pub(super) fn required_query(&mut self) -> Result<Query, ApiError> {
        let given = self.left.iter().any(|(name, text)| name == "query" && !text.is_empty());
        if !given {
            let hint = "add query=cpu, or query=cpu{service_name=\"api\"} (encoded)";
            return Err(ApiError::parameter("the parameter query is missing", hint));
        }
        self.query()
    }

    /// What `new` is compared with: `base`, `base_from`, `base_until`, each by default that of `new`.
    pub(super) fn base_query(&mut self, new: &Query) -> Result<Query, ApiError> {
        let now = now();
        let text = self.text("base")?;
        let selector = match &text {
            Some(text) => Selector::parse(text).map_err(QueryError::from)?,
            None => new.selector.clone(),
        };
        let mut at = |name: &'static str, default: UnixNanos| match self.text(name)? {
            Some(text) => moment(name, &text, now),
            None => Ok(default),
        };
        let from = at("base_from", new.range.from())?;
        let until = at("base_until", new.range.until())?;
        Ok(Query::new(selector, from, until)?)
    }

    /// `base` and `new`, each with its own range, or else that of `from` and `until`.
    pub(super) fn two_queries(&mut self) -> Result<(Query, Query), ApiError> {
        let now = now();
        let from = self.text("from")?.unwrap_or_else(|| "now-15m".to_owned());
        let until = self.text("until")?.unwrap_or_else(|| "now".to_owned());
        let mut side = |names: [&'static str; 3]| {
            let Some(text) = self.text(names[0])? else {
                let hint = "add base= and new=, such as cpu{version=\"1.5\"} (encoded)";
                let message = format!("the parameter {} is missing", names[0]);
                return Err(ApiError::parameter(message, hint));
            };
            let selector = Selector::parse(&text).map_err(QueryError::from)?;
            let own_from = self.text(names[1])?;
            let own_until = self.text(names[2])?;
            let from = moment(names[1], own_from.as_deref().unwrap_or(&from), now)?;
            let until = moment(names[2], own_until.as_deref().unwrap_or(&until), now)?;
            Ok(Query::new(selector, from, until)?)
        };
        let base = side(["base", "base_from", "base_until"])?;
        let new = side(["new", "new_from", "new_until"])?;
        Ok((base, new))
    }

    /// All that was not read yet.
    pub(super) fn rest(self) -> Vec<(String, String)> {
        self.left
    }

    /// Makes sure that every parameter was read.
    pub(super) fn finish(mut self) -> Result<(), ApiError> {
        let Some((name, _)) = self.left.pop() else {
            return Ok(());
        };
        let name: String = name.chars().take(64).collect();
        let hint = match self.known.is_empty() {
            true => "this endpoint has no parameters".to_owned(),
            false => format!("this endpoint knows {}", self.known.join(", ")),
        };
        Err(ApiError::parameter(format!("the parameter {name:?} is not known"), hint))
    }
}

pub(super) fn moment(name: &str, text: &str, now: UnixNanos) -> Result<UnixNanos, ApiError> {
    time::moment(text, now).map_err(|mut error| {
        error.message = format!("{name}: {}", error.message);
        QueryError::from(error).into()
    })
}

pub(super) fn now() -> UnixNanos {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let nanos = since.map_or(0, |since| since.as_nanos());
    UnixNanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}
