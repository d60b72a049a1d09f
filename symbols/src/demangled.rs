//! Names as their source wrote them, of symbols that compilers have mangled.

use std::borrow::Cow;

/// Longest mangled name that is tried; longer ones stay as they are.
const MANGLED_BYTES_MAX: usize = 4096;

/// The name behind a symbol: Rust's, both manglings, or C++'s; others are their own names.
#[must_use]
pub fn demangled(symbol: &str) -> Cow<'_, str> {
    if symbol.len() > MANGLED_BYTES_MAX {
        return Cow::Borrowed(symbol);
    }
    if let Ok(name) = rustc_demangle::try_demangle(symbol) {
        return Cow::Owned(format!("{name:#}"));
    }
    let parsed = symbol.starts_with("_Z").then(|| cpp_demangle::Symbol::new(symbol).ok()).flatten();
    match parsed.and_then(|name| name.demangle().ok()) {
        Some(name) => Cow::Owned(name),
        None => Cow::Borrowed(symbol),
    }
}
