//! Times and ranges as people write them: RFC 3339, Unix seconds, or `now-15m`.
//!
//! Pure: the present is an argument. Ranges are half-open and widened to whole windows, so that an
//! answer always holds whole windows and says which.

use std::time::Duration;

use stoker_dag::{UnixNanos, WINDOW_NS};

const SECOND_NS: u64 = 1_000_000_000;
/// Numbers above this are no Unix seconds that anyone means (the year 5138).
const MAX_SECONDS: f64 = 100_000_000_000.0;
const HINT: &str = "write RFC 3339 (2026-01-31T12:00:00Z), Unix seconds, or now-15m";

/// The units of durations, the longest name first.
const UNITS: [(&str, u64); 6] = [
    ("ms", 1_000_000),
    ("s", SECOND_NS),
    ("m", 60 * SECOND_NS),
    ("h", 3600 * SECOND_NS),
    ("d", 86_400 * SECOND_NS),
    ("w", 604_800 * SECOND_NS),
];

/// Why a text is no time, duration or range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TimeError {
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub hint: String,
}

impl TimeError {
    pub(super) fn new(message: String, hint: &str) -> Self {
        Self { message, hint: hint.to_owned() }
    }
}

/// The moment that `text` names, seen from `now`.
///
/// # Errors
/// When it is in none of the three forms, or not between 1970 and 2554.
pub fn moment(text: &str, now: UnixNanos) -> Result<UnixNanos, TimeError> {
    let text = text.trim();
    if text == "now" {
        return Ok(now);
    }
    if let Some(rest) = text.strip_prefix("now-") {
        let back = duration(rest)?;
        let back_ns = u64::try_from(back.as_nanos()).unwrap_or(u64::MAX);
        return Ok(UnixNanos(now.0.saturating_sub(back_ns)));
    }
    if text.starts_with("now") {
        let message = format!("{:?} is no time", shown(text));
        return Err(TimeError::new(message, "after now comes -, as in now-15m"));
    }
    match text.parse::<f64>() {
        Ok(seconds) => unix_seconds(text, seconds),
        Err(_) => rfc_3339(text),
    }
}

fn unix_seconds(text: &str, seconds: f64) -> Result<UnixNanos, TimeError> {
    if seconds.is_finite() && seconds >= MAX_SECONDS {
        let message = format!("{} is too large for Unix seconds", shown(text));
        return Err(TimeError::new(
            message,
            "divide milliseconds by 1000, nanoseconds by 1000000000",
        ));
    }
    // Exact for whole seconds, which is what programs send.
    if let Some(whole) = text.parse::<u64>().ok().and_then(|s| s.checked_mul(SECOND_NS)) {
        return Ok(UnixNanos(whole));
    }
    let since_1970 = Duration::try_from_secs_f64(seconds).ok();
    let nanos = since_1970.and_then(|duration| u64::try_from(duration.as_nanos()).ok());
    nanos.map(UnixNanos).ok_or_else(|| {
        let message = format!("{} is not between 1970 and 2554", shown(text));
        TimeError::new(message, HINT)
    })
}

fn rfc_3339(text: &str) -> Result<UnixNanos, TimeError> {
    let Ok(timestamp) = text.parse::<jiff::Timestamp>() else {
        // A plus sign that was not encoded in an address arrives as a space.
        let hint = match text.rsplit_once(' ') {
            Some((_, offset)) if offset.len() == 5 && offset.contains(':') => {
                "write the + of a time zone as %2B in an address"
            }
            _ => HINT,
        };
        return Err(TimeError::new(format!("{:?} is no time", shown(text)), hint));
    };
    u64::try_from(timestamp.as_nanosecond())
        .map(UnixNanos)
        .map_err(|_| TimeError::new(format!("{text} is not between 1970 and 2554"), HINT))
}

/// The duration that `text` names, as `15m`, `1h30m`, `2d`.
///
/// # Errors
/// When it is none.
pub fn duration(text: &str) -> Result<Duration, TimeError> {
    let wrong = || {
        let message = format!("{:?} is no duration", shown(text));
        TimeError::new(message, "write it like 30s, 15m, 1h30m or 2d")
    };
    let mut rest = text.trim();
    let mut nanos = 0u64;
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = &rest[digits..];
        let unit = UNITS.iter().find(|(name, _)| rest.starts_with(name));
        let (name, unit_ns) = unit.ok_or_else(wrong)?;
        rest = &rest[name.len()..];
        nanos = number
            .checked_mul(*unit_ns)
            .and_then(|part| nanos.checked_add(part))
            .ok_or_else(wrong)?;
    }
    Ok(Duration::from_nanos(nanos))
}

/// What of a wrong text is repeated in a message.
fn shown(text: &str) -> String {
    text.chars().take(64).collect()
}

/// The first and the last moment, widened to whole windows.
///
/// # Errors
/// When the range is empty or upside down.
pub fn widened(from: UnixNanos, until: UnixNanos) -> Result<(UnixNanos, UnixNanos), TimeError> {
    if from >= until {
        let message = format!(
            "the range is upside down: it starts at {} and ends at {}",
            rfc(from),
            rfc(until)
        );
        return Err(TimeError::new(message, "make `from` earlier than `until`"));
    }
    let end = until.0.div_ceil(WINDOW_NS).saturating_mul(WINDOW_NS);
    Ok((from.window_start(), UnixNanos(end)))
}

/// A moment as RFC 3339, in seconds.
#[must_use]
pub fn rfc(at: UnixNanos) -> String {
    let seconds = i64::try_from(at.0 / SECOND_NS).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds).map_or_else(|_| at.0.to_string(), |t| t.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixNanos = UnixNanos(1_760_000_000 * SECOND_NS);

    #[test]
    fn the_three_forms_are_read() {
        for (text, seconds) in [
            ("now", 1_760_000_000),
            ("now-15m", 1_760_000_000 - 900),
            ("now-1h30m", 1_760_000_000 - 5400),
            ("now-1d", 1_760_000_000 - 86_400),
            ("now-9000w", 0),
            ("1760000000", 1_760_000_000),
            (" 17 ", 17),
            ("0", 0),
            ("2025-10-09T08:53:20Z", 1_760_000_000),
            ("2025-10-09T10:53:20+02:00", 1_760_000_000),
        ] {
            let wanted = Ok(UnixNanos(seconds * SECOND_NS));
            assert_eq!(moment(text, NOW), wanted, "{text}");
        }
        assert_eq!(moment("1.5", NOW), Ok(UnixNanos(1_500_000_000)));
    }

    #[test]
    fn what_is_no_time_is_said() {
        for (text, message, hint) in [
            ("", "\"\" is no time", "RFC 3339"),
            ("yesterday", "is no time", "now-15m"),
            ("now-", "\"\" is no duration", "1h30m"),
            ("now-5", "is no duration", "1h30m"),
            ("now-5y", "is no duration", "1h30m"),
            ("now+5m", "is no time", "now-15m"),
            ("1760000000000", "too large", "divide"),
            ("-5", "1970", "RFC 3339"),
            ("nan", "1970", "RFC 3339"),
            ("1960-01-01T00:00:00Z", "1970", "RFC 3339"),
            ("2025-10-09T10:53:20 02:00", "is no time", "%2B"),
            ("now-99999999999999999999d", "is no duration", "1h30m"),
        ] {
            let error = moment(text, NOW).expect_err(text);
            assert!(error.message.contains(message), "{text}: {error}");
            assert!(error.hint.contains(hint), "{text}: {}", error.hint);
        }
    }

    #[test]
    fn ranges_are_widened_to_windows_and_never_empty() {
        let at = |seconds: u64| UnixNanos(seconds * SECOND_NS);
        assert_eq!(widened(at(11), at(12)), Ok((at(10), at(20))));
        assert_eq!(widened(at(10), at(20)), Ok((at(10), at(20))));
        assert!(widened(at(20), at(20)).is_err());
        let error = widened(at(30), at(20)).unwrap_err();
        assert!(error.message.contains("upside down"), "{error}");
        assert!(error.message.contains("1970-01-01T00:00:30Z"), "{error}");
    }
}
