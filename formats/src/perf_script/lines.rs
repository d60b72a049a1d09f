//! The lines of `perf script`: a header per event, a line per frame, an empty line.

/// The header of an event:
///
/// ```text
/// java 24636/25607 [000] 4794564.109216:     257597 cycles:u:  ffffffff9aa3c8de main (/bin/a)
/// ```
/// Program and thread id come first; processor, time and period may be missing. Events without a
/// call chain may carry their only frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header<'a> {
    pub(super) comm: &'a str,
    pub(super) pid: Option<&'a str>,
    pub(super) tid: &'a str,
    pub(super) time_ns: Option<u64>,
    pub(super) period: Option<u64>,
    /// Without modifiers: `cycles` for `cycles:u`.
    pub(super) event: &'a str,
    /// What stands behind the event: a frame, or a tracepoint's text.
    pub(super) rest: &'a str,
}

/// A frame: address, function with its offset, module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StackLine<'a> {
    pub(super) function: &'a str,
    pub(super) module: &'a str,
}

/// Letters that follow an event's name: who is counted (user, kernel, …), how precisely.
const MODIFIERS: &str = "ukhGHIpPSDWeb";

/// The first word of `text` and what follows it.
fn word(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start();
    if text.is_empty() {
        return None;
    }
    Some(text.split_once([' ', '\t']).unwrap_or((text, "")))
}

impl<'a> Header<'a> {
    pub(super) fn parse(line: &'a str) -> Option<Self> {
        let line = line.trim_end();
        let start = line.len() - line.trim_start().len();
        let mut from = start;
        // A program's name may hold spaces and numbers: the first number that fits is the thread.
        while let Some(space) = line.get(from..)?.find(' ').map(|at| from + at) {
            let ids = line[space..].trim_start();
            let parsed = ids
                .split_once(' ')
                .and_then(|(ids, rest)| Some((thread(ids)?, Tail::parse(rest)?)));
            if let Some(((pid, tid), tail)) = parsed {
                let comm = line[start..space].trim();
                let Tail { time_ns, period, event, rest } = tail;
                return Some(Self { comm, pid, tid, time_ns, period, event, rest });
            }
            from = line.len() - ids.len();
        }
        None
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `tid` or `pid/tid`.
fn thread(word: &str) -> Option<(Option<&str>, &str)> {
    match word.split_once('/') {
        Some((pid, tid)) if is_number(pid) && is_number(tid) => Some((Some(pid), tid)),
        None if is_number(word) => Some((None, word)),
        _ => None,
    }
}

/// What follows the thread.
struct Tail<'a> {
    time_ns: Option<u64>,
    period: Option<u64>,
    event: &'a str,
    rest: &'a str,
}

impl<'a> Tail<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (mut first, mut rest) = word(text)?;
        if first.starts_with('[') && first.ends_with(']') {
            (first, rest) = word(rest)?;
        }
        let mut time_ns = None;
        if let Some(time) = first.strip_suffix(':').and_then(nanoseconds) {
            time_ns = Some(time);
            (first, rest) = word(rest)?;
        }
        let mut period = None;
        if is_number(first) {
            period = first.parse().ok();
            (first, rest) = word(rest)?;
        }
        let event = event_name(first.strip_suffix(':')?);
        if event.is_empty() || is_number(event) {
            return None;
        }
        Some(Self { time_ns, period, event, rest: rest.trim() })
    }
}

/// `198789.478194` seconds.
fn nanoseconds(text: &str) -> Option<u64> {
    let (seconds, fraction) = text.split_once('.')?;
    if !is_number(seconds) || !is_number(fraction) || fraction.len() > 9 {
        return None;
    }
    let scale = 10u64.pow(9 - u32::try_from(fraction.len()).ok()?);
    let nanos = fraction.parse::<u64>().ok()? * scale;
    seconds.parse::<u64>().ok()?.checked_mul(1_000_000_000)?.checked_add(nanos)
}

fn event_name(event: &str) -> &str {
    match event.rsplit_once(':') {
        Some((name, modifiers)) if modifiers.chars().all(|c| MODIFIERS.contains(c)) => name,
        _ => event,
    }
}

impl<'a> StackLine<'a> {
    pub(super) fn parse(line: &'a str) -> Option<Self> {
        let (address, rest) = word(line)?;
        if !address.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let rest = rest.trim_end();
        let inside = rest.strip_suffix(')')?;
        // The module is the last group; it may hold spaces, and `(deleted)` of its own.
        let deleted = inside.strip_suffix(" (deleted)").or(inside.strip_suffix(" (deleted"));
        let inside = deleted.unwrap_or(inside);
        let open = match inside.rfind(" (") {
            Some(at) => at,
            None if inside.starts_with('(') => {
                return Some(Self { function: "", module: &inside[1..] });
            }
            None => return None,
        };
        Some(Self { function: inside[..open].trim(), module: &inside[open + 2..] })
    }
}

/// Whether a text starts as `perf script` prints: a header, then a frame, an empty line or the end.
pub(crate) fn looks_like(text: &str) -> bool {
    let mut lines = text.lines().filter(|line| !line.starts_with('#'));
    let Some(first) = lines.find(|line| !line.trim().is_empty()) else {
        return false;
    };
    let Some(header) = Header::parse(first) else {
        return false;
    };
    match lines.next().map(str::trim) {
        None | Some("") => header.time_ns.is_some(),
        Some(second) => {
            StackLine::parse(second).is_some()
                || (header.time_ns.is_some() && Header::parse(second).is_some())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_every_shape() {
        for (line, comm, ids, period, event) in [
            ("java 25607 4794564.109216: cycles:", "java", "-/25607", None, "cycles"),
            ("java 1/2 [000] 4.109: cpu-clock:pppH:", "java", "1/2", None, "cpu-clock"),
            (
                "  V8 WorkerThread 7 94.1:   257597 cycles:u:",
                "V8 WorkerThread",
                "-/7",
                Some(257_597),
                "cycles",
            ),
            (
                "app 2 beta 913 72.17: 1 sched:sched_switch: x:1",
                "app 2 beta",
                "-/913",
                Some(1),
                "sched:sched_switch",
            ),
            ("a 9 cycles:", "a", "-/9", None, "cycles"),
        ] {
            let header = Header::parse(line).unwrap_or_else(|| panic!("{line}"));
            let shown = format!("{}/{}", header.pid.unwrap_or("-"), header.tid);
            assert_eq!(
                (header.comm, &*shown, header.period, header.event),
                (comm, ids, period, event)
            );
        }
        for line in ["", "1 2", "a b c", "a;b;c 1", "123 456 7.8: 9", "é 1 2 3", "a 1 2.3:"] {
            assert_eq!(Header::parse(line), None, "{line}");
        }
        assert_eq!(nanoseconds("198789.478194"), Some(198_789_478_194_000));
    }

    #[test]
    fn frames_of_every_shape() {
        for (line, function, module) in [
            (
                "ffffffff8103ce3b native_safe_halt ([kernel.kallsyms])",
                "native_safe_halt",
                "[kernel.kallsyms]",
            ),
            (
                "  7f53 _dl_check+0x597 (/usr/lib/ld-2.28.so)",
                "_dl_check+0x597",
                "/usr/lib/ld-2.28.so",
            ),
            ("7f1e2215d058  (/lib/libc.so)", "", "/lib/libc.so"),
            ("1 f(int, char) (/tmp/my app (deleted))", "f(int, char)", "/tmp/my app"),
            ("0 [unknown] ([unknown])", "[unknown]", "[unknown]"),
        ] {
            assert_eq!(StackLine::parse(line), Some(StackLine { function, module }), "{line}");
        }
        for line in ["", "main.c:12", "xyz main (/a)", "12 main", "12"] {
            assert_eq!(StackLine::parse(line), None, "{line}");
        }
    }
}
