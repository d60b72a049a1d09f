//! What the address of a push says: labels, and the range that the rows lie in.

use axum::http::StatusCode;
use stoker_dag::{LabelSet, UnixNanos};
use stoker_formats::Imported;

use crate::http::error::ApiError;
use crate::http::params::{Params, now};
use crate::ingest::MAX_FUTURE;
use crate::query::{QueryError, time};

/// Labels of one push.
const MAX_LABELS: usize = 32;
/// Bytes of a label's name and of its value.
const MAX_LABEL: (usize, usize) = (128, 1024);

/// What the address says.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) from: Option<UnixNanos>,
    pub(super) until: Option<UnixNanos>,
    pub(super) series: LabelSet,
    /// Labels and range as they were given.
    pub(super) given: Vec<(String, String)>,
}

impl Asked {
    pub(super) fn read(raw: Option<&str>) -> Result<Self, ApiError> {
        let mut params = Params::read(raw)?;
        let mut given = Vec::new();
        let asked_at = now();
        let mut moment = |name: &'static str| -> Result<Option<UnixNanos>, ApiError> {
            let Some(text) = params.text(name)? else { return Ok(None) };
            let at = time::moment(&text, asked_at).map_err(|mut error| {
                error.message = format!("{name}: {}", error.message);
                ApiError::from(QueryError::from(error))
            })?;
            given.push((name.to_owned(), text));
            Ok(Some(at))
        };
        let (from, until) = (moment("from")?, moment("until")?);
        let mut labels = params.rest();
        labels.sort();
        check_labels(&labels)?;
        let series = LabelSet::new(labels.iter().map(|(n, v)| (n.as_str(), v.as_str())));
        given.append(&mut labels);
        Ok(Self { from, until, series, given })
    }

    /// Over how long the rows are spread: the range, where its length does not depend on the time of
    /// the push, so that one that is repeated is cut the same way; else the profile's own length.
    pub(super) fn length_ns(&self, imported: &Imported, range: (UnixNanos, UnixNanos)) -> u64 {
        let text = |wanted: &str| self.given.iter().find(|(name, _)| name == wanted);
        match (text("from"), text("until")) {
            (Some((_, from)), Some((_, until))) if is_relative(from) == is_relative(until) => {
                range.1.0 - range.0.0
            }
            _ => imported.default_profile().duration_ns,
        }
    }

    /// The range that the rows lie in.
    pub(super) fn range(
        &self,
        imported: &Imported,
        now: UnixNanos,
    ) -> Result<(UnixNanos, UnixNanos), ApiError> {
        let profile = imported.default_profile();
        let length = profile.duration_ns.max(1);
        let from = match (self.from, self.until) {
            (Some(from), _) => from,
            (None, Some(until)) => UnixNanos(until.0.saturating_sub(length)),
            (None, None) => profile.start.unwrap_or(UnixNanos(now.0.saturating_sub(length))),
        };
        let until = self.until.unwrap_or(UnixNanos(from.0.saturating_add(length)));
        let future = u64::try_from(MAX_FUTURE.as_nanos()).unwrap_or(u64::MAX);
        if from >= until {
            let message = "`from` is not before `until`";
            return Err(ApiError::new(
                StatusCode::BAD_REQUEST,
                "bad_time",
                message,
                "exchange them",
            ));
        }
        if from.0 > now.0.saturating_add(future) {
            let message = format!("the profile begins in the future, at {}", time::rfc(from));
            let hint = "set the clock of the machine that took it, or say from= and until=";
            return Err(ApiError::new(StatusCode::BAD_REQUEST, "from_the_future", message, hint));
        }
        Ok((from, until))
    }
}

/// Whether a moment is told by its distance from now.
fn is_relative(text: &str) -> bool {
    text.trim_start().starts_with("now")
}

fn check_labels(labels: &[(String, String)]) -> Result<(), ApiError> {
    let is_name = |name: &str| {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '/');
        let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        starts && name.len() <= MAX_LABEL.0 && name.chars().all(fits)
    };
    for (at, (name, value)) in labels.iter().enumerate() {
        if !is_name(name) {
            let hint = "every parameter but from and until is a label, such as service_name=api";
            return Err(ApiError::parameter(format!("{name:.64?} is no name of a label"), hint));
        }
        if value.len() > MAX_LABEL.1 {
            let message = format!("the value of {name} has more than {} bytes", MAX_LABEL.1);
            return Err(ApiError::parameter(message, "shorten it"));
        }
        if at > 0 && labels[at - 1].0 == *name {
            let message = format!("the label {name} stands more than once");
            return Err(ApiError::parameter(message, "give it once"));
        }
    }
    if labels.len() > MAX_LABELS {
        let message = format!("there are {} labels, more than {MAX_LABELS}", labels.len());
        return Err(ApiError::parameter(message, "leave some out"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_labels_and_ranges_are_refused() {
        for (raw, wanted) in
            [("a%20b=1", "no name"), ("a=1&a=2", "more than once"), ("from=monday", "from: ")]
        {
            let refused = Asked::read(Some(raw)).unwrap_err();
            assert!(format!("{refused:?}").contains(wanted), "{refused:?}");
        }
        let asked = Asked::read(Some("b=2&from=10&a=1&until=20")).unwrap();
        assert_eq!(asked.series.to_string(), r#"{a="1",b="2"}"#);
        assert_eq!(
            (asked.from, asked.until),
            (Some(UnixNanos(10_000_000_000)), Some(UnixNanos(20_000_000_000)))
        );
    }
}
