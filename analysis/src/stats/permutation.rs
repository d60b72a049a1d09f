//! Max-t permutation tests (Westfall and Young 1993): with few replicates nobody knows how the tails
//! of t behave, so the data say it themselves. If nothing differs, any replicate might have stood on
//! either side. Sides are dealt anew, every quantity is tested each time, and the largest |t| of each
//! deal is kept: what the real deal has to exceed. Correlated quantities cost nothing extra.

use super::contrast::{Design, correction, statistic};

/// Up to so many deals are all tried; beyond, as many are drawn.
const MAX_DEALS: usize = 1_999;
/// Two ways to compute one t differ by less than this part of it.
const ROUNDING: f64 = 1e-9;
/// Draws are the same for the same data.
const SEED: u64 = 0x5709_4bed;

/// All deals of replicates to sides that are tried, the real one first. A deal says of each
/// replicate whether it stands on the new side.
#[derive(Debug, Clone)]
pub struct Assignments {
    deals: Vec<Vec<bool>>,
    /// Whether these are all that there are.
    pub is_complete: bool,
}

impl Assignments {
    /// Deals for a design of `replicates` in all: paired sides exchange the two of a pair.
    #[must_use]
    pub fn of(design: &Design, replicates: usize) -> Self {
        let mut real = vec![false; replicates];
        design.new.iter().for_each(|&h| real[h] = true);
        let possible = if design.is_paired { flips(design.base.len()) } else { choices(design) };
        let mut all = Self { deals: vec![real.clone()], is_complete: possible <= MAX_DEALS };
        if all.is_complete {
            all.add_every(design, &real);
        } else {
            let mut random = fastrand::Rng::with_seed(SEED);
            for _ in 0..MAX_DEALS {
                all.deals.push(drawn(design, &real, &mut random));
            }
        }
        all
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.deals.len()
    }

    /// Never.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.deals.is_empty()
    }

    fn add_every(&mut self, design: &Design, real: &[bool]) {
        if design.is_paired {
            for mask in 1..1usize << design.base.len() {
                let pairs = design.base.iter().zip(&design.new).enumerate();
                let mut deal = real.to_vec();
                for (_, (&a, &b)) in pairs.filter(|(at, _)| mask >> at & 1 == 1) {
                    deal.swap(a, b);
                }
                self.deals.push(deal);
            }
            return;
        }
        let members: Vec<usize> = design.base.iter().chain(&design.new).copied().collect();
        let mut chosen: Vec<usize> = (0..design.new.len()).collect();
        loop {
            let mut deal = vec![false; real.len()];
            chosen.iter().for_each(|&at| deal[members[at]] = true);
            if deal != real {
                self.deals.push(deal);
            }
            if !next_choice(&mut chosen, members.len()) {
                break;
            }
        }
    }
}

/// 2^pairs, or more than is tried.
fn flips(pairs: usize) -> usize {
    u32::try_from(pairs).ok().and_then(|pairs| 2usize.checked_pow(pairs)).unwrap_or(usize::MAX)
}

/// How many ways there are to choose the new side, or more than is tried.
fn choices(design: &Design) -> usize {
    let (all, some) = (design.base.len() + design.new.len(), design.new.len());
    let mut ways = 1usize;
    for k in 1..=some.min(all - some) {
        ways = ways.saturating_mul(all - k + 1) / k;
        if ways > MAX_DEALS {
            return usize::MAX;
        }
    }
    ways
}

/// The next choice of so many out of `all`, in order; false after the last.
fn next_choice(chosen: &mut [usize], all: usize) -> bool {
    let size = chosen.len();
    for at in (0..size).rev() {
        if chosen[at] < all - size + at {
            chosen[at] += 1;
            for later in at + 1..size {
                chosen[later] = chosen[later - 1] + 1;
            }
            return true;
        }
    }
    false
}

fn drawn(design: &Design, real: &[bool], random: &mut fastrand::Rng) -> Vec<bool> {
    let mut deal = real.to_vec();
    if design.is_paired {
        for (&a, &b) in design.base.iter().zip(&design.new) {
            if random.bool() {
                deal.swap(a, b);
            }
        }
        return deal;
    }
    let mut members: Vec<usize> = design.base.iter().chain(&design.new).copied().collect();
    random.shuffle(&mut members);
    let new = design.new.len();
    members.iter().enumerate().for_each(|(at, &h)| deal[h] = at < new);
    deal
}

/// The largest t over all quantities in each deal.
#[derive(Debug, Clone)]
pub struct MaxTail {
    /// Of |t|, in rising order, the real deal's among them.
    both: Vec<f64>,
    /// Of t, in rising order.
    up: Vec<f64>,
}

/// What a |t| has to exceed to count.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bar {
    /// For all quantities at once.
    pub t: f64,
    /// The error rate is spent on increases alone: so few deals cannot tell both at that level.
    pub is_one_sided: bool,
}

impl MaxTail {
    /// The bar at the level `alpha` for all quantities at once; infinite where so few deals cannot
    /// decide at that level even of increases alone.
    #[must_use]
    pub fn bar(&self, alpha: f64) -> Bar {
        match exceeded_by(&self.both, alpha) {
            Some(t) => Bar { t, is_one_sided: false },
            None => {
                let t = exceeded_by(&self.up, alpha).unwrap_or(f64::INFINITY);
                Bar { t, is_one_sided: true }
            }
        }
    }

    /// The share of deals whose largest |t| reaches `t`: the p-value, adjusted for all quantities.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "at most some thousands of deals")]
    pub fn p(&self, t: f64) -> f64 {
        let below = self.both.partition_point(|held| *held < t.abs() * (1.0 - ROUNDING));
        (self.both.len() - below) as f64 / self.both.len().max(1) as f64
    }
}

/// The value that at most a share of `alpha` of the values exceeds, if any does.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "at most some thousands of deals"
)]
fn exceeded_by(values: &[f64], alpha: f64) -> Option<f64> {
    let may_reach = (alpha * values.len() as f64 * (1.0 + 1e-12)) as usize;
    if may_reach == 0 {
        return None;
    }
    // Deals and their mirror images tie, but for rounding.
    let bar = values.get(values.len() - may_reach - 1)? * (1.0 + ROUNDING);
    (bar < *values.last()?).then_some(bar)
}

/// Deals the replicates of `x` (one row of all quantities per replicate) with weights `n`. `floor` is
/// by quantity the least variance of a share per unit of 1/Σn.
#[must_use]
pub fn max_tail(
    x: &[Vec<f64>],
    n: &[f64],
    floor: &[f64],
    design: &Design,
    assignments: &Assignments,
) -> MaxTail {
    let of_deal = |deal: &Vec<bool>| {
        let dealt = Dealt::new(x, n, design, deal);
        let t = if design.is_paired { dealt.paired(floor) } else { dealt.unpaired(floor) };
        t.iter().fold((0.0f64, 0.0f64), |(both, up), t| (both.max(t.abs()), up.max(*t)))
    };
    let (mut both, mut up): (Vec<f64>, Vec<f64>) = assignments.deals.iter().map(of_deal).unzip();
    both.sort_by(f64::total_cmp);
    up.sort_by(f64::total_cmp);
    MaxTail { both, up }
}

/// One deal: sums and shares of both sides (base, new) by quantity.
struct Dealt<'a> {
    x: &'a [Vec<f64>],
    n: &'a [f64],
    design: &'a Design,
    deal: &'a [bool],
    weight: [f64; 2],
    share: [Vec<f64>; 2],
}

impl<'a> Dealt<'a> {
    fn new(x: &'a [Vec<f64>], n: &'a [f64], design: &'a Design, deal: &'a [bool]) -> Self {
        let quantities = x.first().map_or(0, Vec::len);
        let mut weight = [0.0; 2];
        let mut share = [vec![0.0; quantities], vec![0.0; quantities]];
        for &h in design.base.iter().chain(&design.new) {
            let side = usize::from(deal[h]);
            weight[side] += n[h];
            share[side].iter_mut().zip(&x[h]).for_each(|(sum, x)| *sum += x);
        }
        for side in 0..2 {
            let scale = if weight[side] > 0.0 { 1.0 / weight[side] } else { 0.0 };
            share[side].iter_mut().for_each(|sum| *sum *= scale);
        }
        Self { x, n, design, deal, weight, share }
    }

    fn unpaired(&self, floor: &[f64]) -> Vec<f64> {
        let mut squares = [vec![0.0; floor.len()], vec![0.0; floor.len()]];
        for &h in self.design.base.iter().chain(&self.design.new) {
            let side = usize::from(self.deal[h]);
            let n = self.n[h];
            let columns = squares[side].iter_mut().zip(&self.x[h]).zip(&self.share[side]);
            columns.for_each(|((sum, x), share)| {
                let off = x - share * n;
                *sum += off * off;
            });
        }
        let scale = [self.design.base.len(), self.design.new.len()].map(correction);
        let variance = |side: usize, at: usize| {
            let floor = floor[at] / self.weight[side];
            (squares[side][at] * scale[side] / self.weight[side].powi(2)).max(floor)
        };
        (0..floor.len()).map(|at| self.t(at, (variance(0, at) + variance(1, at)).sqrt())).collect()
    }

    fn paired(&self, floor: &[f64]) -> Vec<f64> {
        let mut squares = vec![0.0; floor.len()];
        for (&a, &b) in self.design.base.iter().zip(&self.design.new) {
            let (a, b) = if self.deal[a] { (b, a) } else { (a, b) };
            for (at, sum) in squares.iter_mut().enumerate() {
                let off = |h: usize, side: usize| {
                    (self.x[h][at] - self.share[side][at] * self.n[h]) / self.weight[side]
                };
                *sum += (off(b, 1) - off(a, 0)).powi(2);
            }
        }
        let scale = correction(self.design.base.len());
        let least = 1.0 / self.weight[0] + 1.0 / self.weight[1];
        (0..floor.len())
            .map(|at| self.t(at, (squares[at] * scale).max(floor[at] * least).sqrt()))
            .collect()
    }

    fn t(&self, at: usize, error: f64) -> f64 {
        statistic(self.share[1][at] - self.share[0][at], error)
    }
}

#[cfg(test)]
mod tests;
