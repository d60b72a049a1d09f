//! Turns the worker's answers into definitions that share their strings.

use std::sync::Arc;

use rustc_hash::FxHashSet;
use stoker_dag::{Definition, DefinitionSource, Location};

use super::protocol::{Meaning, Spot};

/// Most strings that are shared; at the bound sharing starts afresh.
const STRINGS_MAX: usize = 32 * 1024;

/// Strings that many definitions have in common: files above all.
#[derive(Debug, Default)]
pub(super) struct Strings {
    known: FxHashSet<Arc<str>>,
}

impl Strings {
    fn share(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.known.get(text) {
            return Arc::clone(known);
        }
        if self.known.len() >= STRINGS_MAX {
            self.known.clear();
        }
        let text: Arc<str> = text.into();
        self.known.insert(Arc::clone(&text));
        text
    }

    /// What a worker's answer says of a frame.
    pub(super) fn definition(&mut self, meaning: &Meaning) -> Definition {
        let source = match meaning.from_debug_info {
            true => DefinitionSource::AgentDwarf,
            false => DefinitionSource::SymbolTable,
        };
        let locations = meaning.spots.iter().map(|spot| self.location(spot)).collect();
        Definition { source, locations }
    }

    fn location(&mut self, spot: &Spot) -> Location {
        let Spot { function, file, line } = spot;
        Location { function: self.share(function), file: self.share(file), line: *line }
    }
}
