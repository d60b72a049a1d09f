//! Modules: what is known of the file behind a build id. Late-bound, like definitions.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::frame::BuildId;

/// The file behind a build id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Module {
    /// Whether it was seen as a process's main executable.
    pub main_executable: bool,
    /// SONAME without its version, or file name.
    pub name: Arc<str>,
}

/// The winning module of each build id: the greatest, so that the order of arrival does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModuleMap {
    winners: FxHashMap<BuildId, Module>,
}

impl ModuleMap {
    /// Learns of a module; says whether that changed the map.
    pub fn learn(&mut self, build_id: &BuildId, module: Module) -> bool {
        match self.winners.get_mut(build_id) {
            None => {
                self.winners.insert(build_id.clone(), module);
                true
            }
            Some(held) if *held < module => {
                *held = module;
                true
            }
            Some(_) => false,
        }
    }

    /// What is known of a build.
    #[must_use]
    pub fn get(&self, build_id: &BuildId) -> Option<&Module> {
        self.winners.get(build_id)
    }

    /// Learns all that `other` knows.
    pub fn merge(&mut self, other: &Self) {
        for (build_id, module) in &other.winners {
            self.learn(build_id, module.clone());
        }
    }

    /// Every build that is known, in no order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&BuildId, &Module)> {
        self.winners.iter()
    }
}
