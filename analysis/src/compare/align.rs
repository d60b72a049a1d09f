//! From stacks to a [`Table`]: frames become functions by what is known of them, and functions of
//! one origin and normalised name are one key, whatever build or line they are of.

use std::ops::Range;

use stoker_dag::{
    Frame, Function, Location, Module, ModuleMap, NodeIx, Origin, Profile, normalise,
};

use crate::naming::Naming;

use super::table::{Key, KeyIx, PlaceIx, ReplicateIx, Table};

/// What keys are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompareBy {
    /// Functions by origin and normalised name, over all positions.
    Function,
    /// Modules.
    Module,
}

/// Adds profiles to a table.
#[derive(Debug)]
pub struct Aligner {
    /// What has been added.
    pub table: Table,
    by: CompareBy,
}

/// Where the nodes of one profile stand in the table.
#[derive(Debug)]
pub struct Places(Vec<PlaceIx>);

impl Aligner {
    /// An empty table.
    #[must_use]
    pub fn new(by: CompareBy) -> Self {
        Self { table: Table::default(), by }
    }

    /// Finds the places of all nodes of a profile. Samples in it are not added.
    pub fn places(&mut self, profile: &Profile, modules: &ModuleMap) -> Places {
        let keys = FrameKeys::new(self, profile, modules);
        let mut places = vec![PlaceIx::ROOT; profile.nodes.len()];
        for (node, parent, frame) in profile.nodes.iter() {
            places[node.at()] = keys.of(frame.at()).iter().fold(places[parent.at()], |at, key| {
                // Consecutive frames of one module are one place.
                let is_same = self.by == CompareBy::Module && self.table.key_of(at) == Some(*key);
                if is_same { at } else { self.table.place(at, *key) }
            });
        }
        Places(places)
    }

    /// Adds what ends at a node in a replicate: a value in so many samples.
    pub fn add(
        &mut self,
        places: &Places,
        node: NodeIx,
        replicate: ReplicateIx,
        sample: (u64, u64),
    ) {
        let place = places.0.get(node.at()).copied().unwrap_or(PlaceIx::ROOT);
        self.table.add(place, replicate, sample);
    }

    /// Adds all samples of a profile to a replicate.
    pub fn add_profile(&mut self, profile: &Profile, modules: &ModuleMap, replicate: ReplicateIx) {
        let places = self.places(profile, modules);
        for (node, value, count) in profile.rows() {
            self.add(&places, node, replicate, (value, count));
        }
    }

    /// The key of what a location of a frame stands for.
    fn function(&mut self, location: &Location, home: &Home<'_>) -> KeyIx {
        match (self.by, home.module) {
            (CompareBy::Function, Some(module)) => {
                let Function { origin, name } = Function::of(location, module);
                self.table.key(Key { name: name.to_string(), module: origin.to_string() })
            }
            _ => self.key(&location.function, &home.name),
        }
    }

    fn key(&mut self, name: &str, module: &str) -> KeyIx {
        let key = match self.by {
            CompareBy::Function => {
                Key { name: normalise(name).into_owned(), module: module.to_owned() }
            }
            // What lies in no module is called by its own name.
            CompareBy::Module if module.is_empty() => {
                Key { name: normalise(name).into_owned(), module: String::new() }
            }
            CompareBy::Module => Key { name: module.to_owned(), module: String::new() },
        };
        self.table.key(key)
    }
}

/// The keys that each frame becomes, outermost first.
struct FrameKeys {
    keys: Vec<KeyIx>,
    ranges: Vec<Range<usize>>,
}

impl FrameKeys {
    fn new(aligner: &mut Aligner, profile: &Profile, modules: &ModuleMap) -> Self {
        let naming = Naming { definitions: &profile.definitions, modules };
        let mut all = Self { keys: Vec::new(), ranges: Vec::with_capacity(profile.frames.len()) };
        for (id, frame) in profile.frames.iter() {
            let start = all.keys.len();
            let home = Home::of(&naming, frame, modules);
            let locations = profile.definitions.get(&id).map_or(&[][..], |found| &found.locations);
            let bare = Naming::fallback(frame);
            for location in locations {
                all.keys.push(match location.function.is_empty() {
                    true => aligner.key(&bare, &home.name),
                    false => aligner.function(location, &home),
                });
            }
            if locations.is_empty() {
                all.keys.push(aligner.key(&bare, &home.name));
            }
            all.ranges.push(start..all.keys.len());
        }
        all
    }

    fn of(&self, frame: usize) -> &[KeyIx] {
        &self.keys[self.ranges[frame].clone()]
    }
}

/// Where a frame lies.
struct Home<'a> {
    /// What is known of its binary, if it lies in one.
    module: Option<&'a Module>,
    /// The module's name. A main executable has one name for all, so that a binary may be called
    /// otherwise on the two sides.
    name: String,
}

impl<'a> Home<'a> {
    fn of(naming: &Naming<'_>, frame: &Frame, modules: &'a ModuleMap) -> Self {
        let module = frame.build_id().and_then(|build| modules.get(build));
        let name = match module {
            Some(module) if module.main_executable => Origin::Executable.to_string(),
            _ => naming.module(frame).into_owned(),
        };
        Self { module, name }
    }
}
