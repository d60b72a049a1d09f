//! Two sides of many replicates each, aligned: one tree of places (a place is a path of keys), and
//! how much each replicate has at each place. All that a comparison computes comes from here.

use rustc_hash::FxHashMap;

/// Index of a key in one [`Table`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyIx(pub u32);

/// Index of a place in one [`Table`]. The root, which is no key's place, is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlaceIx(pub u32);

/// Index of a replicate in one [`Table`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplicateIx(pub u32);

impl KeyIx {
    /// As an array index.
    #[must_use]
    pub const fn at(self) -> usize {
        self.0 as usize
    }
}

impl PlaceIx {
    /// Above all places.
    pub const ROOT: Self = Self(0);

    /// As an array index.
    #[must_use]
    pub const fn at(self) -> usize {
        self.0 as usize
    }
}

impl ReplicateIx {
    /// As an array index.
    #[must_use]
    pub const fn at(self) -> usize {
        self.0 as usize
    }
}

/// Which side of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// What is compared with.
    Base,
    /// What is looked at.
    New,
}

/// What is compared: a function, a module, or a whole stack.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Normalised function, module, or functions from the outermost on, with `;` between them.
    pub name: String,
    /// The function's module; empty in other tables.
    pub module: String,
}

/// A host, a group of hosts, or a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replicate {
    /// A host's name, a file's.
    pub name: String,
    /// Where it stands.
    pub side: Side,
    /// 0 where it takes part in the comparison; else which of the placebos before it it is of.
    pub placebo: u32,
    /// What the total is divided by: host-nanoseconds observed, or runs. 0 where nobody knows.
    pub exposure: u64,
}

/// What ends at a place in a replicate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) place: PlaceIx,
    pub(super) replicate: ReplicateIx,
    pub(super) value: u64,
    pub(super) count: u64,
}

/// Places, and what replicates have there. Parents stand before their children.
#[derive(Debug, Clone, Default)]
pub struct Table {
    /// What is compared.
    pub keys: Vec<Key>,
    /// Hosts, groups or runs of both sides.
    pub replicates: Vec<Replicate>,
    pub(super) parents: Vec<PlaceIx>,
    key_of: Vec<KeyIx>,
    pub(super) cells: Vec<Cell>,
    key_index: FxHashMap<Key, KeyIx>,
    place_index: FxHashMap<(PlaceIx, KeyIx), PlaceIx>,
}

impl Table {
    /// The index of a key, which is added when it is new.
    pub fn key(&mut self, key: Key) -> KeyIx {
        let next = KeyIx(u32::try_from(self.keys.len()).expect("fewer than 2^32 keys"));
        let at = *self.key_index.entry(key.clone()).or_insert(next);
        if at == next {
            self.keys.push(key);
        }
        at
    }

    /// Adds a replicate.
    pub fn replicate(&mut self, replicate: Replicate) -> ReplicateIx {
        let next = u32::try_from(self.replicates.len()).expect("fewer than 2^32 replicates");
        self.replicates.push(replicate);
        ReplicateIx(next)
    }

    /// The place of `key` below `parent`, which is added when it is new.
    pub fn place(&mut self, parent: PlaceIx, key: KeyIx) -> PlaceIx {
        self.add_root();
        let next = PlaceIx(u32::try_from(self.parents.len()).expect("fewer than 2^32 places"));
        let at = *self.place_index.entry((parent, key)).or_insert(next);
        if at == next {
            self.parents.push(parent);
            self.key_of.push(key);
        }
        at
    }

    fn add_root(&mut self) {
        if self.parents.is_empty() {
            self.parents.push(PlaceIx::ROOT);
            self.key_of.push(KeyIx(u32::MAX));
        }
    }

    /// Adds what ends at `place` in `replicate`: `value` in `count` samples.
    pub fn add(&mut self, place: PlaceIx, replicate: ReplicateIx, (value, count): (u64, u64)) {
        self.add_root();
        self.cells.push(Cell { place, replicate, value, count });
    }

    /// The key of a place; the root has none.
    #[must_use]
    pub fn key_of(&self, place: PlaceIx) -> Option<KeyIx> {
        self.key_of.get(place.at()).copied().filter(|_| place != PlaceIx::ROOT)
    }

    /// The place above.
    #[must_use]
    pub fn parent(&self, place: PlaceIx) -> PlaceIx {
        self.parents.get(place.at()).copied().unwrap_or(PlaceIx::ROOT)
    }

    /// All places but the root, with their parents and keys.
    pub fn places(&self) -> impl Iterator<Item = (PlaceIx, PlaceIx, KeyIx)> {
        let columns = (0u32..).zip(self.parents.iter().zip(&self.key_of)).skip(1);
        columns.map(|(at, (parent, key))| (PlaceIx(at), *parent, *key))
    }

    /// What ends where: place, replicate, value and samples.
    pub fn cells(&self) -> impl Iterator<Item = (PlaceIx, ReplicateIx, u64, u64)> {
        self.cells.iter().map(|cell| (cell.place, cell.replicate, cell.value, cell.count))
    }

    /// Indices of a side's replicates in the comparison (0) or in one of its placebos.
    #[must_use]
    pub fn side(&self, side: Side, placebo: u32) -> Vec<usize> {
        let all = self.replicates.iter().enumerate();
        let of_side = all.filter(|(_, r)| r.side == side && r.placebo == placebo);
        of_side.map(|(at, _)| at).collect()
    }

    /// The same with every key replaced by what `to` says; what has none (`None`) counts as the
    /// place above it, as if it had been inlined there.
    #[must_use]
    pub fn remapped(&self, to: impl Fn(KeyIx) -> Option<KeyIx>) -> Self {
        let mut table = Self { replicates: self.replicates.clone(), ..Self::default() };
        self.keys.iter().for_each(|key| {
            table.key(key.clone());
        });
        let mut moved = vec![PlaceIx::ROOT; self.parents.len()];
        for (at, parent, key) in self.places() {
            let above = moved[parent.at()];
            moved[at.at()] = match to(key) {
                None => above,
                // What counts as its caller is no call of its own.
                Some(other) if other != key && table.key_of(above) == Some(other) => above,
                Some(key) => table.place(above, key),
            };
        }
        for (place, replicate, value, count) in self.cells() {
            table.add(moved[place.at()], replicate, (value, count));
        }
        table
    }

    /// The same by whole stack: every place that something ends at becomes a key of its own.
    #[must_use]
    pub fn by_stack(&self) -> Self {
        let mut table = Self { replicates: self.replicates.clone(), ..Self::default() };
        let mut texts: Vec<Option<KeyIx>> = vec![None; self.parents.len()];
        for (place, replicate, value, count) in self.cells() {
            let key = *texts[place.at()].get_or_insert_with(|| {
                table.key(Key { name: self.path(place), module: String::new() })
            });
            let place = table.place(PlaceIx::ROOT, key);
            table.add(place, replicate, (value, count));
        }
        table
    }

    /// The names on the way to a place, outermost first.
    #[must_use]
    pub fn path(&self, place: PlaceIx) -> String {
        let mut names = Vec::new();
        let mut at = place;
        while let Some(key) = self.key_of(at) {
            names.push(self.keys[key.at()].name.as_str());
            at = self.parent(at);
        }
        names.reverse();
        if names.is_empty() { NO_STACK.to_owned() } else { names.join(";") }
    }
}

/// What samples without any frame are called.
pub const NO_STACK: &str = "[no stack]";
