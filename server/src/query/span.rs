//! Spans: exact stretches of time, shorter than a window if need be. A query over a span is answered from
//! samples that are kept one by one, and from nothing else; where some samples of its windows are not
//! kept so, the answer says how many.

use std::fmt;
use std::ops::ControlFlow;
use std::time::Instant;

use stoker_dag::{Definition, Frame, FrameId, SampleRow, UnixNanos};

use super::details::{Coverage, covered};
use super::error::QueryError;
use super::parts::Parts;
use super::time::{self, TimeError};
use super::{Engine, Query};
use crate::store::{
    DataVersion, DetailedRow, DetailsView, DetailsVisitor, DictionaryId, Names, PartView,
    PartVisitor, Rollups, StoreError, TenantId, TimeRange, Wanted, WindowRows,
};

/// Nanoseconds in a second.
const SECOND_NS: u64 = 1_000_000_000;

/// A half-open stretch of time, exact to the nanosecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    from: UnixNanos,
    until: UnixNanos,
}

impl Span {
    /// `[from, until)`.
    ///
    /// # Errors
    /// When it is empty or upside down.
    pub fn new(from: UnixNanos, until: UnixNanos) -> Result<Self, TimeError> {
        time::widened(from, until).map(|_| Self { from, until })
    }

    /// The span that `FROM..UNTIL` names: Unix seconds with up to nine decimals, or RFC 3339.
    ///
    /// # Errors
    /// When it names none.
    pub fn parse(text: &str) -> Result<Self, TimeError> {
        let hint = "write it as FROM..UNTIL in Unix seconds, such as 1760000000.25..1760000000.5";
        let wrong = || {
            let shown: String = text.chars().take(80).collect();
            TimeError::new(format!("{shown:?} is no span of time"), hint)
        };
        let (from, until) = text.split_once("..").ok_or_else(wrong)?;
        let moment = |text: &str| match seconds(text) {
            Some(at) => Ok(at),
            None if text.contains('T') => time::moment(text, UnixNanos(0)),
            None => Err(wrong()),
        };
        Self::new(moment(from)?, moment(until)?)
    }

    /// The windows that it touches.
    #[must_use]
    pub fn range(&self) -> TimeRange {
        TimeRange::new(self.from, self.until)
    }

    fn holds(&self, at: UnixNanos) -> bool {
        self.from <= at && at < self.until
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |at: UnixNanos| {
            let text = format!("{}.{:09}", at.0 / SECOND_NS, at.0 % SECOND_NS);
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        };
        write!(f, "{}..{}", shown(self.from), shown(self.until))
    }
}

/// Unix seconds as they are written, without a detour over binary fractions.
fn seconds(text: &str) -> Option<UnixNanos> {
    let (whole, rest) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || rest.len() > 9 || !is_number(whole) || !is_number(rest) {
        return None;
    }
    let rest: u64 = format!("{rest:0<9}").parse().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(SECOND_NS)?.checked_add(rest).map(UnixNanos)
}

/// Runs `work` on the samples of `span` alone; on everything where there is none.
///
/// # Errors
/// As `work`, and when the samples cannot be counted.
pub fn spanned<T, E: From<QueryError>>(
    engine: Engine<'_>,
    query: &Query,
    span: Option<Span>,
    work: impl FnOnce(Engine<'_>) -> Result<T, E>,
) -> Result<T, E> {
    let Some(span) = span else { return work(engine) };
    let parts = SpanParts { parts: engine.parts, span, coverage: covered(engine, query)? };
    work(Engine { parts: &parts, ..engine })
}

/// The samples of a span as rows.
struct SpanParts<'a> {
    parts: &'a dyn Parts,
    span: Span,
    /// Of the windows that the span touches.
    coverage: Coverage,
}

impl SpanParts<'_> {
    fn rows(&self, view: &DetailsView<'_>) -> Vec<WindowRows> {
        let windows = view.windows.iter().map(|held| {
            let samples = held.samples.iter();
            let samples = samples.filter(|sample| self.span.holds(sample.at(held.window)));
            let rows: Vec<SampleRow> = samples.map(DetailedRow::row).collect();
            WindowRows { window: held.window, profile_type: held.profile_type.clone(), rows }
        });
        windows.filter(|held| !held.rows.is_empty()).collect()
    }
}

impl Parts for SpanParts<'_> {
    fn visit(&self, wanted: Wanted<'_>, visit: &mut PartVisitor<'_>) -> Result<(), StoreError> {
        let mut is_over = false;
        // What hosts say of their time is of whole windows; their rows are not looked at.
        let hosts = Wanted { series: Some(&|_| false), sums: false, ..wanted };
        self.parts.visit(hosts, &mut |part| {
            let flow = visit(PartView { windows: &[], totals: &[], sums: None, ..part });
            is_over = flow.is_break();
            flow
        })?;
        if is_over {
            return Ok(());
        }
        let mut number = 0;
        self.parts.visit_details(wanted, &mut |view| {
            let windows = self.rows(&view);
            if windows.is_empty() {
                return ControlFlow::Continue(());
            }
            // A live log's dictionary grows: each look at it counts as one of its own.
            number += 1;
            let id = DictionaryId::of(u64::MAX - number);
            visit(PartView::raw(view.dictionary, id, &windows, &[]))
        })
    }

    fn visit_details(
        &self,
        wanted: Wanted<'_>,
        visit: &mut DetailsVisitor<'_>,
    ) -> Result<(), StoreError> {
        self.parts.visit_details(wanted, visit)
    }

    fn rollups(&self, range: TimeRange) -> Option<Rollups> {
        self.parts.rollups(range)
    }

    fn tenant(&self) -> TenantId {
        self.parts.tenant()
    }

    fn missing(&self, range: TimeRange) -> Vec<String> {
        let mut missing = self.parts.missing(range);
        let Coverage { with_time, without_time, .. } = self.coverage;
        if without_time > 0 {
            let all = with_time + without_time;
            missing.push(format!(
                "{without_time} of {all} samples of the windows around the span were not taken one \
                 by one (--detailed): those are not in this answer"
            ));
        }
        missing
    }

    fn version(&self, range: TimeRange) -> Option<DataVersion> {
        self.parts.version(range)
    }

    fn names(&self, read: &mut dyn FnMut(&Names)) {
        self.parts.names(read);
    }

    fn late_definitions(
        &self,
        frames: &mut dyn Iterator<Item = (FrameId, &Frame)>,
        deadline: Option<Instant>,
    ) -> Vec<(FrameId, Definition)> {
        self.parts.late_definitions(frames, deadline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_exact() {
        for (text, from, until) in [
            ("1760000000.25..1760000000.5", 1_760_000_000_250_000_000, 1_760_000_000_500_000_000),
            ("0.000000001..1", 1, SECOND_NS),
            (
                "1760000000.123456789..1760000001",
                1_760_000_000_123_456_789,
                1_760_000_001 * SECOND_NS,
            ),
        ] {
            let span = Span::parse(text).unwrap();
            assert_eq!((span.from.0, span.until.0), (from, until), "{text}");
            assert_eq!(span.to_string(), text);
        }
        let span = Span::parse("2025-10-09T08:53:20.5Z..2025-10-09T08:53:21Z").unwrap();
        assert_eq!(span.to_string(), "1760000000.5..1760000001");
        assert_eq!(span.range(), TimeRange::new(span.from, span.until));
    }

    #[test]
    fn what_is_no_span_is_said() {
        for text in [
            "",
            "..",
            "1",
            "1..",
            "2..1",
            "1..1",
            "1.0000000001..2",
            "-1..2",
            "1e3..2e3",
            "now-1m..now",
            "999999999999..9999999999999",
        ] {
            let error = Span::parse(text).expect_err(text);
            assert!(!error.hint.is_empty(), "{text}");
        }
    }
}
