//! Texts out of files that somebody else made.

/// `text` with control characters replaced, cut at a character's end to at most `bytes_max` bytes.
#[must_use]
pub fn clean_text(text: &str, bytes_max: usize) -> String {
    let printable = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    let mut clean = String::with_capacity(text.len().min(bytes_max));
    for c in text.chars().map(printable) {
        if clean.len() + c.len_utf8() > bytes_max {
            break;
        }
        clean.push(c);
    }
    clean
}
