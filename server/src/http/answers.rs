//! Answers that were given before, and are right still.
//!
//! An answer is kept under everything that it depends on: the endpoint, its parameters, the range as
//! it was resolved, and the version of the data. So nothing has to be thrown away when data come: the
//! question has another key then, and what is not asked for any more is the first to go. The key is
//! the answer's `ETag`, too.

use std::sync::{Mutex, PoisonError};

use axum::body::Bytes;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use rustc_hash::FxHashMap;

use super::run::Answer;
use crate::store::{DataVersion, TimeRange};

/// An answer may take this part of the cache: one must not drive out all others.
const MAX_PART: usize = 4;

/// What an answer depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key([u8; 16]);

impl Key {
    /// The key of a question: its parameters as they came, but for the range, which is resolved, and
    /// every range that it reads with the `version` of its data. Nothing where some version is not known.
    pub(super) fn of(
        endpoint: &str,
        parameters: &str,
        ranges: &[TimeRange],
        version: impl Fn(TimeRange) -> Option<DataVersion>,
    ) -> Option<Self> {
        let mut hasher = blake3::Hasher::new_derive_key("stoker 2026 answer");
        let is_range = |pair: &&str| pair.starts_with("from=") || pair.starts_with("until=");
        let rest = parameters.split('&').filter(|pair| !is_range(pair));
        for text in [endpoint].into_iter().chain(rest) {
            hasher.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
        }
        // Lengths stand before texts: what comes now is no text.
        hasher.update(&u64::MAX.to_le_bytes());
        for &range in ranges {
            for time in [range.from(), range.until()] {
                hasher.update(&time.0.to_le_bytes());
            }
            hasher.update(&version(range)?.0);
        }
        let mut key = [0; 16];
        hasher.finalize_xof().fill(&mut key);
        Some(Self(key))
    }

    /// Weak, because what is compressed on its way has other bytes.
    pub(super) fn etag(self) -> Option<HeaderValue> {
        let hex: String = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
        HeaderValue::try_from(format!("W/\"{hex}\"")).ok()
    }
}

/// The cache: least recently used out first, bounded in bytes.
#[derive(Debug)]
pub(super) struct Answers {
    limit: usize,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    answers: FxHashMap<Key, (Answer, u64)>,
    bytes: usize,
    clock: u64,
}

impl Answers {
    /// A cache of at most so many bytes; of 0 it keeps nothing.
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, held: Mutex::default() }
    }

    pub(super) fn get(&self, key: Key) -> Option<Answer> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.clock += 1;
        let clock = held.clock;
        held.answers.get_mut(&key).map(|(answer, used)| {
            *used = clock;
            answer.clone()
        })
    }

    pub(super) fn put(&self, key: Key, answer: &Answer) {
        let size = |bytes: &Bytes| bytes.len() + size_of::<(Key, Answer, u64)>();
        if size(&answer.bytes) > self.limit / MAX_PART {
            return;
        }
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.clock += 1;
        let clock = held.clock;
        held.bytes += size(&answer.bytes);
        if let Some((before, _)) = held.answers.insert(key, (answer.clone(), clock)) {
            held.bytes -= size(&before.bytes);
        }
        while held.bytes > self.limit {
            let oldest = held.answers.iter().min_by_key(|(_, (_, used))| *used);
            let Some(oldest) = oldest.map(|(key, _)| *key) else { break };
            if let Some((answer, _)) = held.answers.remove(&oldest) {
                held.bytes -= size(&answer.bytes);
            }
        }
    }

    #[cfg(test)]
    fn bytes(&self) -> usize {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).bytes
    }
}

/// Marks an answer: whoever has it already need not get it again.
pub(super) fn mark(response: &mut Response, key: Key) {
    let Some(etag) = key.etag() else { return };
    let headers = response.headers_mut();
    headers.insert(header::ETAG, etag);
    // To be kept, and asked about each time.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
}

/// Answers 304 where the client has the answer already.
pub(super) async fn conditional(request: Request, next: Next) -> Response {
    let known = request.headers().get_all(header::IF_NONE_MATCH).iter().cloned();
    let known: Vec<HeaderValue> = known.collect();
    let response = next.run(request).await;
    let etag = response.headers().get(header::ETAG);
    if response.status() != StatusCode::OK || !etag.is_some_and(|etag| has(&known, etag)) {
        return response;
    }
    let mut headers = HeaderMap::new();
    for name in [header::ETAG, header::CACHE_CONTROL, header::VARY] {
        headers.extend(response.headers().get(&name).map(|value| (name, value.clone())));
    }
    (StatusCode::NOT_MODIFIED, headers).into_response()
}

fn has(known: &[HeaderValue], etag: &HeaderValue) -> bool {
    let texts = known.iter().filter_map(|value| value.to_str().ok());
    let tags = texts.flat_map(|text| text.split(',')).map(str::trim);
    // A comparison for reading is weak, RFC 9110 section 13.1.2.
    let bare = |tag: &'_ str| tag.trim_start_matches("W/").to_owned();
    etag.to_str()
        .is_ok_and(|etag| tags.into_iter().any(|tag| tag == "*" || bare(tag) == bare(etag)))
}

#[cfg(test)]
mod tests {
    use stoker_dag::UnixNanos;

    use super::*;

    fn range(from: u64, until: u64) -> TimeRange {
        let window = |n| UnixNanos(n * 10_000_000_000);
        TimeRange::new(window(from), window(until))
    }

    fn answer(bytes: usize) -> Answer {
        Answer { bytes: vec![7; bytes].into(), content_type: "text/plain" }
    }

    #[test]
    fn everything_that_an_answer_depends_on_is_in_its_key() {
        let of = |endpoint, parameters, ranges: &[TimeRange], version| {
            Key::of(endpoint, parameters, ranges, |_| Some(DataVersion::of([version])))
        };
        let key = |parameters| of("top", parameters, &[range(1, 2)], 1);
        let first = key("query=cpu&from=now-1h&limit=5");
        assert_eq!(first, key("query=cpu&limit=5&until=now"), "the range is resolved");
        for other in [
            key("query=cpu&limit=6"),
            key("query=cpu"),
            key("query=cp&u&limit=5"),
            of("series", "query=cpu&limit=5", &[range(1, 2)], 1),
            of("top", "query=cpu&limit=5", &[range(1, 3)], 1),
            of("top", "query=cpu&limit=5", &[range(0, 2)], 1),
            of("top", "query=cpu&limit=5", &[range(1, 2), range(0, 1)], 1),
            of("top", "query=cpu&limit=5", &[range(1, 2)], 2),
        ] {
            assert_ne!(first, other);
        }
        let one = |known: TimeRange| move |r: TimeRange| (r == known).then(|| DataVersion::of([1]));
        let ranges = [range(1, 2), range(2, 3)];
        assert!(Key::of("top", "", &ranges[..1], one(range(1, 2))).is_some());
        assert_eq!(Key::of("top", "", &ranges, one(range(1, 2))), None, "nothing is kept");
    }

    #[test]
    fn the_cache_stays_within_its_bytes_and_drops_what_was_not_asked_for() {
        let answers = Answers::new(10_000);
        let key = |n| Key([n; 16]);
        answers.put(key(1), &answer(2_600));
        assert!(answers.get(key(1)).is_none(), "too large a part");
        for n in 2..6 {
            answers.put(key(n), &answer(2_000));
            assert!(answers.get(key(2)).is_some());
        }
        answers.put(key(6), &answer(2_000));
        let held: Vec<u8> = (2..7).filter(|n| answers.get(key(*n)).is_some()).collect();
        assert_eq!(held, [2, 4, 5, 6]);
        assert!(answers.bytes() <= 10_000);
        let none = Answers::new(0);
        none.put(key(1), &answer(0));
        assert!(none.get(key(1)).is_none());
    }
}
