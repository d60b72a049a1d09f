//! What came before `profile.proto`. These formats carry addresses and a memory map for a program
//! that is long gone; google/pprof still converts them, so we name them and point there.

/// How each starts, and what it is.
const TEXTS: [(&str, &str); 14] = [
    ("heap profile:", "a legacy heap profile (text)"),
    ("heapz profile:", "a legacy heap profile (text)"),
    ("--- heap", "a legacy Java heap profile"),
    ("--- contention", "a legacy contention profile (text)"),
    ("--- mutex:", "a legacy mutex profile (text)"),
    ("mutex: count", "a legacy mutex profile (text)"),
    ("--- threadz", "a legacy thread profile (text)"),
    ("--- Threadz", "a legacy thread profile (text)"),
    ("goroutine profile: total", "a goroutine profile in text form (debug=1)"),
    ("threadcreate profile: total", "a thread creation profile in text form (debug=1)"),
    ("growth profile:", "a legacy growth profile (text)"),
    ("growthz profile:", "a legacy growth profile (text)"),
    ("fragmentation profile:", "a legacy fragmentation profile (text)"),
    ("--- symbol\nbinary=", "a legacy profile with symbols in front"),
];

/// What to do with one.
pub(crate) const HINT: &str =
    "convert it with `go tool pprof -proto -output=OUT.pb.gz FILE`, or fetch it without debug=1";

/// What legacy pprof file these bytes start, if they do.
#[must_use]
pub(crate) fn recognise(bytes: &[u8]) -> Option<&'static str> {
    let text = TEXTS.iter().find(|(start, _)| bytes.starts_with(start.as_bytes()));
    text.map(|(_, what)| *what).or_else(|| is_binary_cpu(bytes))
}

/// gperftools' CPU profile: words 0, 3, 0, period, 0 of either size and order.
fn is_binary_cpu(bytes: &[u8]) -> Option<&'static str> {
    let headers = [
        words(bytes, |word: [u8; 4]| u64::from(u32::from_le_bytes(word))),
        words(bytes, |word: [u8; 4]| u64::from(u32::from_be_bytes(word))),
        words(bytes, u64::from_le_bytes),
        words(bytes, u64::from_be_bytes),
    ];
    let is_header = |[count, slots, version, period, pad]: [u64; 5]| {
        (count, slots, version, pad) == (0, 3, 0, 0) && period != 0
    };
    let found = headers.into_iter().flatten().any(is_header);
    found.then_some("a legacy CPU profile of gperftools (binary)")
}

fn words<const N: usize>(bytes: &[u8], read: fn([u8; N]) -> u64) -> Option<[u64; 5]> {
    let mut found = [0; 5];
    for (slot, at) in found.iter_mut().zip((0..).step_by(N)) {
        *slot = read(*bytes.get(at..)?.first_chunk()?);
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sizes_and_orders_of_words_are_known() {
        let words = [0u32, 3, 0, 10_000, 0];
        let narrow = words.map(u32::to_le_bytes).concat();
        let wide = words.map(|word| u64::from(word).to_be_bytes()).concat();
        assert!(recognise(&narrow).is_some() && recognise(&wide).is_some());
        assert!(recognise(&narrow[..19]).is_none());
        assert!(recognise(b"heap profile: 1: 2 [3: 4] @ heapprofile").is_some());
        assert!(recognise(b"main;work 3").is_none());
    }
}
