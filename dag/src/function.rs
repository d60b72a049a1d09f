//! Functions: the unit of comparison across builds. A function has no line, address or build id;
//! its name is normalised, so that a rebuild or another compiler version does not rename it.

use std::borrow::Cow;
use std::sync::Arc;

use crate::encode::{Domain, Encoder};
use crate::ids::FunctionId;

/// Counts up whenever [`normalise`] gives another name for the same input; tables that are keyed by
/// normalised names are re-keyed then.
pub const NORMALISER_VERSION: u32 = 1;

/// Where a function comes from, the same for every binary that links it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// A crate, Go package or Python module.
    Package(Arc<str>),
    /// A main executable's own code, whichever executable it is.
    Executable,
    /// A shared library, by SONAME without its version.
    Library(Arc<str>),
    /// The kernel and its modules.
    Kernel,
}

/// A function as it is compared across builds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Function {
    /// Where it comes from.
    pub origin: Origin,
    /// Normalised, demangled.
    pub name: Arc<str>,
}

impl Function {
    /// The function that a demangled `name` in `origin` stands for.
    #[must_use]
    pub fn new(origin: Origin, name: &str) -> Self {
        Self { origin, name: normalise(name).into() }
    }

    /// Its identity.
    #[must_use]
    pub fn id(&self) -> FunctionId {
        let encoder = match &self.origin {
            Origin::Package(name) => Encoder::tagged(1).text(name),
            Origin::Executable => Encoder::tagged(2),
            Origin::Library(name) => Encoder::tagged(3).text(name),
            Origin::Kernel => Encoder::tagged(4),
        };
        FunctionId::from_bytes(encoder.text(&self.name).hash(Domain::Function))
    }
}

/// Suffixes that compilers append to clones of a function; digits may follow after a dot.
const CLONE_SUFFIXES: [&str; 6] = [".isra", ".constprop", ".part", ".cold", ".llvm", ".lto_priv"];

/// A demangled name without what changes from build to build: Rust's legacy hash and v0
/// disambiguators, compilers' clone suffixes, Go's shapes.
#[must_use]
pub fn normalise(name: &str) -> Cow<'_, str> {
    let mut kept = name;
    loop {
        let shorter = strip_clone_suffix(strip_rust_hash(kept));
        if shorter.len() == kept.len() {
            break;
        }
        kept = shorter;
    }
    if !kept.contains('[') {
        return Cow::Borrowed(kept);
    }
    strip_brackets(kept)
}

fn strip_rust_hash(name: &str) -> &str {
    let Some((start, hash)) = name.rsplit_once("::h") else {
        return name;
    };
    let is_hash = hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit());
    if is_hash && !start.is_empty() { start } else { name }
}

fn strip_clone_suffix(name: &str) -> &str {
    for suffix in CLONE_SUFFIXES {
        let Some(at) = name.rfind(suffix) else {
            continue;
        };
        let rest = &name[at + suffix.len()..];
        let is_number = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        let fits = rest.is_empty() || rest.strip_prefix('.').is_some_and(is_number);
        if fits && at > 0 {
            return &name[..at];
        }
    }
    name
}

/// Removes Rust v0 disambiguators (`core[3f2a…]`) and what Go writes of shapes (`[go.shape.int]`).
fn strip_brackets(name: &str) -> Cow<'_, str> {
    let mut out = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(open) = rest.find('[') {
        let Some(close) = rest[open..].find(']').map(|at| open + at) else {
            break;
        };
        let inside = &rest[open + 1..close];
        out.push_str(&rest[..open]);
        if inside.starts_with("go.shape.") {
            out.push_str("[...]");
        } else if !is_disambiguator(inside, &out) {
            out.push_str(&rest[open..=close]);
        }
        rest = &rest[close + 1..];
    }
    out.push_str(rest);
    if out == name { Cow::Borrowed(name) } else { Cow::Owned(out) }
}

fn is_disambiguator(inside: &str, before: &str) -> bool {
    let follows_a_name =
        before.bytes().last().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_');
    let is_hash = (8..=16).contains(&inside.len()) && inside.bytes().all(|b| b.is_ascii_hexdigit());
    follows_a_name && is_hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_what_a_build_adds() {
        for (name, wanted) in [
            ("core::fmt::write::h0123456789abcdef", "core::fmt::write"),
            ("core[3f2a77aa01b2c3d4]::fmt::write", "core::fmt::write"),
            ("do_work.isra.0", "do_work"),
            ("do_work.constprop.0.isra.3", "do_work"),
            ("do_work.part.12.cold", "do_work"),
            ("foo.llvm.123456789", "foo"),
            ("main.Map[go.shape.int]", "main.Map[...]"),
            ("main.main.func1", "main.main.func1"),
            ("operator[]", "operator[]"),
            ("sum(int (&)[16])", "sum(int (&)[16])"),
            ("[u8; 4]::as_slice", "[u8; 4]::as_slice"),
            ("::h0123456789abcdef", "::h0123456789abcdef"),
            (".cold", ".cold"),
            ("", ""),
        ] {
            assert_eq!(normalise(name), wanted, "{name}");
        }
    }

    #[test]
    fn origin_is_part_of_a_function() {
        let here = Function::new(Origin::Executable, "parse");
        let there = Function::new(Origin::Library("libxml2.so".into()), "parse");
        assert_ne!(here.id(), there.id());
    }
}
