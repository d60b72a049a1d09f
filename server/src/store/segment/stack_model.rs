//! What is expected of the stacks that come next, from those that came before.
//!
//! A program calls few functions from one place, and which of them depends little on how it got there.
//! So nodes are described through *edges*: pairs of a caller's frame and a callee's. Below a node that
//! was reached by some edge, the edges that followed that edge before are asked for one by one, each with
//! odds of its own; what is not among them is looked for among all edges of the caller, by rank, those
//! that are met often first; what is not there either is a new edge, to a new frame or to one that is
//! known from elsewhere, by rank again. All of it is lists and no search, so reading is quick.

use smallvec::SmallVec;

use super::range_coder::{Coder, Odds};

/// Edges that are asked for one by one below an edge; others are found by rank. It bounds the work for a
/// node.
const MAX_FOLLOWERS: usize = 16;
/// Odds that what followed once follows again, in percent: what came once is rare more often than not.
const AGAIN: Odds = Odds::percent(20);
/// Odds of which nothing is known.
const EVEN: Odds = Odds::percent(50);
/// Bits of a rank.
const RANK_BITS: usize = 32;

/// The edge from nowhere to the root.
pub const ROOT_EDGE: u32 = 0;

/// What is below a node, where it is written; where it is read nobody knows, and what is answered does
/// not matter. Frames are numbered in the order in which the model meets them.
pub trait Below {
    /// Whether a callee with this frame is there, and was not taken.
    fn take(&mut self, frame: u32) -> bool;
    /// The next callee that was not taken.
    fn next(&mut self) -> Option<u32>;
    /// The edge that was [`Self::learn`]ed.
    fn edge(&self, caller: u32, frame: u32) -> Option<u32>;
    /// There is a new edge.
    fn learn(&mut self, caller: u32, frame: u32, edge: u32);
}

/// A pair of frames.
#[derive(Debug)]
struct Edge {
    /// The callee's frame.
    frame: u32,
    /// Where it stands among the edges of its caller.
    rank: u32,
    followers: SmallVec<[(u32, Odds); 1]>,
    /// That a callee follows that is none of the followers: the first, a further one.
    more: [Odds; 2],
}

/// What is known of a frame as a caller.
#[derive(Debug)]
struct Caller {
    /// Its edges; those that are met move halfway to the front.
    edges: SmallVec<[u32; 2]>,
    /// That one that is looked for is new.
    new: Odds,
    /// As an edge's first, for edges that are met for the first time.
    more: Odds,
}

/// Odds of the bits of a rank: how many there are, then the first three of them.
#[derive(Debug, Clone)]
struct RankOdds {
    lengths: [Odds; RANK_BITS + 1],
    bits: [[Odds; 8]; RANK_BITS + 1],
}

impl RankOdds {
    const NEW: Self = Self { lengths: [EVEN; RANK_BITS + 1], bits: [[EVEN; 8]; RANK_BITS + 1] };

    /// A rank from 0 on, low ones cheapest (P. Elias' gamma code, its bits with odds).
    fn code(&mut self, coder: &mut impl Coder, rank: u32) -> u32 {
        let value = u64::from(rank) + 1;
        let length = value.ilog2() as usize;
        let mut bits = 0;
        while bits < RANK_BITS && coder.decide(&mut self.lengths[bits], bits < length) {
            bits += 1;
        }
        let (mut read, mut context) = (1, 1);
        for at in (0..bits).rev() {
            let bit = value >> at & 1 == 1;
            let bit = match context < 8 {
                true => coder.decide(&mut self.bits[bits][context], bit),
                false => coder.bit(bit),
            };
            context = context * 2 + usize::from(bit);
            read = read << 1 | u64::from(bit);
        }
        u32::try_from(read - 1).unwrap_or(u32::MAX)
    }
}

/// The model.
#[derive(Debug)]
pub struct StackModel {
    edges: Vec<Edge>,
    /// By frame + 1; the first is the root.
    callers: Vec<Caller>,
    /// By how many edges the caller has: the number's bits.
    ranks: Vec<RankOdds>,
    /// Frames that were met; those that are met again by a new edge move halfway to the front.
    met: Vec<u32>,
    /// Where each frame stands there.
    met_at: Vec<u32>,
    met_ranks: RankOdds,
    new_frame: Odds,
}

impl Default for StackModel {
    fn default() -> Self {
        let mut model = Self {
            edges: Vec::new(),
            callers: Vec::new(),
            ranks: vec![RankOdds::NEW; RANK_BITS + 1],
            met: Vec::new(),
            met_at: Vec::new(),
            met_ranks: RankOdds::NEW,
            new_frame: EVEN,
        };
        model.add_caller();
        model.edges.push(Edge::to(0, 0));
        model
    }
}

impl Edge {
    fn to(frame: u32, rank: u32) -> Self {
        Self { frame, rank, followers: SmallVec::new(), more: [EVEN, AGAIN] }
    }
}

/// What stands at `index` moves halfway to the front; gives the index of what gave way.
fn promote(list: &mut [u32], index: usize) -> usize {
    list.swap(index, index / 2);
    index / 2
}

impl StackModel {
    /// Makes room for so many edges, and as callers for so many frames.
    pub fn reserve(&mut self, edges: usize, frames: usize) {
        self.edges.reserve(edges);
        self.callers.reserve(frames);
        self.met.reserve(frames);
        self.met_at.reserve(frames);
    }

    /// How many frames were met.
    pub fn frames(&self) -> usize {
        self.met.len()
    }

    /// The callee's frame of an edge; not the root's.
    pub fn frame(&self, edge: u32) -> u32 {
        self.edges[edge as usize].frame - 1
    }

    fn add_caller(&mut self) {
        self.callers.push(Caller { edges: SmallVec::new(), new: Odds::percent(30), more: EVEN });
    }

    /// Says, or reads, what is below a node that was reached by `edge`: edges into `found`, at most
    /// `limit` of them. Nothing where what is read contradicts itself.
    pub fn below(
        &mut self,
        coder: &mut impl Coder,
        edge: u32,
        below: &mut impl Below,
        (found, limit): (&mut Vec<u32>, usize),
    ) -> Option<()> {
        let mut followers = std::mem::take(&mut self.edges[edge as usize].followers);
        let is_first = self.edges[edge as usize].more[0].is_fresh();
        for (follower, odds) in &mut followers {
            let is_there = below.take(self.frame(*follower));
            if coder.decide(odds, is_there) {
                found.push(*follower);
            }
        }
        let mut is_further = false;
        loop {
            let next = below.next();
            if !self.more(coder, edge, (is_first, is_further), next.is_some()) {
                break;
            }
            let other = self.other(coder, edge, next.unwrap_or(0), below)?;
            if found.len() >= limit {
                return None;
            }
            found.push(other);
            if followers.len() < MAX_FOLLOWERS {
                followers.push((other, AGAIN));
            }
            is_further = true;
        }
        self.edges[edge as usize].followers = followers;
        Some(())
    }

    /// Whether a callee follows that is none of the edge's followers.
    fn more(
        &mut self,
        coder: &mut impl Coder,
        edge: u32,
        (is_first, is_further): (bool, bool),
        is_so: bool,
    ) -> bool {
        let edge = &mut self.edges[edge as usize];
        if is_further || !is_first {
            return coder.decide(&mut edge.more[usize::from(is_further)], is_so);
        }
        let is_so = coder.decide(&mut self.callers[edge.frame as usize].more, is_so);
        edge.more[0] = Odds::percent(if is_so { 60 } else { 30 }).once();
        is_so
    }

    /// An edge of the caller that no follower is.
    fn other(
        &mut self,
        coder: &mut impl Coder,
        edge: u32,
        frame: u32,
        below: &mut impl Below,
    ) -> Option<u32> {
        let number = self.edges[edge as usize].frame;
        let caller = number as usize;
        let count = self.callers[caller].edges.len();
        let known = below.edge(number, frame);
        let is_new = count == 0 || coder.decide(&mut self.callers[caller].new, known.is_none());
        if is_new {
            return self.new_edge(coder, number, frame, below);
        }
        let rank = known.map_or(0, |edge| self.edges[edge as usize].rank);
        let rank = match count {
            1 => 0,
            _ => self.ranks[count.ilog2() as usize].code(coder, rank) as usize,
        };
        let edges = &mut self.callers[caller].edges;
        let found = *edges.get(rank)?;
        let other = promote(edges, rank);
        self.edges[edges[rank] as usize].rank = index(rank);
        self.edges[found as usize].rank = index(other);
        Some(found)
    }

    fn new_edge(
        &mut self,
        coder: &mut impl Coder,
        caller: u32,
        frame: u32,
        below: &mut impl Below,
    ) -> Option<u32> {
        let frame = self.callee(coder, frame)?;
        let edge = index(self.edges.len());
        let edges = &mut self.callers[caller as usize].edges;
        self.edges.push(Edge::to(frame + 1, index(edges.len())));
        edges.push(edge);
        below.learn(caller, frame, edge);
        Some(edge)
    }

    /// The frame of a new edge.
    fn callee(&mut self, coder: &mut impl Coder, frame: u32) -> Option<u32> {
        let next = index(self.met.len());
        if self.met.is_empty() || coder.decide(&mut self.new_frame, frame == next) {
            self.met.push(next);
            self.met_at.push(next);
            self.add_caller();
            return Some(next);
        }
        let rank = self.met_at.get(frame as usize).copied().unwrap_or(0);
        let rank = self.met_ranks.code(coder, rank) as usize;
        let found = *self.met.get(rank)?;
        let other = promote(&mut self.met, rank);
        self.met_at[self.met[rank] as usize] = index(rank);
        self.met_at[found as usize] = index(other);
        Some(found)
    }
}

fn index(at: usize) -> u32 {
    u32::try_from(at).expect("a table holds fewer than 2^32 entries: its memory bound comes first")
}
