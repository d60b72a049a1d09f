//! Gates as people write them:
//!
//! ```text
//! gate     = all { "or" all }          all    = term { "and" term }
//! term     = "(" gate ")" | clause     clause = quantity ">" number "%"
//! quantity = "total" | function | "rel" "(" function ")"
//! function = "function" [ "(" string ")" ]
//! ```

use std::fmt;

/// Characters of a gate.
const MAX_LENGTH: usize = 4096;
/// Brackets within brackets.
const MAX_DEPTH: usize = 32;
/// The largest threshold in percent.
const MAX_PERCENT: f64 = 1e6;

/// What is compared with a threshold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Quantity {
    /// Cost per run, second or request, relative to the base.
    Total,
    /// A function's cost, or any function's, as a part of the base's total.
    Function(Option<String>),
    /// The same relative to the function's own cost on the base.
    Relative(Option<String>),
}

/// `quantity > threshold`.
#[derive(Debug, Clone, PartialEq)]
pub struct Clause {
    /// What is compared.
    pub quantity: Quantity,
    /// As a part: 0.01 is 1 %.
    pub above: f64,
}

/// An expression that fails a change when it holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Gate {
    /// One comparison.
    Clause(Clause),
    /// All of them.
    All(Vec<Self>),
    /// Any of them.
    Any(Vec<Self>),
}

/// A text that is no gate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at character {at}: {problem}")]
pub struct GateError {
    /// Counted from 1.
    pub at: usize,
    /// What is wrong.
    pub problem: String,
}

impl Gate {
    /// Reads a gate.
    ///
    /// # Errors
    /// When the text is none: where, and what was expected.
    pub fn parse(text: &str) -> Result<Self, GateError> {
        let mut parser = Parser { text, at: 0, depth: 0 };
        if text.len() > MAX_LENGTH {
            return Err(parser.wrong(format!("a gate has at most {MAX_LENGTH} characters")));
        }
        let gate = parser.any()?;
        parser.skip_space();
        if parser.at < text.len() {
            return Err(parser.wrong("expected `or`, `and` or the end"));
        }
        Ok(gate)
    }
}

struct Parser<'a> {
    text: &'a str,
    /// In bytes, always at a character.
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn wrong(&self, problem: impl Into<String>) -> GateError {
        let at = self.text[..self.at].chars().count() + 1;
        GateError { at, problem: problem.into() }
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn skip_space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    /// Takes a sign if it stands here.
    fn takes(&mut self, sign: char) -> bool {
        self.skip_space();
        let is_here = self.rest().starts_with(sign);
        if is_here {
            self.at += sign.len_utf8();
        }
        is_here
    }

    fn expect(&mut self, sign: char) -> Result<(), GateError> {
        if self.takes(sign) { Ok(()) } else { Err(self.wrong(format!("expected `{sign}`"))) }
    }

    /// The word that stands here, not taken.
    fn word(&mut self) -> &str {
        self.skip_space();
        let rest = self.rest();
        &rest[..rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len())]
    }

    fn takes_word(&mut self, word: &str) -> bool {
        let is_here = self.word() == word;
        if is_here {
            self.at += word.len();
        }
        is_here
    }

    fn any(&mut self) -> Result<Gate, GateError> {
        let mut parts = vec![self.all()?];
        while self.takes_word("or") {
            parts.push(self.all()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Gate::Any(parts) })
    }

    fn all(&mut self) -> Result<Gate, GateError> {
        let mut parts = vec![self.term()?];
        while self.takes_word("and") {
            parts.push(self.term()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Gate::All(parts) })
    }

    fn term(&mut self) -> Result<Gate, GateError> {
        if !self.takes('(') {
            return self.clause().map(Gate::Clause);
        }
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.wrong(format!("more than {MAX_DEPTH} brackets within another")));
        }
        let inner = self.any()?;
        self.expect(')')?;
        self.depth -= 1;
        Ok(inner)
    }

    fn clause(&mut self) -> Result<Clause, GateError> {
        let quantity = self.quantity()?;
        self.expect('>')?;
        Ok(Clause { quantity, above: self.percent()? })
    }

    fn quantity(&mut self) -> Result<Quantity, GateError> {
        if self.takes_word("total") {
            Ok(Quantity::Total)
        } else if self.takes_word("rel") {
            self.expect('(')?;
            if self.word() != "function" {
                return Err(self.wrong("expected `function`"));
            }
            let quantity = Quantity::Relative(self.function()?);
            self.expect(')')?;
            Ok(quantity)
        } else if self.word() == "function" {
            Ok(Quantity::Function(self.function()?))
        } else {
            Err(self.wrong("expected `total`, `function`, `function(\"name\")` or `rel(function)`"))
        }
    }

    fn function(&mut self) -> Result<Option<String>, GateError> {
        self.takes_word("function");
        if !self.takes('(') {
            return Ok(None);
        }
        let name = self.string()?;
        self.expect(')')?;
        Ok(Some(name))
    }

    fn string(&mut self) -> Result<String, GateError> {
        self.expect('"')?;
        let mut name = String::new();
        let mut escaped = false;
        for (offset, c) in self.rest().char_indices() {
            match c {
                _ if escaped => {
                    name.push(c);
                    escaped = false;
                }
                '\\' => escaped = true,
                '"' => {
                    self.at += offset + 1;
                    return Ok(name);
                }
                c => name.push(c),
            }
        }
        Err(self.wrong("the name does not end: expected `\"`"))
    }

    fn percent(&mut self) -> Result<f64, GateError> {
        self.skip_space();
        let rest = self.rest();
        let digits = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(rest.len());
        let number: Option<f64> = rest[..digits].parse().ok();
        let Some(percent) = number.filter(|percent| *percent <= MAX_PERCENT) else {
            return Err(self.wrong("expected a number of percent, such as 1.5%"));
        };
        self.at += digits;
        self.expect('%')?;
        Ok(percent / 100.0)
    }
}

impl fmt::Display for Clause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} > {}%", self.quantity, plain(self.above * 100.0))
    }
}

/// Without the digits that dividing by a hundred and multiplying again leaves behind.
fn plain(percent: f64) -> f64 {
    let short = (percent * 1e9).round() / 1e9;
    if short / 100.0 == percent / 100.0 || percent < 1e-6 { percent } else { short }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let function = |name: &Option<String>| match name {
            None => "function".to_owned(),
            Some(name) => {
                format!("function(\"{}\")", name.replace('\\', "\\\\").replace('"', "\\\""))
            }
        };
        match self {
            Self::Total => f.write_str("total"),
            Self::Function(name) => f.write_str(&function(name)),
            Self::Relative(name) => write!(f, "rel({})", function(name)),
        }
    }
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (parts, word) = match self {
            Self::Clause(clause) => return clause.fmt(f),
            Self::All(parts) => (parts, " and "),
            Self::Any(parts) => (parts, " or "),
        };
        for (at, part) in parts.iter().enumerate() {
            f.write_str(if at > 0 { word } else { "" })?;
            match part {
                Self::Clause(clause) => clause.fmt(f)?,
                part => write!(f, "({part})")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
