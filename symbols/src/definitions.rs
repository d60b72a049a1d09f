//! Turns the worker's answers into definitions that share their strings.

use std::sync::Arc;

use rustc_hash::FxHashSet;
use stoker_dag::{Definition, DefinitionSource, Location};

use crate::protocol::{Meaning, Spot};

/// Most strings that are shared; at the bound sharing starts afresh.
const STRINGS_MAX: usize = 32 * 1024;

/// Who says what debug information, and what a symbol table says.
#[derive(Debug, Clone, Copy)]
pub struct Sources {
    /// For debug information.
    pub debug_info: DefinitionSource,
    /// For symbol tables.
    pub symbol_table: DefinitionSource,
}

impl Sources {
    /// What an agent found beside its processes.
    pub const AGENT: Self = Self {
        debug_info: DefinitionSource::AgentDwarf,
        symbol_table: DefinitionSource::SymbolTable,
    };
    /// What was given to the server.
    pub const SERVER: Self = Self {
        debug_info: DefinitionSource::ServerDebugInfo,
        symbol_table: DefinitionSource::ServerSymbolTable,
    };
}

/// Strings that many definitions have in common: files above all.
#[derive(Debug, Default)]
pub struct Strings {
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
    pub fn definition(&mut self, meaning: &Meaning, sources: Sources) -> Definition {
        let source = match meaning.from_debug_info {
            true => sources.debug_info,
            false => sources.symbol_table,
        };
        let locations = meaning.spots.iter().map(|spot| self.location(spot)).collect();
        Definition { source, locations }
    }

    fn location(&mut self, spot: &Spot) -> Location {
        let Spot { function, file, line } = spot;
        Location { function: self.share(function), file: self.share(file), line: *line }
    }
}
