//! Compares the two names that a function can have: the last one alone, as sparse debug information
//! has it, and the whole path, as a demangled symbol has it. Pure.

/// Whether `path`, a demangled symbol, is the whole path, or signature, of the function that is
/// called `last`.
pub(super) fn is_whole_path_of(path: &str, last: &str) -> bool {
    let end = last_name(path);
    if end.len() == path.len() || last.is_empty() {
        return false;
    }
    // Closures are `{closure#0}` for one and `{{closure}}` for the other.
    let both_unnamed = end.starts_with('{') && last.starts_with('{');
    both_unnamed || without_generics(end) == without_generics(last)
}

/// What follows the last `::` outside brackets, without a C++ parameter list.
fn last_name(path: &str) -> &str {
    let bytes = path.as_bytes();
    let (mut depth, mut start, mut end) = (0_usize, 0, path.len());
    for (at, &byte) in bytes.iter().enumerate() {
        match byte {
            b'(' if depth == 0 && at > start => {
                end = at;
                break;
            }
            b'<' | b'(' | b'[' | b'{' => depth += 1,
            b'>' | b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            b':' if depth == 0 && bytes.get(at + 1) == Some(&b':') => start = at + 2,
            _ => {}
        }
    }
    &path[start.min(end)..end]
}

/// The name up to its generic arguments.
fn without_generics(name: &str) -> &str {
    match name.find('<') {
        Some(at) if at > 0 => &name[..at],
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_paths_are_recognised() {
        for (path, last) in [
            ("blazesym::dwarf::lines::parse", "parse"),
            ("core::ptr::drop_in_place<alloc::vec::Vec<u8>>", "drop_in_place<alloc::vec::Vec<u8>>"),
            ("alloc::vec::Vec<T,A>::push", "push<u8, alloc::alloc::Global>"),
            ("<alloc::string::String as core::fmt::Display>::fmt", "fmt"),
            ("app::run::{{closure}}", "{closure#0}"),
            ("app::run::{closure#3}", "{async_fn#3}"),
            ("ns::Foo::bar(int, std::vector<int>) const", "bar"),
            ("finish(int)", "finish"),
        ] {
            assert!(is_whole_path_of(path, last), "{path} {last}");
        }
    }

    #[test]
    fn other_functions_are_not() {
        for (path, last) in [
            ("main", "main"),
            ("a::b", "c"),
            ("a::memcpy", "memmove"),
            ("a::parse", "next::parse"),
            ("a::b", ""),
            ("", "a"),
            ("::", ""),
            ("a::", "{closure#0}"),
        ] {
            assert!(!is_whole_path_of(path, last), "{path} {last}");
        }
    }
}
