//! Making names harmless. Names come from binaries, and binaries from anywhere.

use std::borrow::Cow;

use stoker_dag::{BoxIx, BoxKind, CallTree};

/// What stands for a function that has no name at all.
pub const NO_NAME: &str = "[no name]";
/// What stands for a stack without any frame.
pub const NO_STACK: &str = "[no stack]";

/// `name` without what a terminal or a line-based format would obey: control characters and marks
/// that turn the direction of text become U+FFFD, and an empty name says that it is.
#[must_use]
pub fn harmless(name: &str) -> Cow<'_, str> {
    if name.trim().is_empty() {
        return Cow::Borrowed(NO_NAME);
    }
    if !name.contains(is_obeyed) {
        return Cow::Borrowed(name);
    }
    Cow::Owned(name.replace(is_obeyed, "\u{fffd}"))
}

fn is_obeyed(c: char) -> bool {
    let turns =
        matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns || matches!(c, '\u{2028}' | '\u{2029}')
}

/// `name` as one frame of a collapsed stack: harmless, without the separator, and not to be taken
/// for a comment or a number of samples.
#[must_use]
pub fn collapsed_frame(name: &str) -> Cow<'_, str> {
    let clean = harmless(name);
    let looks_like_samples = clean
        .rsplit_once(' ')
        .is_some_and(|(_, last)| last.bytes().all(|b| b.is_ascii_digit() || b == b'.'));
    let special = clean.contains(';') || clean.starts_with(['#', ' ']) || clean.ends_with(' ');
    if !special && !looks_like_samples {
        return clean;
    }
    let mut frame = clean.trim().replace(';', ":");
    if frame.starts_with('#') {
        frame.insert(0, '_');
    }
    if looks_like_samples && let Some(at) = frame.rfind(' ') {
        frame.replace_range(at..=at, "_");
    }
    Cow::Owned(frame)
}

/// What a box is called where there is no column for its module: an address is given its module.
#[must_use]
pub fn box_name(tree: &CallTree, at: BoxIx) -> Cow<'_, str> {
    let label = tree.label[at.at()];
    let (name, module) = (tree.names.get(label.name), tree.names.get(label.module));
    let has_address = matches!(label.kind, BoxKind::Native | BoxKind::Kernel);
    if has_address && name.starts_with("0x") && !module.is_empty() {
        return Cow::Owned(format!("{module}+{name}"));
    }
    Cow::Borrowed(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_text_and_nothing_else() {
        for (name, wanted) in [
            ("main", "main"),
            ("<b>&amp;</b>", "<b>&amp;</b>"),
            ("\u{1b}[31mred\u{7}", "\u{fffd}[31mred\u{fffd}"),
            ("a\nb\r\u{9b}c", "a\u{fffd}b\u{fffd}\u{fffd}c"),
            ("evil\u{202e}gnp", "evil\u{fffd}gnp"),
            ("", NO_NAME),
            (" \t", NO_NAME),
        ] {
            assert_eq!(harmless(name), wanted);
        }
    }

    #[test]
    fn frames_keep_to_themselves() {
        for (name, wanted) in [
            ("main", "main"),
            ("[u8; 4]::sum", "[u8: 4]::sum"),
            ("# a comment", "_# a comment"),
            ("operator 12", "operator_12"),
            ("a b 1.5", "a b_1.5"),
            ("operator new[]", "operator new[]"),
            (" padded ", "padded"),
            ("x\n9", "x\u{fffd}9"),
            ("", NO_NAME),
        ] {
            assert_eq!(collapsed_frame(name), wanted);
        }
    }
}
