//! Values by key and replicate: what ends in a key, and what it has a part in (each sample once,
//! however often the key stands on its stack), leaving out what is explained already.

use super::table::{KeyIx, PlaceIx, Side, Table};

/// Which samples are left out: those that end in a key, and those that pass through one.
#[derive(Debug, Clone, Default)]
pub struct Explained {
    /// By key: samples that end there are explained.
    pub own: Vec<bool>,
    /// By key: samples that pass through it are explained.
    pub through: Vec<bool>,
}

impl Explained {
    /// Nothing is explained.
    #[must_use]
    pub fn nothing(table: &Table) -> Self {
        Self { own: vec![false; table.keys.len()], through: vec![false; table.keys.len()] }
    }
}

/// Sums over a table: rows are keys, columns replicates.
#[derive(Debug, Clone)]
pub struct Sums {
    replicates: usize,
    own: Vec<u64>,
    total: Vec<u64>,
    /// By replicate, the value of everything.
    pub all: Vec<u64>,
    /// By key, samples that end in it on each side.
    pub own_samples: Vec<[u64; 2]>,
    /// By key, samples that it has a part in on each side.
    pub total_samples: Vec<[u64; 2]>,
    /// Samples of each side.
    pub samples: [u64; 2],
    /// Whether a sum did not fit.
    pub has_overflowed: bool,
}

impl Sums {
    /// What ends in `key`, by replicate.
    #[must_use]
    pub fn own(&self, key: KeyIx) -> &[u64] {
        &self.own[key.at() * self.replicates..][..self.replicates]
    }

    /// What `key` has a part in, by replicate.
    #[must_use]
    pub fn total(&self, key: KeyIx) -> &[u64] {
        &self.total[key.at() * self.replicates..][..self.replicates]
    }
}

/// Sums up what is not explained.
#[must_use]
pub fn sums(table: &Table, explained: &Explained) -> Sums {
    let (keys, replicates) = (table.keys.len(), table.replicates.len());
    let mut walk = Walk {
        table,
        explained,
        sums: Sums {
            replicates,
            own: vec![0; keys * replicates],
            total: vec![0; keys * replicates],
            all: vec![0; replicates],
            own_samples: vec![[0; 2]; keys],
            total_samples: vec![[0; 2]; keys],
            samples: [0; 2],
            has_overflowed: false,
        },
        on_path: vec![0; keys],
        open: Vec::new(),
        side: table
            .replicates
            .iter()
            .map(|r| (r.placebo == 0).then_some(usize::from(r.side == Side::New)))
            .collect(),
    };
    walk.run();
    walk.sums
}

/// A place on the path that is being walked, with what is at and below it.
struct Open {
    place: PlaceIx,
    value: Vec<u64>,
    samples: [u64; 2],
    is_explained: bool,
}

struct Walk<'a> {
    table: &'a Table,
    explained: &'a Explained,
    sums: Sums,
    /// How often each key stands on the path.
    on_path: Vec<u32>,
    open: Vec<Open>,
    /// Which side's samples a replicate counts among; none for placebos.
    side: Vec<Option<usize>>,
}

impl Walk<'_> {
    /// Depth first, so that only one path of sums is held at a time.
    fn run(&mut self) {
        let (order, cells) = (depth_first(self.table), CellsByPlace::of(self.table));
        for place in order {
            let parent = self.table.parent(place);
            while self.open.last().is_some_and(|open| open.place != parent) {
                self.close();
            }
            self.enter(place);
            for &cell in cells.at(place) {
                self.add(self.table.cells[cell as usize]);
            }
        }
        while !self.open.is_empty() {
            self.close();
        }
    }

    fn enter(&mut self, place: PlaceIx) {
        let above = self.open.last().is_some_and(|open| open.is_explained);
        let key = self.table.key_of(place);
        if let Some(key) = key {
            self.on_path[key.at()] += 1;
        }
        self.open.push(Open {
            place,
            value: vec![0; self.sums.replicates],
            samples: [0; 2],
            is_explained: above || key.is_some_and(|key| self.explained.through[key.at()]),
        });
    }

    fn add(&mut self, cell: super::table::Cell) {
        let Some(open) = self.open.last_mut() else { return };
        let key = self.table.key_of(cell.place);
        if open.is_explained || key.is_some_and(|key| self.explained.own[key.at()]) {
            return;
        }
        let (at, side) = (cell.replicate.at(), self.side[cell.replicate.at()]);
        let overflowed = &mut self.sums.has_overflowed;
        add(&mut open.value[at], cell.value, overflowed);
        if let Some(side) = side {
            add(&mut open.samples[side], cell.count, overflowed);
        }
        if let Some(key) = key {
            let own = &mut self.sums.own[key.at() * self.sums.replicates + at];
            add(own, cell.value, overflowed);
            if let Some(side) = side {
                add(&mut self.sums.own_samples[key.at()][side], cell.count, overflowed);
            }
        }
    }

    fn close(&mut self) {
        let Some(open) = self.open.pop() else { return };
        let overflowed = &mut self.sums.has_overflowed;
        if let Some(key) = self.table.key_of(open.place) {
            self.on_path[key.at()] -= 1;
            if self.on_path[key.at()] == 0 {
                let row = key.at() * self.sums.replicates;
                let total = &mut self.sums.total[row..][..self.sums.replicates];
                add_all(total, &open.value, overflowed);
                add_all(&mut self.sums.total_samples[key.at()], &open.samples, overflowed);
            }
        }
        match self.open.last_mut() {
            Some(above) => {
                add_all(&mut above.value, &open.value, overflowed);
                add_all(&mut above.samples, &open.samples, overflowed);
            }
            None => {
                self.sums.all = open.value;
                self.sums.samples = open.samples;
            }
        }
    }
}

fn add(held: &mut u64, value: u64, overflowed: &mut bool) {
    let (sum, over) = held.overflowing_add(value);
    *held = if over { u64::MAX } else { sum };
    *overflowed |= over;
}

fn add_all(held: &mut [u64], values: &[u64], overflowed: &mut bool) {
    held.iter_mut().zip(values).for_each(|(held, value)| add(held, *value, overflowed));
}

/// Every place after the one above it and before any that is not below it.
fn depth_first(table: &Table) -> Vec<PlaceIx> {
    let places = table.parents.len();
    let (mut first, mut next) = (vec![0u32; places], vec![0u32; places]);
    for (place, parent, _) in table.places().collect::<Vec<_>>().into_iter().rev() {
        next[place.at()] = first[parent.at()];
        first[parent.at()] = place.0;
    }
    let mut order = Vec::with_capacity(places);
    let mut waiting = if places == 0 { vec![] } else { vec![0u32] };
    while let Some(at) = waiting.pop() {
        order.push(PlaceIx(at));
        let mut child = first[at as usize];
        while child != 0 {
            waiting.push(child);
            child = next[child as usize];
        }
    }
    order
}

/// Numbers of cells, each place's one after the other.
struct CellsByPlace {
    starts: Vec<u32>,
    cells: Vec<u32>,
}

impl CellsByPlace {
    fn of(table: &Table) -> Self {
        let mut starts = vec![0u32; table.parents.len() + 1];
        table.cells.iter().for_each(|cell| starts[cell.place.at() + 1] += 1);
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        let mut next = starts.clone();
        let mut cells = vec![0; table.cells.len()];
        for (number, cell) in (0u32..).zip(&table.cells) {
            let at = &mut next[cell.place.at()];
            cells[*at as usize] = number;
            *at += 1;
        }
        Self { starts, cells }
    }

    fn at(&self, place: PlaceIx) -> &[u32] {
        &self.cells[self.starts[place.at()] as usize..self.starts[place.at() + 1] as usize]
    }
}

#[cfg(test)]
mod tests;
