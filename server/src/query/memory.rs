//! Parts held in memory: what tests query, and what files will be queried through.

use stoker_dag::{Frame, LabelSet};
use stoker_dag::{NodeIx, Profile, ProfileType, SampleRow, UnixNanos};
use stoker_wire::Dictionary;

use super::parts::Parts;
use crate::store::{
    DetailsView, DetailsVisitor, DictionaryId, Names, PartView, PartVisitor, StoreError, Wanted,
    WindowDetails, WindowFacts, WindowRows,
};

/// Rows and facts over a dictionary of their own.
#[derive(Debug, Default)]
pub struct MemoryPart {
    /// What rows refer to.
    pub dictionary: Dictionary,
    /// The rows.
    pub windows: Vec<WindowRows>,
    /// Samples one by one, of some of them.
    pub details: Vec<WindowDetails>,
    /// What hosts said.
    pub facts: Vec<WindowFacts>,
}

impl MemoryPart {
    /// Adds a row: `value` and `count` samples on `stack` (outermost first) in a window.
    pub fn add(
        &mut self,
        (window, profile_type): (UnixNanos, &ProfileType),
        (series, attributes): (&LabelSet, &LabelSet),
        stack: &[Frame],
        (value, count): (u64, u64),
    ) {
        let dictionary = &mut self.dictionary;
        let node = stack.iter().fold(NodeIx::ROOT, |node, frame| {
            let frame = dictionary.frames.intern(frame);
            dictionary.nodes.child(node, frame)
        });
        let row = SampleRow {
            series: dictionary.labels.intern(series),
            attributes: dictionary.labels.intern(attributes),
            node,
            value,
            count,
        };
        let window = window.window_start();
        let held = self
            .windows
            .iter_mut()
            .find(|held| held.window == window && held.profile_type == *profile_type);
        match held {
            Some(held) => held.rows.push(row),
            None => self.windows.push(WindowRows {
                window,
                profile_type: profile_type.clone(),
                rows: vec![row],
            }),
        }
    }

    /// Adds all stacks of a profile to one window and series.
    pub fn add_profile(
        &mut self,
        at: (UnixNanos, &ProfileType),
        series: &LabelSet,
        profile: &Profile,
    ) {
        let none = LabelSet::default();
        for (node, value, count) in profile.rows() {
            let stack = profile.nodes.stack(node);
            let frames: Vec<Frame> =
                stack.iter().map(|frame| profile.frames.frame(*frame).clone()).collect();
            self.add(at, (series, &none), &frames, (value, count));
        }
    }
}

/// Several parts and the names of their frames.
#[derive(Debug, Default)]
pub struct MemoryParts {
    /// Visited in this order.
    pub parts: Vec<MemoryPart>,
    /// What is known of frames and builds.
    pub names: Names,
}

impl Parts for MemoryParts {
    fn visit(&self, wanted: Wanted<'_>, visit: &mut PartVisitor<'_>) -> Result<(), StoreError> {
        let Wanted { range, profile_type, .. } = wanted;
        for (number, part) in (0..).zip(&self.parts) {
            let dictionary_id = DictionaryId::of(number);
            let of_type = |w: &&WindowRows| profile_type.is_none_or(|t| *t == w.profile_type);
            let windows = part.windows.iter().filter(|w| range.holds(w.window));
            let windows: Vec<WindowRows> = windows.filter(of_type).cloned().collect();
            let facts = part.facts.iter().filter(|f| range.holds(f.window));
            let facts: Vec<WindowFacts> = facts.cloned().collect();
            let (windows, facts) = (&windows[..], &facts[..]);
            let dictionary = &part.dictionary;
            let view = PartView::raw(dictionary, dictionary_id, windows, facts);
            if visit(view).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn visit_details(
        &self,
        wanted: Wanted<'_>,
        visit: &mut DetailsVisitor<'_>,
    ) -> Result<(), StoreError> {
        let Wanted { range, profile_type, .. } = wanted;
        for (number, part) in (0..).zip(&self.parts) {
            let dictionary_id = DictionaryId::of(number);
            let of_type = |w: &&WindowDetails| profile_type.is_none_or(|t| *t == w.profile_type);
            let windows = part.details.iter().filter(|w| range.holds(w.window)).filter(of_type);
            let windows: Vec<WindowDetails> = windows.cloned().collect();
            let (dictionary, windows) = (&part.dictionary, &windows[..]);
            if visit(DetailsView { dictionary, dictionary_id, windows }).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn names(&self, read: &mut dyn FnMut(&Names)) {
        read(&self.names);
    }
}
