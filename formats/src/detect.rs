//! Which format bytes are in. The content decides; a file's name is asked only when the content
//! could be several things, because names lie (`profile.txt`, `out`, `-`).

use crate::error::ReadError;
use crate::{Format, gzip, perf_script, pprof};

/// How much of the content is looked at.
const PEEK_BYTES: usize = 64 << 10;

/// Formats that are known and not read: how they start, what they are, what to do instead.
const REFUSED: [(&[u8], &str, &str); 9] = [
    (b"PERFILE2", "a perf.data file", "run `perf script -i FILE` and give that text"),
    (b"FLR\0", "a Java Flight Recorder file", "convert it to collapsed stacks or pprof"),
    (b"\x7fELF", "an ELF binary", "give the profile instead"),
    (b"PK\x03\x04", "a zip archive", "unpack it first"),
    (b"\x28\xb5\x2f\xfd", "a zstd file", "unpack it first (`zstd -d`)"),
    (b"BZh", "a bzip2 file", "unpack it first (`bunzip2`)"),
    (b"\xfd7zXZ", "an xz file", "unpack it first (`xz -d`)"),
    (b"<", "HTML, SVG or XML", "give the profile that it was made from"),
    (b"go 1.", "a Go execution trace", "fetch `/debug/pprof/profile` instead"),
];

/// JSON that is known and not read: a key that tells it, and what it is.
const OTHER_JSON: [(&[u8], &str); 4] = [
    (b"\"traceEvents\"", "a Chrome trace"),
    (b"\"timeDeltas\"", "a V8 CPU profile"),
    (b"\"stackTable\"", "a Firefox profile"),
    (b"\"resourceProfiles\"", "an OTLP profile in JSON"),
];
const JSON_HINT: &str = "open it in speedscope, save it from there (Ctrl+S) and give that file";

/// The format of `bytes`. `file_name` may be empty.
///
/// # Errors
/// When there is nothing, when nobody knows the format, or when it is known and not read.
pub fn detect(bytes: &[u8], file_name: &str) -> Result<Format, ReadError> {
    let start = gzip::peek(bytes, PEEK_BYTES);
    if start.is_empty() {
        let nothing = bytes.is_empty();
        return Err(if nothing { ReadError::Empty } else { unreadable_envelope(bytes) });
    }
    let trimmed = start.trim_ascii_start();
    if let Some(what) = pprof::legacy::recognise(&start) {
        return Err(ReadError::Refused { what, hint: pprof::legacy::HINT });
    }
    // Functions are called `<T as Trait>::f`, too.
    let is_refused = |magic: &[u8]| {
        trimmed.starts_with(magic) && !(magic == b"<" && begins_with_a_stack(trimmed))
    };
    if let Some((_, what, hint)) = REFUSED.iter().find(|(magic, ..)| is_refused(magic)) {
        return Err(ReadError::Refused { what, hint });
    }
    if begins_like_json(trimmed) {
        return json(trimmed, file_name);
    }
    let is_whole = start.len() < PEEK_BYTES;
    if pprof::looks_like(&start, is_whole) {
        return Ok(Format::Pprof);
    }
    match text(&start, file_name) {
        // The part that came out of a broken envelope looks like anything.
        Err(_) if gzip::is_gzip(bytes) && is_whole => Err(broken_envelope(bytes, &start)),
        found => found,
    }
}

fn begins_with_a_stack(start: &[u8]) -> bool {
    let line = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
    crate::collapsed::stack_and_value(String::from_utf8_lossy(line).trim_end()).is_ok()
}

/// Stacks begin with brackets and braces as well: `[unwind failed: …]`, `[kernel]`, `{closure}`.
fn begins_like_json(start: &[u8]) -> bool {
    let Some((first, rest)) = start.split_first() else { return false };
    let next = rest.trim_ascii_start();
    let is_word = |word: &[u8]| {
        let after = next.strip_prefix(word).map(|after| after.first().copied());
        after.is_some_and(|after| !after.is_some_and(|byte| byte.is_ascii_alphanumeric()))
    };
    match (first, next.first()) {
        (b'{', after) => matches!(after, None | Some(b'"' | b'}')),
        (b'[', None | Some(b'"' | b'{' | b'[' | b']' | b'-' | b'0'..=b'9')) => true,
        (b'[', _) => [&b"true"[..], b"false", b"null"].into_iter().any(is_word),
        _ => false,
    }
}

/// What is wrong with an envelope, or with the whole that came out of it.
fn broken_envelope(bytes: &[u8], start: &[u8]) -> ReadError {
    let unknown = || text(start, "").err().unwrap_or(ReadError::Empty);
    gzip::inflate(bytes, PEEK_BYTES).err().unwrap_or_else(unknown)
}

/// An envelope of which not one byte comes out: the reader says what is wrong with it.
fn unreadable_envelope(bytes: &[u8]) -> ReadError {
    gzip::inflate(bytes, PEEK_BYTES).err().unwrap_or(ReadError::Empty)
}

fn json(start: &[u8], file_name: &str) -> Result<Format, ReadError> {
    let has = |key: &[u8]| start.windows(key.len()).any(|window| window == key);
    let is_named = file_name.contains(".speedscope");
    let is_shaped = has(b"\"profiles\"") || has(b"\"frames\"") || has(b"\"events\"");
    if has(b"speedscope.app/file-format-schema") || (has(b"\"shared\"") && is_shaped) || is_named {
        return Ok(Format::Speedscope);
    }
    match OTHER_JSON.iter().find(|(key, _)| has(key)) {
        Some((_, what)) => Err(ReadError::Refused { what, hint: JSON_HINT }),
        None => Err(ReadError::Unknown("; this is JSON of another kind")),
    }
}

fn text(start: &[u8], file_name: &str) -> Result<Format, ReadError> {
    if start.contains(&0) {
        return Err(ReadError::Unknown("; this is binary data of another kind"));
    }
    let text = String::from_utf8_lossy(start);
    if perf_script::looks_like(&text) {
        return Ok(Format::PerfScript);
    }
    let is_stack = |line: &str| crate::collapsed::stack_and_value(line).is_ok();
    if text.lines().any(is_stack) {
        return Ok(Format::Collapsed);
    }
    // Nothing in it is a stack; what it was meant to be says what is wrong with it.
    let meant = [".collapsed", ".folded"].iter().any(|end| file_name.contains(end));
    if meant { Ok(Format::Collapsed) } else { Err(ReadError::Unknown("; this is other text")) }
}
