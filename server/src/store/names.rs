//! What frames and builds are called, tenant-wide, whatever segment or log said so.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

use stoker_dag::{Definition, Frame, FrameId, FrameIx, KernelImage, ModuleMap};
use stoker_wire::Dictionary;

use super::api::Names;

/// What some batches or a segment teach.
#[derive(Debug, Default)]
pub struct NamesGrowth {
    /// Of frames.
    pub definitions: Vec<(FrameId, Definition)>,
    /// Of builds.
    pub modules: ModuleMap,
}

impl NamesGrowth {
    /// Adds definitions over a dictionary.
    pub fn learn_definitions(
        &mut self,
        dictionary: &Dictionary,
        definitions: &[(FrameIx, Definition)],
    ) {
        let of = |(frame, definition): &(FrameIx, Definition)| {
            (dictionary.frames.id(*frame), definition.clone())
        };
        self.definitions.extend(definitions.iter().map(of));
    }
}

/// A tenant's names, shared.
#[derive(Debug, Default)]
pub struct SharedNames {
    names: RwLock<Names>,
    changes: AtomicU64,
}

impl SharedNames {
    /// Learns.
    pub fn grow(&self, growth: NamesGrowth) {
        if growth.definitions.is_empty() && growth.modules.iter().len() == 0 {
            return;
        }
        let mut names = self.names.write().unwrap_or_else(PoisonError::into_inner);
        for (frame, definition) in growth.definitions {
            names.definitions.learn(frame, definition);
        }
        names.modules.merge(&growth.modules);
        drop(names);
        self.changes.fetch_add(1, Ordering::AcqRel);
    }

    /// How often they may have changed.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Calls `look` with what is known.
    pub fn read<R>(&self, look: impl FnOnce(&Names) -> R) -> R {
        look(&self.names.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The builds of a dictionary's frames, as they are written for people.
pub fn builds(dictionary: &Dictionary) -> Vec<String> {
    let build = |frame: &Frame| match frame {
        Frame::Native { build_id, .. }
        | Frame::Kernel { image: KernelImage::Build(build_id), .. } => Some(build_id.clone()),
        Frame::Kernel { .. } | Frame::Interpreted { .. } | Frame::Special(_) => None,
    };
    let builds = dictionary.frames.iter().filter_map(|(_, frame)| build(frame));
    let distinct: BTreeSet<_> = builds.collect();
    distinct.iter().map(ToString::to_string).collect()
}
