//! Which entry tells about which stretch of text, in order of address and without overlaps.

use gimli::UnwindSection;

use super::CompileError;
use super::expression::Bytes;
use super::frames::{Frames, Kind};
use super::limits::FDES_MAX;
use super::program::Entry;
use super::report::Dropped;

/// A stretch of text and who tells about it. Offsets are bytes from the start of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stretch {
    pub start: u32,
    pub teller: Teller,
    pub end: u32,
}

/// Who tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Teller {
    /// Go's function table, from this run on.
    Go(u32),
    /// The entry of a section, by its offset there.
    Fde(Kind, u32),
    /// Nobody: an entry point.
    EntryPoint,
}

/// The text in virtual addresses of the file.
pub(super) type Text = std::ops::Range<u64>;

/// Adds the entries of a section that lie within `text`.
pub(super) fn add<'a, S>(
    stretches: &mut Vec<Stretch>,
    frames: &mut Frames<'a, S>,
    text: &Text,
    dropped: &mut Dropped,
) -> Result<(), CompileError>
where
    S: UnwindSection<Bytes<'a>>,
    S::Offset: From<usize>,
{
    let kind = frames.kind();
    frames.scan(dropped, |at, entry, dropped| {
        let Some(place) = place(entry, text, dropped) else { return Ok(()) };
        if stretches.len() >= FDES_MAX {
            return Err(CompileError::TooManyFdes);
        }
        let teller = Teller::Fde(kind, at);
        stretches.push(Stretch { start: place.start, teller, end: place.end });
        Ok(())
    })
}

/// The entry's bytes of text, as offsets.
fn place(entry: &Entry<'_>, text: &Text, dropped: &mut Dropped) -> Option<std::ops::Range<u32>> {
    if entry.fde.len() == 0 {
        dropped.empty += 1;
        return None;
    }
    let start = entry.fde.initial_address();
    let end = start.checked_add(entry.fde.len()).filter(|&end| end <= text.end);
    let offset = |address: u64| u32::try_from(address.checked_sub(text.start)?).ok();
    let place = offset(start).zip(end.and_then(offset)).map(|(start, end)| start..end);
    dropped.outside += u64::from(place.is_none());
    place
}

/// Sorts; of entries with the same start one stays.
pub(super) fn sort(stretches: &mut Vec<Stretch>, dropped: &mut Dropped) {
    if !stretches.is_sorted() {
        stretches.sort_unstable();
    }
    let before = stretches.len();
    stretches.dedup_by_key(|stretch| stretch.start);
    dropped.overlapped += (before - stretches.len()) as u64;
    let overlaps = stretches.windows(2).filter(|pair| pair[0].end > pair[1].start);
    dropped.overlapped += overlaps.count() as u64;
}

/// Removes from `others` what any of `stretches`, which are sorted, tells about.
pub(super) fn without(others: &mut Vec<Stretch>, stretches: &[Stretch], dropped: &mut Dropped) {
    let before = others.len();
    others.retain(|other| {
        let after = stretches.partition_point(|stretch| stretch.start < other.end);
        after.checked_sub(1).is_none_or(|last| stretches[last].end <= other.start)
    });
    dropped.duplicate += (before - others.len()) as u64;
}

/// Adds an entry point of up to `bytes_max` bytes where nobody tells about `at`. Says whether.
pub(super) fn add_entry_point(
    stretches: &mut Vec<Stretch>,
    at: u32,
    bytes_max: u32,
    end: u32,
) -> bool {
    let next = stretches.partition_point(|stretch| stretch.start <= at);
    let is_told = next.checked_sub(1).is_some_and(|last| stretches[last].end > at);
    if is_told || at >= end {
        return false;
    }
    let end = stretches.get(next).map_or(end, |next| next.start).min(at.saturating_add(bytes_max));
    stretches.insert(next, Stretch { start: at, teller: Teller::EntryPoint, end });
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stretch(start: u32, end: u32, at: u32) -> Stretch {
        Stretch { start, teller: Teller::Fde(Kind::EhFrame, at), end }
    }

    #[test]
    fn of_one_start_the_first_read_stays_and_overlaps_are_counted() {
        let mut dropped = Dropped::default();
        let mut all =
            vec![stretch(9, 12, 3), stretch(0, 10, 2), stretch(0, 4, 1), stretch(12, 13, 0)];
        sort(&mut all, &mut dropped);
        assert_eq!(all, [stretch(0, 4, 1), stretch(9, 12, 3), stretch(12, 13, 0)]);
        assert_eq!(dropped.overlapped, 1);
        let mut all = vec![stretch(0, 10, 1), stretch(9, 12, 2)];
        sort(&mut all, &mut dropped);
        assert_eq!((all.len(), dropped.overlapped), (2, 2));
    }

    #[test]
    fn the_second_section_tells_only_what_the_first_does_not() {
        let mut dropped = Dropped::default();
        let first = [stretch(10, 20, 0), stretch(30, 40, 1)];
        let mut others: Vec<_> = [(0, 10), (0, 11), (12, 13), (20, 30), (39, 50), (40, 41)]
            .map(|(a, b)| stretch(a, b, 0))
            .into();
        without(&mut others, &first, &mut dropped);
        assert_eq!(others, [(0, 10), (20, 30), (40, 41)].map(|(a, b)| stretch(a, b, 0)));
        assert_eq!(dropped.duplicate, 3);
    }

    #[test]
    fn an_entry_point_reaches_to_the_next_function() {
        let mut all = vec![stretch(10, 20, 0), stretch(30, 40, 1)];
        assert!(!add_entry_point(&mut all, 10, 64, 100));
        assert!(!add_entry_point(&mut all, 19, 64, 100));
        assert!(!add_entry_point(&mut all, 100, 64, 100));
        assert!(add_entry_point(&mut all, 20, 64, 100));
        assert!(add_entry_point(&mut all, 50, 8, 100));
        let ends: Vec<_> = all.iter().map(|s| (s.start, s.end)).collect();
        assert_eq!(ends, [(10, 20), (20, 30), (30, 40), (50, 58)]);
    }
}
