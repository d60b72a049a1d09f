//! A made-up fleet whose truth is known: functions with shares, hosts that differ, correlated within
//! groups of functions, for hours or for good, and changes that are put in. Shared by the test and
//! by `examples/calibrate.rs`.

use stoker_analysis::compare::{Key, KeyIx, PlaceIx, Replicate, ReplicateIx, Side, Table};

/// Functions that have self values.
pub const LEAVES: usize = 200;
/// Callers between `main` and the leaves.
pub const GROUPS: usize = 10;
/// The helper that nine groups call.
pub const HELPER: usize = 3;
/// What a sample is worth.
const PERIOD_NS: u64 = 10_000_000;

/// How a fleet is.
#[derive(Debug, Clone, Copy)]
pub struct Fleet {
    /// Hosts of base and new.
    pub hosts: (usize, usize),
    /// Mean samples of a host.
    pub samples: f64,
    /// Variation of a function's cost between hosts, as a part of its mean.
    pub cv: f64,
    /// Which part of the variance functions of one group share.
    pub correlation: f64,
    /// Variation of hosts' sizes.
    pub size_cv: f64,
    /// Hours that are summed.
    pub hours: usize,
    /// Which part of a host's effect stays from hour to hour.
    pub persistent: f64,
    /// The same hosts on both sides.
    pub is_paired: bool,
    /// What a range does to every host at once, as a part of each function.
    pub drift: f64,
    /// The height of the daily cycle, base at one hour, new at another.
    pub cycle: f64,
    /// Days before that are given as placebos.
    pub placebos: u32,
}

impl Default for Fleet {
    fn default() -> Self {
        Self {
            hosts: (20, 20),
            samples: 10_000.0,
            cv: 0.1,
            correlation: 0.5,
            size_cv: 0.2,
            hours: 1,
            persistent: 1.0,
            is_paired: false,
            drift: 0.0,
            cycle: 0.0,
            placebos: 0,
        }
    }
}

/// A function's cost on the new side, times what it was.
pub type Injected = Option<(usize, f64)>;

/// The share of a leaf: a few are large, many are small; the fifth has 5 %.
pub fn share(leaf: usize) -> f64 {
    let weight = |leaf: usize| 1.0 / (leaf as f64 + 4.0).powf(1.1);
    let rest: f64 = (0..LEAVES).filter(|at| *at != 5).map(weight).sum();
    if leaf == 5 { 0.05 } else { 0.95 * weight(leaf) / rest }
}

fn group(leaf: usize) -> usize {
    leaf % GROUPS
}

/// A table of one draw.
pub fn table(fleet: &Fleet, injected: Injected, random: &mut fastrand::Rng) -> Table {
    let mut world = World { fleet, random, table: Table::default(), places: Vec::new() };
    world.build_places();
    let effects: Vec<Vec<f64>> =
        (0..fleet.hosts.0.max(fleet.hosts.1)).map(|_| world.host_effect()).collect();
    for placebo in (0..=fleet.placebos).rev() {
        for (side, hosts) in [(Side::Base, fleet.hosts.0), (Side::New, fleet.hosts.1)] {
            let range = world.range_effect(side);
            let injected = injected.filter(|_| side == Side::New && placebo == 0);
            for effect in effects.iter().take(hosts) {
                let fresh = (!fleet.is_paired).then(|| world.host_effect());
                let effect = fresh.as_ref().unwrap_or(effect);
                world.host(side, placebo, (effect, &range), injected);
            }
        }
    }
    world.table
}

struct World<'a> {
    fleet: &'a Fleet,
    random: &'a mut fastrand::Rng,
    table: Table,
    /// By leaf, the places where it is called.
    places: Vec<Vec<PlaceIx>>,
}

impl World<'_> {
    fn build_places(&mut self) {
        let key = |table: &mut Table, name: String| table.key(Key { name, module: "exe".into() });
        // Leaves come first, so that a leaf's key is its number.
        let leaves: Vec<KeyIx> =
            (0..LEAVES).map(|at| key(&mut self.table, format!("leaf_{at}"))).collect();
        let main = key(&mut self.table, "main".into());
        let main = self.table.place(PlaceIx::ROOT, main);
        let groups: Vec<PlaceIx> = (0..GROUPS)
            .map(|at| {
                let group = key(&mut self.table, format!("group_{at}"));
                self.table.place(main, group)
            })
            .collect();
        for (leaf, leaf_key) in leaves.into_iter().enumerate() {
            let callers = if leaf == HELPER { 0..9 } else { group(leaf)..group(leaf) + 1 };
            let places = callers.map(|at| self.table.place(groups[at], leaf_key)).collect();
            self.places.push(places);
        }
    }

    fn normal(&mut self) -> f64 {
        let (u, v) = (1.0 - self.random.f64(), self.random.f64());
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }

    /// A factor of mean 1 with this coefficient of variation, from a normal number.
    fn factor(cv: f64, normal: f64) -> f64 {
        let variance = (1.0 + cv * cv).ln();
        (variance.sqrt() * normal - variance / 2.0).exp()
    }

    /// Normal numbers by leaf, correlated within groups.
    fn normals(&mut self) -> Vec<f64> {
        let groups: Vec<f64> = (0..GROUPS).map(|_| self.normal()).collect();
        let (common, own) = (self.fleet.correlation.sqrt(), (1.0 - self.fleet.correlation).sqrt());
        (0..LEAVES).map(|leaf| common * groups[group(leaf)] + own * self.normal()).collect()
    }

    fn host_effect(&mut self) -> Vec<f64> {
        self.normals()
    }

    /// What a range does to all hosts at once.
    fn range_effect(&mut self, side: Side) -> Vec<f64> {
        let drift = self.normals();
        let height = if side == Side::New { self.fleet.cycle } else { 0.0 };
        let cycle = |leaf: usize| 1.0 + height * (leaf as f64).sin();
        drift
            .iter()
            .enumerate()
            .map(|(leaf, normal)| Self::factor(self.fleet.drift, *normal) * cycle(leaf))
            .collect()
    }

    fn host(
        &mut self,
        side: Side,
        placebo: u32,
        (effect, range): (&[f64], &[f64]),
        injected: Injected,
    ) {
        let number = self.table.replicates.len();
        let exposure = 3_600_000_000_000;
        let name = format!("host-{number}");
        let replicate = self.table.replicate(Replicate { name, side, placebo, exposure });
        let normal = self.normal();
        let size = Self::factor(self.fleet.size_cv, normal) * self.fleet.samples;
        let (stays, hourly) = (self.fleet.persistent.sqrt(), (1.0 - self.fleet.persistent).sqrt());
        let mut counts = vec![0.0; LEAVES];
        for _ in 0..self.fleet.hours {
            let hour = if hourly > 0.0 { self.normals() } else { vec![0.0; LEAVES] };
            for leaf in 0..LEAVES {
                let normal = stays * effect[leaf] + hourly * hour[leaf];
                let change = injected.filter(|(at, _)| *at == leaf).map_or(1.0, |(_, by)| by);
                counts[leaf] += size / self.fleet.hours as f64
                    * share(leaf)
                    * Self::factor(self.fleet.cv, normal)
                    * range[leaf]
                    * change;
            }
        }
        for (leaf, mean) in counts.into_iter().enumerate() {
            self.add(leaf, replicate, mean);
        }
    }

    fn add(&mut self, leaf: usize, replicate: ReplicateIx, mean: f64) {
        let places = self.places[leaf].clone();
        for place in &places {
            let count = self.poisson(mean / places.len() as f64);
            if count > 0 {
                self.table.add(*place, replicate, (count * PERIOD_NS, count));
            }
        }
    }

    fn poisson(&mut self, mean: f64) -> u64 {
        if mean > 50.0 {
            return (mean + mean.sqrt() * self.normal()).round().max(0.0) as u64;
        }
        let (limit, mut product, mut count) = ((-mean).exp(), self.random.f64(), 0);
        while product > limit {
            product *= self.random.f64();
            count += 1;
        }
        count
    }
}

/// What each kind of judge says of one draw.
#[derive(Debug, Clone, Copy, Default)]
pub struct Judged {
    /// Something got worse: the total, or a function that may gate.
    pub is_alarm: bool,
    /// Findings of any kind and direction.
    pub findings: usize,
    /// Findings that are not the change that was put in.
    pub wrong: usize,
    /// The change that was put in is found.
    pub is_found: bool,
    /// Functions that a z-test at 1 %, which takes samples for independent, calls changed.
    pub naive: usize,
    /// The rank of the change in order of |change of self share|: pprof's order. 0 is the first.
    pub rank: usize,
    /// The printed minimum of the leaf looked at, in shares.
    pub minimum: f64,
}

/// Judges a table; `leaf` is where a change may have been put.
pub fn judge(
    table: &Table,
    options: &stoker_analysis::compare::Options,
    leaf: usize,
    is_injected: bool,
) -> Judged {
    let comparison = stoker_analysis::compare::compare(table, options).expect("no overflow");
    let key = KeyIx(leaf as u32);
    let is_true = |found: &KeyIx| is_injected && *found == key;
    let total = comparison.total.filter(stoker_analysis::compare::Change::is_significant);
    let worse = |change: &stoker_analysis::compare::Change| change.change() > 0.0;
    let row = comparison.rows.iter().find(|row| row.key == key).expect("has samples");
    let mut naive = 0;
    for row in &comparison.rows {
        let sides = &comparison.sides;
        let n = [sides[0].total as f64, sides[1].total as f64];
        let samples = [sides[0].samples as f64, sides[1].samples as f64];
        let p = [row.own[0] as f64 / n[0], row.own[1] as f64 / n[1]];
        let pooled = (row.own[0] + row.own[1]) as f64 / (n[0] + n[1]);
        let error = (pooled * (1.0 - pooled) * (1.0 / samples[0] + 1.0 / samples[1])).sqrt();
        naive += usize::from(error > 0.0 && ((p[1] - p[0]) / error).abs() > 2.576);
    }
    Judged {
        is_alarm: total.as_ref().is_some_and(worse) && !is_injected
            || comparison
                .findings
                .iter()
                .any(|f| f.is_gated && worse(&f.change) && !is_true(&f.key)),
        findings: comparison.findings.len() + usize::from(total.is_some()),
        wrong: comparison.findings.iter().filter(|f| !is_true(&f.key)).count()
            + usize::from(total.is_some() && !is_injected),
        is_found: comparison.findings.iter().any(|f| f.key == key && worse(&f.change)),
        naive,
        rank: comparison.rows.iter().position(|row| row.key == key).unwrap_or(usize::MAX),
        minimum: row.own_rest.minimum_detectable(),
    }
}
