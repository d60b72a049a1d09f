//! Sources as people write them: a selector, with its range behind an `@`:
//! `'cpu{service_name="api"}@now-2h..now-1h'`. Files come later and are refused by name.

use std::path::Path;
use std::str::FromStr;

use stoker_server::query::Selector;

use crate::failure::Failure;

/// A selector and, where it has one, its range; times are read by the server, by its own clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Which rows.
    pub selector: Selector,
    /// From and until.
    pub range: Option<(String, String)>,
}

/// What a wrong source is answered with; clap shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceError(String);

impl std::fmt::Display for SourceError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SourceError {}

impl FromStr for Source {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        let (selector, range) = match range_start(text) {
            Some(at) => (&text[..at], Some(range(&text[at + 1..])?)),
            None => (text, None),
        };
        match Selector::parse(selector) {
            Ok(selector) => Ok(Self { selector, range }),
            Err(_) if Path::new(text).exists() => Err(SourceError(format!(
                "{text} is a file, and this version reads from servers only: give a selector such \
                 as 'cpu{{service_name=\"api\"}}'"
            ))),
            Err(error) => Err(SourceError(format!("{error}\n hint: {}", error.hint))),
        }
    }
}

/// Where the `@` of the range stands: outside of quotes.
fn range_start(text: &str) -> Option<usize> {
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(open) if c == open => quote = None,
            Some(open) => escaped = c == '\\' && open != '`',
            None if c == '@' => return Some(at),
            None if matches!(c, '"' | '\'' | '`') => quote = Some(c),
            None => {}
        }
    }
    None
}

fn range(text: &str) -> Result<(String, String), SourceError> {
    let wrong = || {
        let example = "write it like cpu@now-2h..now-1h; an open end means now";
        SourceError(format!("{text:?} is no range\n hint: {example}"))
    };
    let (from, until) = text.split_once("..").ok_or_else(wrong)?;
    if from.is_empty() {
        return Err(wrong());
    }
    let until = if until.is_empty() { "now" } else { until };
    Ok((from.to_owned(), until.to_owned()))
}

/// A range from a source and from flags, which must not both say something.
pub fn merged_range(
    source: &Source,
    from: Option<&str>,
    until: Option<&str>,
) -> Result<Vec<(&'static str, String)>, Failure> {
    if let Some((start, end)) = &source.range {
        if from.is_some() || until.is_some() {
            let message = "the range is given twice: behind @ and as --from or --until";
            return Err(Failure::new(message, "leave one of them out"));
        }
        return Ok(vec![("from", start.clone()), ("until", end.clone())]);
    }
    let given = [("from", from), ("until", until)];
    let given = given.into_iter();
    Ok(given.filter_map(|(name, text)| Some((name, text?.to_owned()))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_stand_behind_the_selector() {
        for (text, selector, range) in [
            ("cpu", "cpu", None),
            ("cpu@now-2h..now-1h", "cpu", Some(("now-2h", "now-1h"))),
            ("cpu@now-2h..", "cpu", Some(("now-2h", "now"))),
            ("cpu{a=\"x@y\\\"@\",b=`\\`}@1..2", "cpu{a=\"x@y\\\"@\",b=\"\\\\\"}", Some(("1", "2"))),
        ] {
            let source: Source = text.parse().unwrap();
            assert_eq!(source.selector.to_string(), selector);
            let wanted = range.map(|(from, until)| (from.to_owned(), until.to_owned()));
            assert_eq!(source.range, wanted);
        }
    }

    #[test]
    fn what_is_no_source_is_said() {
        for (text, wanted) in [
            ("cpu@now-2h", "\"now-2h\" is no range"),
            ("cpu@..now", "is no range"),
            ("cpu{a=b}", "character 7"),
            ("Cargo.toml", "is a file"),
        ] {
            let error = text.parse::<Source>().unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }

    #[test]
    fn a_range_is_given_once() {
        let with: Source = "cpu@1..2".parse().unwrap();
        let without: Source = "cpu".parse().unwrap();
        assert!(merged_range(&with, Some("3"), None).is_err());
        let range = merged_range(&without, None, Some("4")).unwrap();
        assert_eq!(range, [("until", "4".to_owned())]);
    }
}
