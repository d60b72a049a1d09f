//! The grammar, by hand: a cursor over characters, so that every error knows its place.
//!
//! ```text
//! selector = [ type ] [ "{" [ matcher { "," matcher } [ "," ] ] "}" ]
//! matcher  = ( label | string ) ( "=" | "!=" | "=~" | "!~" ) string
//! string   = "…" or '…' with escapes, or `…` without
//! ```

use stoker_dag::ProfileType;

use super::{MAX_MATCHERS, MAX_SELECTOR_BYTES, MatchOp, Matcher, Selector, SelectorError};

const EXAMPLE: &str = "write it like cpu{service_name=\"api\",host=~\"web-.*\"}";

/// Whether a name can stand without quotes.
pub(super) fn is_label_name(name: &str) -> bool {
    let starts = |c: char| c.is_ascii_alphabetic() || c == '_';
    name.starts_with(starts) && name.chars().all(|c| starts(c) || c.is_ascii_digit())
}

pub(super) fn selector(text: &str) -> Result<Selector, SelectorError> {
    if text.len() > MAX_SELECTOR_BYTES {
        return Err(SelectorError {
            position: 1,
            message: format!(
                "it has {} bytes, more than the limit of {MAX_SELECTOR_BYTES}",
                text.len()
            ),
            hint: "use fewer matchers, or a regular expression".to_owned(),
        });
    }
    let mut cursor = Cursor { text, at: 0 };
    cursor.skip_space();
    let profile_type = cursor.profile_type()?;
    cursor.skip_space();
    let matchers = cursor.braces()?;
    cursor.skip_space();
    match cursor.peek() {
        None => Ok(Selector { profile_type, matchers }),
        Some('@') => Err(cursor.error("a range does not belong in a selector", RANGE_HINT)),
        Some(c) => Err(cursor.error(&format!("{c:?} stands after its end"), EXAMPLE)),
    }
}

const RANGE_HINT: &str = "give the range apart, as `from` and `until`";

struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn eat(&mut self, wanted: &str) -> bool {
        let found = self.text[self.at..].starts_with(wanted);
        if found {
            self.at += wanted.len();
        }
        found
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let rest = &self.text[self.at..];
        let len = rest.find(|c| !wanted(c)).unwrap_or(rest.len());
        self.at += len;
        &rest[..len]
    }

    fn skip_space(&mut self) {
        self.take_while(char::is_whitespace);
    }

    fn error(&self, message: &str, hint: &str) -> SelectorError {
        self.error_at(self.at, message, hint)
    }

    fn error_at(&self, at: usize, message: &str, hint: &str) -> SelectorError {
        SelectorError {
            position: self.text[..at].chars().count() + 1,
            message: message.to_owned(),
            hint: hint.to_owned(),
        }
    }

    /// What stands at the cursor, for messages.
    fn found(&self) -> String {
        self.peek().map_or_else(|| "the end".to_owned(), |c| format!("{c:?}"))
    }

    fn profile_type(&mut self) -> Result<Option<ProfileType>, SelectorError> {
        let start = self.at;
        let word = self.take_while(|c| c.is_ascii_alphanumeric() || "_:-.".contains(c));
        if word.is_empty() {
            return Ok(None);
        }
        let parsed = ProfileType::parse(word).map_err(|error| {
            let is_label = matches!(self.peek(), Some('=' | '!'));
            let hint = match is_label {
                true => "put matchers in braces: cpu{service_name=\"api\"}",
                false => "the short names are: cpu",
            };
            self.error_at(start, &error.to_string(), hint)
        })?;
        Ok(Some(parsed))
    }

    fn braces(&mut self) -> Result<Vec<Matcher>, SelectorError> {
        let mut matchers = Vec::new();
        if !self.eat("{") {
            return Ok(matchers);
        }
        loop {
            self.skip_space();
            if self.eat("}") {
                return Ok(matchers);
            }
            if matchers.len() == MAX_MATCHERS {
                let message = format!("it has more than {MAX_MATCHERS} matchers");
                return Err(self.error(&message, "join values of one label: host=~\"a|b\""));
            }
            matchers.push(self.matcher()?);
            self.skip_space();
            if !self.eat(",") && self.peek() != Some('}') {
                let message = format!("a comma or \"}}\" is wanted here, not {}", self.found());
                let hint = match self.peek() {
                    None => "close it with \"}\"",
                    Some(_) => EXAMPLE,
                };
                return Err(self.error(&message, hint));
            }
        }
    }

    fn matcher(&mut self) -> Result<Matcher, SelectorError> {
        let name = self.label_name()?;
        self.skip_space();
        let op = self.operator(&name)?;
        self.skip_space();
        let start = self.at;
        let Some(value) = self.string()? else {
            let message =
                format!("the value of {name} is wanted here in quotes, not {}", self.found());
            let bare = self.take_while(|c| !c.is_whitespace() && !",}\"'".contains(c));
            let bare = bare.trim_matches(['“', '”', '‘', '’']);
            let hint = format!("write {name}{}\"{bare}\"", op.as_str());
            return Err(self.error_at(start, &message, &hint));
        };
        let hint = "test the expression by itself; to match a text as it is, use = or !=";
        Matcher::new(&name, op, &value).map_err(|message| self.error_at(start, &message, hint))
    }

    fn label_name(&mut self) -> Result<String, SelectorError> {
        let start = self.at;
        if let Some(quoted) = self.string()? {
            if quoted.is_empty() {
                return Err(self.error_at(start, "a label's name is empty", EXAMPLE));
            }
            return Ok(quoted);
        }
        let name = self.take_while(|c| c.is_ascii_alphanumeric() || c == '_');
        if !is_label_name(name) {
            let found = match name {
                "" => self.found(),
                name => format!("{name:?}"),
            };
            let message = format!("a label's name is wanted here, not {found}");
            return Err(self.error_at(start, &message, EXAMPLE));
        }
        if name == "__name__" {
            let message = "the profile type is no label here";
            return Err(self.error_at(start, message, "write it before the braces: cpu{…}"));
        }
        if matches!(self.peek(), Some('.' | '-' | '/')) {
            let hint = "put the name in quotes: {\"k8s.pod.name\"=\"api-1\"}";
            let message = format!("{} does not belong in a bare label name", self.found());
            return Err(self.error(&message, hint));
        }
        Ok(name.to_owned())
    }

    fn operator(&mut self, name: &str) -> Result<MatchOp, SelectorError> {
        if self.text[self.at..].starts_with("==") {
            return Err(self.error("\"==\" is no operator", "write a single \"=\""));
        }
        let ops = [MatchOp::Regex, MatchOp::NotRegex, MatchOp::NotEqual, MatchOp::Equal];
        let found = ops.into_iter().find(|op| self.eat(op.as_str()));
        found.ok_or_else(|| {
            let message = format!(
                "\"=\", \"!=\", \"=~\" or \"!~\" is wanted after {name}, not {}",
                self.found()
            );
            self.error(&message, EXAMPLE)
        })
    }

    /// A quoted text, or nothing where the cursor stands on no quote.
    fn string(&mut self) -> Result<Option<String>, SelectorError> {
        let start = self.at;
        let quote = match self.peek() {
            Some(c @ ('"' | '\'' | '`')) => c,
            _ => return Ok(None),
        };
        self.bump();
        let mut text = String::new();
        loop {
            match self.bump() {
                Some(c) if c == quote => return Ok(Some(text)),
                Some('\\') if quote != '`' => text.push(self.escape()?),
                Some(c) => text.push(c),
                None => {
                    let hint = format!("close it with {quote}");
                    return Err(self.error_at(start, "this quote is never closed", &hint));
                }
            }
        }
    }

    fn escape(&mut self) -> Result<char, SelectorError> {
        let start = self.at - 1;
        let simple = match self.bump() {
            Some('n') => '\n',
            Some('t') => '\t',
            Some('r') => '\r',
            Some('a') => '\u{7}',
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('v') => '\u{b}',
            Some(c @ ('\\' | '"' | '\'')) => c,
            Some('x') => return self.code_point(start, 2),
            Some('u') => return self.code_point(start, 4),
            Some('U') => return self.code_point(start, 8),
            _ => {
                let hint = "double the backslash (\\\\.), or put the value in backticks: `a\\.b`";
                return Err(self.error_at(start, "this escape is not known", hint));
            }
        };
        Ok(simple)
    }

    fn code_point(&mut self, start: usize, digits: usize) -> Result<char, SelectorError> {
        let rest = &self.text[self.at..];
        let code = rest.get(..digits).and_then(|code| u32::from_str_radix(code, 16).ok());
        match code.and_then(char::from_u32) {
            Some(c) => {
                self.at += digits;
                Ok(c)
            }
            None => {
                let message = format!("{digits} hexadecimal digits of a character are wanted here");
                Err(self.error_at(start, &message, "for example \\u00e9"))
            }
        }
    }
}
