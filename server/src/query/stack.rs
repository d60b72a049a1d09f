//! Matchers on the stack: which nodes of a dictionary a selector accepts.
//!
//! A stack is looked at once per node and not once per row: parents stand before children, so what a
//! node has above it is known when its turn comes. Names are those that are known now, pushed debug
//! information included, so a function that got its name today is found in yesterday's samples.

use rustc_hash::FxHashMap;
use stoker_analysis::Naming;
use stoker_dag::{DefinitionMap, Frame, FrameId, ModuleMap};
use stoker_wire::Dictionary;

use super::Engine;
use super::selector::{Matcher, Selector, StackPart};

/// What one matcher finds in one frame: in any of its functions, and in any but the innermost.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    any: bool,
    outer: bool,
}

/// The matchers on the stack of one query, and what they said of frames so far.
pub(super) struct StackFilter<'a> {
    matchers: Vec<(StackPart, &'a Matcher)>,
    frames: FxHashMap<FrameId, Vec<Seen>>,
}

impl<'a> StackFilter<'a> {
    /// Nothing where the selector has no such matcher.
    pub(super) fn new(selector: &'a Selector) -> Option<Self> {
        let matchers: Vec<_> = selector.on_stack().collect();
        let frames = FxHashMap::default();
        (!matchers.is_empty()).then_some(Self { matchers, frames })
    }

    /// Which nodes of a dictionary are accepted.
    pub(super) fn nodes(&mut self, engine: Engine<'_>, dictionary: &Dictionary) -> Vec<bool> {
        self.learn(engine, dictionary);
        let mut accepted = vec![true; dictionary.nodes.len()];
        for (at, (part, matcher)) in self.matchers.iter().enumerate() {
            // What stands on the stack down to a node, the node included.
            let mut above = vec![false; dictionary.nodes.len()];
            let mut found = vec![false; dictionary.nodes.len()];
            for (node, parent, frame) in dictionary.nodes.iter() {
                let seen = self.frames.get(&dictionary.frames.id(frame)).map(|all| all[at]);
                let seen = seen.unwrap_or_default();
                above[node.at()] = above[parent.at()] || seen.any;
                found[node.at()] = match part {
                    StackPart::Frame | StackPart::Module => above[node.at()],
                    StackPart::Under => above[parent.at()] || seen.outer,
                };
            }
            for (accepted, found) in accepted.iter_mut().zip(found) {
                *accepted &= found != matcher.is_negative();
            }
        }
        accepted
    }

    /// Looks at the frames that were not seen before.
    fn learn(&mut self, engine: Engine<'_>, dictionary: &Dictionary) {
        let new = || dictionary.frames.iter().filter(|(id, _)| !self.frames.contains_key(id));
        let (mut definitions, mut modules) = (DefinitionMap::default(), ModuleMap::default());
        engine.parts.names(&mut |names| {
            for (id, frame) in new() {
                if let Some(definition) = names.definitions.get(&id) {
                    definitions.learn(id, definition.clone());
                }
                if let Some(build) = frame.build_id()
                    && let Some(module) = names.modules.get(build)
                {
                    modules.learn(build, module.clone());
                }
            }
        });
        let late = engine.parts.late_definitions(&mut new(), engine.progress.deadline());
        for (id, definition) in late {
            definitions.learn(id, definition);
        }
        let naming = Naming { definitions: &definitions, modules: &modules };
        let look = |frame: &Frame| self.matchers.iter().map(|m| seen(*m, naming, frame)).collect();
        let learned: Vec<(FrameId, Vec<Seen>)> =
            new().map(|(id, frame)| (id, look(frame))).collect();
        self.frames.extend(learned);
    }
}

fn seen((part, matcher): (StackPart, &Matcher), naming: Naming<'_>, frame: &Frame) -> Seen {
    if part == StackPart::Module {
        return Seen { any: matcher.finds(&naming.module(frame)), outer: false };
    }
    let bare = Naming::fallback(frame);
    let Some(definition) = naming.definition(frame) else {
        return Seen { any: matcher.finds(&bare), outer: false };
    };
    let mut seen = Seen::default();
    let innermost = definition.locations.len() - 1;
    for (depth, location) in definition.locations.iter().enumerate() {
        let name = if location.function.is_empty() { &*bare } else { &*location.function };
        if matcher.finds(name) {
            seen.any = true;
            seen.outer |= depth < innermost;
        }
    }
    seen
}
