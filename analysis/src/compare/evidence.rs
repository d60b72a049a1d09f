//! What the replicates allow to say, and the contrast of one row of values.

use crate::stats::{
    Assignments, Contrast, Design, MIN_PLACEBOS, Placebo, effective_clusters, paired, unpaired,
};

use super::sums::Sums;
use super::table::{Side, Table};

/// From so many replicates a side a decision is made.
pub const MIN_REPLICATES: usize = 5;
/// From so many pairs a decision is made.
pub const MIN_PAIRS: usize = 8;
/// From so many effective replicates a side Student's t is believed; below, permutations decide.
const STUDENT_CLUSTERS: f64 = 10.0;
/// Sides of very different sizes do not cancel each other's skew, and Student's t gives 2.5 % false
/// alarms where it promises 1 % (12 against 60 hosts that differ by 50 %): permutations decide.
const STUDENT_BALANCE: f64 = 2.0;
/// Fewer effective replicates than this decide nothing, however many there are by number.
const MIN_CLUSTERS: f64 = 4.0;

/// What kind of test the replicates allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Fewer than two replicates on a side: no error is known.
    None,
    /// Errors are known badly: intervals, no decision.
    Few,
    /// The largest t of all keys over exchanged replicates.
    Permutation {
        /// How many exchanges.
        deals: usize,
        /// Whether these are all.
        is_complete: bool,
    },
    /// Student's t, clustered by replicate.
    StudentT,
    /// Student's t against the same hours of days before.
    Placebo {
        /// How many days.
        days: u32,
    },
}

impl Method {
    /// Whether it can decide anything.
    #[must_use]
    pub const fn decides(self) -> bool {
        !matches!(self, Self::None | Self::Few)
    }
}

/// Replicates of both sides with the weights of a share's denominator.
pub(super) struct Evidence {
    pub(super) design: Design,
    /// By replicate of the table.
    pub(super) n: Vec<f64>,
    /// What a sample is worth.
    sample_value: f64,
    /// By placebo: replicates of base and new.
    placebos: Vec<Design>,
    is_chained: bool,
}

#[expect(clippy::cast_precision_loss, reason = "statistics")]
pub(super) fn floats(values: &[u64]) -> Vec<f64> {
    values.iter().map(|value| *value as f64).collect()
}

impl Evidence {
    /// Shares of what `sums` holds. Replicates without any value say nothing of shares.
    #[expect(clippy::cast_precision_loss, reason = "statistics")]
    pub(super) fn of_shares(table: &Table, sums: &Sums, is_paired: bool, is_chained: bool) -> Self {
        let weighty = |placebo: u32| {
            let design = Design {
                base: table.side(Side::Base, placebo),
                new: table.side(Side::New, placebo),
                is_paired,
            };
            with_weight(design, &sums.all)
        };
        let design = weighty(0);
        let days = table.replicates.iter().map(|r| r.placebo).max().unwrap_or(0);
        let members = || design.base.iter().chain(&design.new);
        let value: f64 = members().map(|&h| sums.all[h] as f64).sum();
        let samples = sums.samples[0].saturating_add(sums.samples[1]) as f64;
        Self {
            n: floats(&sums.all),
            sample_value: if samples > 0.0 { value / samples } else { 0.0 },
            placebos: (1..=days)
                .map(weighty)
                .filter(|day| !day.base.is_empty() && !day.new.is_empty())
                .collect(),
            design,
            is_chained,
        }
    }

    /// The total of each replicate per exposure.
    pub(super) fn of_total(&self, table: &Table) -> Option<Self> {
        let exposure: Vec<u64> = table.replicates.iter().map(|r| r.exposure).collect();
        let known = |h: &usize| exposure[*h] > 0;
        let is_known = self.design.base.iter().chain(&self.design.new).all(known);
        is_known.then(|| Self {
            n: floats(&exposure),
            sample_value: 0.0,
            design: self.design.clone(),
            placebos: self.placebos.clone(),
            is_chained: self.is_chained,
        })
    }

    /// The same sides with other weights, where something is taken out.
    pub(super) fn with_weights(&self, n: Vec<f64>) -> Self {
        Self {
            n,
            sample_value: self.sample_value,
            design: self.design.clone(),
            placebos: self.placebos.clone(),
            is_chained: self.is_chained,
        }
    }

    /// Effective replicates of base and new.
    pub(super) fn clusters(&self) -> [f64; 2] {
        [&self.design.base, &self.design.new]
            .map(|side| effective_clusters(side.iter().map(|&h| self.n[h])))
    }

    /// What can be tested. `is_time_disjoint` sides need placebos.
    pub(super) fn method(&self, is_time_disjoint: bool) -> Method {
        let replicates = self.design.base.len().min(self.design.new.len());
        let [one, other] = self.clusters();
        let (clusters, most) = (one.min(other), one.max(other));
        let needed = if self.design.is_paired { MIN_PAIRS } else { MIN_REPLICATES };
        let days = self.placebos.len();
        if is_time_disjoint && days >= MIN_PLACEBOS {
            return Method::Placebo { days: u32::try_from(days).unwrap_or(u32::MAX) };
        }
        if replicates < 2 {
            Method::None
        } else if replicates < needed || clusters < MIN_CLUSTERS || is_time_disjoint {
            Method::Few
        } else if clusters < STUDENT_CLUSTERS || most > STUDENT_BALANCE * clusters {
            let deals = Assignments::of(&self.design, self.n.len());
            Method::Permutation { deals: deals.len(), is_complete: deals.is_complete }
        } else {
            Method::StudentT
        }
    }

    /// Of placebos.
    pub(super) fn days(&self) -> usize {
        self.placebos.len()
    }

    /// The least variance of a share per 1/Σn: that of drawing samples, were they independent. It
    /// keeps a handful of samples that happen to be spread evenly from looking like certainty.
    pub(super) fn floor(&self, x: &[f64]) -> f64 {
        let members = || self.design.base.iter().chain(&self.design.new);
        let (value, weight) =
            members().fold((0.0, 0.0), |(value, weight), &h| (value + x[h], weight + self.n[h]));
        let share = if weight > 0.0 { (value / weight).clamp(0.0, 1.0) } else { 0.0 };
        share * (1.0 - share) * self.sample_value
    }

    /// New minus base of Σx/Σn.
    pub(super) fn contrast(&self, x: &[f64], method: Method) -> Contrast {
        let floor = self.floor(x);
        let weight = |side: &[usize]| side.iter().map(|&h| self.n[h]).sum::<f64>();
        let of_side = |side: &[usize]| match weight(side) {
            weight if weight > 0.0 => floor / weight,
            _ => 0.0,
        };
        let floors = (of_side(&self.design.base), of_side(&self.design.new));
        let compare = if self.design.is_paired { paired } else { unpaired };
        let contrast = compare(x, &self.n, &self.design, floors);
        if !matches!(method, Method::Placebo { .. }) {
            return contrast;
        }
        let differences: Vec<f64> = self
            .placebos
            .iter()
            .map(|day| unpaired(x, &self.n, day, (0.0, 0.0)).change())
            .collect();
        // One host knows no error of its own; the days before do.
        let contrast = match contrast.error.is_finite() {
            true => contrast,
            false => {
                Contrast { error: (floors.0 + floors.1).sqrt(), df: f64::INFINITY, ..contrast }
            }
        };
        match Placebo::of(&differences, self.is_chained) {
            Some(placebo) => placebo.applied_to(contrast),
            None => contrast,
        }
    }
}

fn with_weight(design: Design, all: &[u64]) -> Design {
    let Design { base, new, is_paired } = design;
    let has = |h: &usize| all[*h] > 0;
    if !is_paired {
        return Design {
            base: base.into_iter().filter(has).collect(),
            new: new.into_iter().filter(has).collect(),
            is_paired,
        };
    }
    let pairs = base.into_iter().zip(new).filter(|(a, b)| has(a) && has(b));
    let (base, new) = pairs.unzip();
    Design { base, new, is_paired }
}
