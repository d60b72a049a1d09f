//! Names without what changes from build to build, so that a rebuild, another compiler version or
//! another way of mangling does not rename a function.

use std::borrow::Cow;

/// Counts up whenever [`normalise`] gives another name for the same input; tables that are keyed by
/// normalised names are re-keyed then.
pub const NORMALISER_VERSION: u32 = 2;

/// Suffixes that compilers append to clones of a function; digits may follow after a dot.
const CLONE_SUFFIXES: [&str; 10] = [
    ".isra",
    ".constprop",
    ".part",
    ".cold",
    ".llvm",
    ".lto_priv",
    ".localalias",
    ".clone",
    ".specialized",
    ".__uniq",
];

/// How Go marks a function's calling convention.
const GO_CONVENTIONS: [&str; 2] = [".abi0", ".abiinternal"];

/// What Rust calls what has no name, with a number that changes with what stands around it.
const UNNAMED: [&str; 7] =
    ["closure", "async_fn", "async_block", "async_closure", "coroutine", "gen_fn", "gen_block"];

/// What Go writes in place of type arguments.
const GO_SHAPES: &str = "[...]";

/// A demangled name without what changes from build to build: Rust's legacy hash, v0 disambiguators
/// and numbers of closures, compilers' clone suffixes (as symbols have them, and as C++ demanglers
/// write them), Go's shapes and calling conventions.
#[must_use]
pub fn normalise(name: &str) -> Cow<'_, str> {
    let mut kept = pass(name);
    // What was taken out of the middle may have stood before a suffix.
    while let Cow::Owned(text) = &kept {
        let again = pass(text);
        if *again == **text {
            break;
        }
        kept = Cow::Owned(again.into_owned());
    }
    kept
}

fn pass(name: &str) -> Cow<'_, str> {
    let mut kept = name;
    loop {
        let shorter = strip_clone_note(strip_clone_suffix(strip_rust_hash(kept)));
        let shorter = GO_CONVENTIONS
            .iter()
            .find_map(|convention| shorter.strip_suffix(convention).filter(|rest| !rest.is_empty()))
            .unwrap_or(shorter);
        if shorter.len() == kept.len() {
            break;
        }
        kept = shorter;
    }
    let mut kept = Cow::Borrowed(kept);
    if kept.contains('[') {
        kept = changed(kept, strip_brackets);
    }
    if kept.contains('{') {
        kept = changed(kept, strip_numbers);
    }
    // Go's raised point, for which C linkers write a plain one.
    if kept.contains('·') {
        kept = Cow::Owned(kept.replace('·', "."));
    }
    kept
}

/// What `change` makes of a name, borrowed where that is the name itself.
fn changed<'a>(name: Cow<'a, str>, change: fn(&str) -> String) -> Cow<'a, str> {
    let made = change(&name);
    if made == *name { name } else { Cow::Owned(made) }
}

fn strip_rust_hash(name: &str) -> &str {
    let Some((start, hash)) = name.rsplit_once("::h") else {
        return name;
    };
    let is_hash = hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit());
    if is_hash && !start.is_empty() { start } else { name }
}

fn strip_clone_suffix(name: &str) -> &str {
    match clone_suffix(name) {
        Some(at) if at > 0 => &name[..at],
        _ => name,
    }
}

/// Where the last clone suffix starts, if the name ends with one.
fn clone_suffix(name: &str) -> Option<usize> {
    CLONE_SUFFIXES.iter().find_map(|suffix| {
        let at = name.rfind(suffix)?;
        let rest = &name[at + suffix.len()..];
        let is_number = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        let fits = rest.is_empty() || rest.strip_prefix('.').is_some_and(is_number);
        fits.then_some(at)
    })
}

/// Strips ` [clone .isra.0]`, as C++ demanglers write it. Clones for other processors
/// (`[clone .avx2]`) are other functions.
fn strip_clone_note(name: &str) -> &str {
    let Some((start, note)) = name.rsplit_once(" [clone ") else { return name };
    let Some(mut suffixes) = note.strip_suffix(']') else { return name };
    while let Some(at) = clone_suffix(suffixes) {
        suffixes = &suffixes[..at];
    }
    if suffixes.is_empty() && !start.is_empty() { start } else { name }
}

/// Removes Rust v0 disambiguators (`core[3f2a…]`) and what Go writes of type arguments
/// (`[go.shape.int]`).
fn strip_brackets(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(open) = rest.find('[') {
        let Some(close) = closing(&rest[open..]).map(|at| open + at) else {
            break;
        };
        let inside = &rest[open + 1..close];
        out.push_str(&rest[..open]);
        if is_go_type_list(name, &out, inside) {
            out.push_str(GO_SHAPES);
        } else if !is_disambiguator(inside, &out) {
            out.push_str(&rest[open..=close]);
        }
        rest = &rest[close + 1..];
    }
    out.push_str(rest);
    out
}

/// Where the bracket closes that `text` begins with.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    text.bytes().position(|byte| {
        match byte {
            b'[' => depth += 1,
            b']' => depth -= 1,
            _ => {}
        }
        depth == 0
    })
}

fn follows_a_name(before: &str) -> bool {
    before.bytes().last().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Whether brackets hold type arguments of Go: `main.Map[go.shape.int]`, `main.(*Tree[int]).Add`.
/// Neither Rust nor C++ writes brackets right behind a dotted name.
fn is_go_type_list(name: &str, before: &str, inside: &str) -> bool {
    if inside.starts_with("go.shape.")
        || before.starts_with("type:.")
        || before.starts_with("type..")
    {
        return true;
    }
    let is_go = before.contains('.') && !name.contains("::");
    is_go && follows_a_name(before) && !inside.is_empty()
}

fn is_disambiguator(inside: &str, before: &str) -> bool {
    let is_hash = (8..=16).contains(&inside.len()) && inside.bytes().all(|b| b.is_ascii_hexdigit());
    follows_a_name(before) && is_hash
}

/// Writes `{closure#3}` and `{{closure}}` as `{closure}`: the number changes with its neighbours, and
/// one of the two ways of mangling has none.
fn strip_numbers(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(open) = rest.find('{') {
        out.push_str(&rest[..open]);
        rest = &rest[open..];
        match unnamed(rest) {
            Some((what, length)) => {
                out.extend(["{", what, "}"]);
                rest = &rest[length..];
            }
            None => {
                out.push('{');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

/// What of [`UNNAMED`] `text` begins with, and how long that is.
fn unnamed(text: &str) -> Option<(&'static str, usize)> {
    let doubled = text.starts_with("{{");
    let inner = if doubled { &text[1..] } else { text };
    let end = inner.find('}')?;
    let (what, number) = inner[1..end].split_once('#').unwrap_or((&inner[1..end], ""));
    let what = UNNAMED.into_iter().find(|unnamed| *unnamed == what)?;
    let closes = !doubled || inner[end + 1..].starts_with('}');
    let length = end + 1 + 2 * usize::from(doubled);
    (closes && number.bytes().all(|b| b.is_ascii_digit())).then_some((what, length))
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
            ("foo.__uniq.297842938470238470.llvm.12", "foo"),
            ("memchr.localalias", "memchr"),
            ("ns::f(int) [clone .isra.0]", "ns::f(int)"),
            ("ns::f(int) [clone .constprop.0] [clone .isra.0]", "ns::f(int)"),
            ("ns::f(int) [clone .part.0.cold]", "ns::f(int)"),
            ("ns::f(int) [clone .avx2]", "ns::f(int) [clone .avx2]"),
            ("ns::f(int) [clone .avx2] [clone .cold]", "ns::f(int) [clone .avx2]"),
            ("main.Map[go.shape.int]", "main.Map[...]"),
            ("main.Map[go.shape.[]int,go.shape.string]", "main.Map[...]"),
            ("main.(*Tree[go.shape.struct { F []int }]).Add", "main.(*Tree[...]).Add"),
            ("main.(*Tree[int]).Add", "main.(*Tree[...]).Add"),
            ("main.Map[...]", "main.Map[...]"),
            ("main.Map[...].func1", "main.Map[...].func1"),
            ("type:.eq.[5]internal/cpu.option", "type:.eq.[...]internal/cpu.option"),
            ("type:.eq.runtime.untracedG·4", "type:.eq.runtime.untracedG.4"),
            ("runtime.memmove.abi0", "runtime.memmove"),
            ("main.main.func1", "main.main.func1"),
            ("operator[]", "operator[]"),
            ("ns::Foo::operator[](int) const", "ns::Foo::operator[](int) const"),
            ("sum(int (&)[16])", "sum(int (&)[16])"),
            ("name[abi:cxx11](int)", "name[abi:cxx11](int)"),
            ("[u8; 4]::as_slice", "[u8; 4]::as_slice"),
            ("<[u8] as core::fmt::Debug>::fmt", "<[u8] as core::fmt::Debug>::fmt"),
            ("r::main::{{closure}}", "r::main::{closure}"),
            ("r::main::{closure#12}", "r::main::{closure}"),
            ("r::run::{async_fn#0}::{closure#1}", "r::run::{async_fn}::{closure}"),
            ("r::apply::<r::main::{closure#1}>", "r::apply::<r::main::{closure}>"),
            ("r::{impl#3}::area", "r::{impl#3}::area"),
            (
                "main::{lambda(int)#1}::operator()(int) const",
                "main::{lambda(int)#1}::operator()(int) const",
            ),
            ("::h0123456789abcdef", "::h0123456789abcdef"),
            (".cold", ".cold"),
            (" [clone .cold]", " [clone .cold]"),
            ("{closure", "{closure"),
            ("{{closure}", "{{closure}"),
            ("a[b", "a[b"),
            ("", ""),
        ] {
            assert_eq!(normalise(name), wanted, "{name}");
            assert_eq!(normalise(wanted), wanted, "once is enough: {name}");
        }
    }
}
