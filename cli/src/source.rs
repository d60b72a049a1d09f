//! Sources as people write them: a selector, with its range behind an `@`:
//! `'cpu{service_name="api"}@now-2h..now-1h'`; a file; a glob; or several files.
//!
//! What can be read as a selector is one: a file of such a name is written with its folder,
//! `./cpu`.

use std::path::{Path, PathBuf};

use stoker_server::query::Selector;

use crate::failure::Failure;

/// Where profiles come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A server.
    Selection(Selection),
    /// Files, at least one; `-` is standard input.
    Files(Vec<PathBuf>),
}

/// A selector and, where it has one, its range; times are read by the server, by its own clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// Which rows.
    pub selector: Selector,
    /// From and until.
    pub range: Option<(String, String)>,
}

impl Source {
    /// Reads one or several words; several must be files.
    pub fn read<S: AsRef<str>>(words: &[S]) -> Result<Self, Failure> {
        if let [word] = words {
            return Self::one(word.as_ref());
        }
        let mut files = Vec::new();
        for word in words {
            match Self::one(word.as_ref())? {
                Self::Files(mut found) => files.append(&mut found),
                Self::Selection(selection) => {
                    let message = format!("{} stands beside other sources", selection.selector);
                    return Err(Failure::new(message, "give one selector, or files only"));
                }
            }
        }
        Ok(Self::Files(files))
    }

    fn one(text: &str) -> Result<Self, Failure> {
        let wrong = match Selection::read(text) {
            Ok(selection) => return Ok(Self::Selection(selection)),
            Err(wrong) => wrong,
        };
        let path = Path::new(text);
        if text == "-" || (path.exists() && !path.is_dir()) {
            return Ok(Self::Files(vec![path.to_owned()]));
        }
        if path.is_dir() {
            let hint = format!("give its files: '{}/*'", text.trim_end_matches('/'));
            return Err(Failure::new(format!("{text} is a folder"), hint));
        }
        if looks_like_path(text) {
            let files = expand(text)?;
            if !files.is_empty() {
                return Ok(Self::Files(files));
            }
            let hint = "give a file, a glob in quotes, or a selector such as \
                        'cpu{service_name=\"api\"}@now-2h..now-1h'";
            return Err(Failure::new(format!("there is no file {text}"), hint));
        }
        Err(wrong)
    }
}

/// Whether a text that is no selector was meant as a file's name.
fn looks_like_path(text: &str) -> bool {
    let before_braces = text.split(['{', '@']).next().unwrap_or_default();
    before_braces.contains(['/', '.', '*', '?'])
}

/// The files that a glob means, in order of name.
pub fn expand(pattern: &str) -> Result<Vec<PathBuf>, Failure> {
    let found = glob::glob(pattern).map_err(|error| {
        let message = format!("{pattern:?} is no glob: {}", error.msg);
        Failure::new(message, "* and ? stand for any characters, [ab] for one of them")
    })?;
    let files = found.filter_map(Result::ok).filter(|path| !path.is_dir());
    Ok(files.collect())
}

impl Selection {
    /// Reads a selector with or without a range.
    pub fn read(text: &str) -> Result<Self, Failure> {
        let (selector, range) = match range_start(text) {
            Some(at) => (&text[..at], Some(range(&text[at + 1..])?)),
            None => (text, None),
        };
        let selector = Selector::parse(selector)
            .map_err(|error| Failure::new(error.to_string(), error.hint))?;
        Ok(Self { selector, range })
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

fn range(text: &str) -> Result<(String, String), Failure> {
    let wrong = || {
        let example = "write it like cpu@now-2h..now-1h; an open end means now";
        Failure::new(format!("{text:?} is no range"), example)
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
    source: &Selection,
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
            let selection = Selection::read(text).unwrap();
            assert_eq!(selection.selector.to_string(), selector);
            let wanted = range.map(|(from, until)| (from.to_owned(), until.to_owned()));
            assert_eq!(selection.range, wanted);
        }
    }

    #[test]
    fn what_is_no_source_is_said() {
        for (text, wanted) in [
            ("cpu@now-2h", "\"now-2h\" is no range"),
            ("cpu@..now", "is no range"),
            ("cpu{a=b}", "character 7"),
            ("nowhere.pb.gz", "there is no file nowhere.pb.gz"),
            ("nowhere/*.pb.gz", "there is no file"),
            ("src", "is a folder"),
            ("src/[", "no glob"),
        ] {
            let failure = Source::read(&[text]).unwrap_err();
            assert!(failure.text().0.contains(wanted), "{failure:?}");
        }
        let failure = Source::read(&["cpu", "Cargo.toml"]).unwrap_err();
        assert!(failure.text().1.contains("files only"));
    }

    #[test]
    fn files_and_globs_are_files() {
        let files = |words: &[&str]| match Source::read(words) {
            Ok(Source::Files(files)) => files.len(),
            other => panic!("{words:?}: {other:?}"),
        };
        assert_eq!(files(&["Cargo.toml"]), 1);
        assert_eq!(files(&["Cargo.toml", "src/main.rs"]), 2);
        assert_eq!(files(&["src/mai?.rs"]), 1);
        assert_eq!(files(&["-"]), 1);
    }

    #[test]
    fn a_range_is_given_once() {
        let with = Selection::read("cpu@1..2").unwrap();
        let without = Selection::read("cpu").unwrap();
        assert!(merged_range(&with, Some("3"), None).is_err());
        let range = merged_range(&without, None, Some("4")).unwrap();
        assert_eq!(range, [("until", "4".to_owned())]);
    }
}
