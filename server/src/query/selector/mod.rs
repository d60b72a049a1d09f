//! Selectors: which rows a query is about, written as PromQL writes them.
//!
//! Pure. A text of bounded length becomes a [`Selector`] or an error that says where and what to
//! write instead; regular expressions have a bound on their compiled size and match whole values.
//! Printing a selector and reading it back gives the same selector.

mod parse;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use regex::Regex;
use stoker_dag::{LabelSet, ProfileType};

/// The longest selector that is read.
pub const MAX_SELECTOR_BYTES: usize = 8 << 10;
/// The most matchers that a selector may have.
pub const MAX_MATCHERS: usize = 64;
/// The longest regular expression.
pub const MAX_REGEX_BYTES: usize = 2 << 10;
/// What a compiled regular expression may take.
pub const MAX_REGEX_MEMORY_BYTES: usize = 1 << 20;

/// Why a text is no selector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the selector does not parse at character {position}: {message}")]
pub struct SelectorError {
    /// The character at fault, counted from 1.
    pub position: usize,
    /// What is wrong there.
    pub message: String,
    /// What to write instead.
    pub hint: String,
}

/// How a matcher compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`
    Regex,
    /// `!~`
    NotRegex,
}

impl MatchOp {
    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Regex => "=~",
            Self::NotRegex => "!~",
        }
    }
}

/// What a matcher on the stack looks at. Their names begin with underscores, as PromQL's own do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StackPart {
    /// `__frame__`: a function anywhere on the stack.
    Frame,
    /// `__under__`: a function that the stack's innermost one was called by, directly or not.
    Under,
    /// `__module__`: the module of any frame of the stack.
    Module,
}

impl StackPart {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Frame, Self::Under, Self::Module];

    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Frame => "__frame__",
            Self::Under => "__under__",
            Self::Module => "__module__",
        }
    }
}

/// One condition on one label.
#[derive(Debug, Clone)]
pub struct Matcher {
    name: Arc<str>,
    op: MatchOp,
    value: Arc<str>,
    /// Compiled and anchored, for the two operators that need it.
    regex: Option<Regex>,
}

impl Matcher {
    /// The condition, with `value` compiled where it is a regular expression.
    ///
    /// # Errors
    /// When the expression does not compile, or not within its limits: says why.
    pub fn new(name: &str, op: MatchOp, value: &str) -> Result<Self, String> {
        let regex = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Regex | MatchOp::NotRegex => Some(anchored(value)?),
        };
        Ok(Self { name: name.into(), op, value: value.into(), regex })
    }

    /// The label it looks at.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it compares.
    #[must_use]
    pub fn op(&self) -> MatchOp {
        self.op
    }

    /// What it compares with.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Whether a label with this value (empty where there is no such label) fulfils it.
    #[must_use]
    pub fn accepts(&self, value: &str) -> bool {
        self.finds(value) != self.is_negative()
    }

    /// Whether the value is what is looked for, be it wanted or not.
    #[must_use]
    pub fn finds(&self, value: &str) -> bool {
        match &self.regex {
            Some(regex) => regex.is_match(value),
            None => *self.value == *value,
        }
    }

    /// Whether what is looked for is not wanted.
    #[must_use]
    pub fn is_negative(&self) -> bool {
        matches!(self.op, MatchOp::NotEqual | MatchOp::NotRegex)
    }

    /// What of the stack it looks at, if it is no label.
    #[must_use]
    pub fn stack_part(&self) -> Option<StackPart> {
        StackPart::ALL.into_iter().find(|part| part.as_str() == self.name())
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.op, &self.value) == (&other.name, other.op, &other.value)
    }
}

impl Eq for Matcher {}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if parse::is_label_name(&self.name) {
            f.write_str(&self.name)?;
        } else {
            write_quoted(f, &self.name)?;
        }
        f.write_str(self.op.as_str())?;
        write_quoted(f, &self.value)
    }
}

/// Which rows a query is about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selector {
    /// The profile type, where the selector names one.
    pub profile_type: Option<ProfileType>,
    /// All of these have to hold.
    pub matchers: Vec<Matcher>,
}

impl Selector {
    /// Reads a selector. The empty text selects everything.
    ///
    /// # Errors
    /// When the text is too long or does not follow the grammar: says where, and what to write.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        parse::selector(text)
    }

    /// Whether a row of this series with these attributes is selected, were it not for its stack. Labels and attributes filter
    /// alike; where both have a name, the series counts.
    #[must_use]
    pub fn accepts(&self, series: &LabelSet, attributes: &LabelSet) -> bool {
        let mut matchers = self.on_labels();
        matchers.all(|matcher| matcher.accepts(value_of(matcher.name(), series, attributes)))
    }

    /// The conditions on labels and attributes.
    pub fn on_labels(&self) -> impl Iterator<Item = &Matcher> {
        self.matchers.iter().filter(|matcher| matcher.stack_part().is_none())
    }

    /// The conditions on the stack. What has no stacks cannot answer a selector that has some.
    pub fn on_stack(&self) -> impl Iterator<Item = (StackPart, &Matcher)> {
        self.matchers.iter().filter_map(|matcher| Some((matcher.stack_part()?, matcher)))
    }

    /// Whether rows of a series may be accepted, whatever their attributes are.
    #[must_use]
    pub fn may_accept(&self, series: &LabelSet) -> bool {
        let refuses = |matcher: &Matcher| match series.get(matcher.name()) {
            "" => false,
            value => !matcher.accepts(value),
        };
        !self.on_labels().any(refuses)
    }
}

/// The value of a label of a row: the series' own, else the attributes'; empty where neither has it.
#[must_use]
pub fn value_of<'a>(name: &str, series: &'a LabelSet, attributes: &'a LabelSet) -> &'a str {
    match series.get(name) {
        "" => attributes.get(name),
        value => value,
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(profile_type) = &self.profile_type {
            f.write_str(profile_type.short())?;
            if self.matchers.is_empty() {
                return Ok(());
            }
        }
        f.write_str("{")?;
        for (at, matcher) in self.matchers.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(f, "{comma}{matcher}")?;
        }
        f.write_str("}")
    }
}

fn anchored(pattern: &str) -> Result<Regex, String> {
    if pattern.len() > MAX_REGEX_BYTES {
        return Err(format!(
            "the regular expression has {} bytes, more than the limit of {MAX_REGEX_BYTES}",
            pattern.len()
        ));
    }
    // Compiled by itself first, so that `a)|(b` cannot escape from the anchors.
    compile(pattern)?;
    compile(&format!("^(?s:{pattern})$"))
}

fn compile(pattern: &str) -> Result<Regex, String> {
    let built = regex::RegexBuilder::new(pattern)
        .size_limit(MAX_REGEX_MEMORY_BYTES)
        .dfa_size_limit(MAX_REGEX_MEMORY_BYTES)
        .nest_limit(64)
        .build();
    built.map_err(|error| match error {
        regex::Error::CompiledTooBig(limit) => {
            format!("the regular expression needs more memory than the limit of {limit} bytes")
        }
        other => {
            let text = other.to_string();
            let reason = text.lines().last().unwrap_or_default();
            let reason = reason.trim_start_matches("error: ");
            format!("the regular expression does not compile: {reason}")
        }
    })
}

fn write_quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_str("\"")?;
    for c in text.chars() {
        match c {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\t' => f.write_str("\\t")?,
            '\r' => f.write_str("\\r")?,
            c if c.is_control() => write!(f, "\\u{:04x}", u32::from(c))?,
            c => write!(f, "{c}")?,
        }
    }
    f.write_str("\"")
}
