//! Looks through segments that are too much for one dictionary: how much each service has, and how services
//! are packed into slices.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use stoker_dag::{LabelIx, NodeIx, SampleRow};
use stoker_wire::{Dictionary, limits};

use super::loose::Loose;
use super::services::Services;
use super::sketch::Sketch;
use crate::store::api::PartView;
use crate::store::blobs::Blobs;
use crate::store::cache::Cache;
use crate::store::error::StoreError;
use crate::store::footprint::merge_bytes_of;
use crate::store::segment::{FIRST_LABEL, Segment, Wanted};

/// A slice is planned to have so many sixteenths of the nodes and frames that a dictionary may have, because
/// they are not counted exactly.
const OF_LIMITS: u64 = 12;

/// What services have.
#[derive(Debug, Default)]
pub struct Survey {
    services: BTreeMap<Arc<str>, usize>,
    held: Vec<Holding>,
    /// Frames that are named and have no stack.
    pub loose: Loose,
}

/// What a service has, or several.
#[derive(Debug, Clone, Default)]
struct Holding {
    rows: u64,
    nodes: Sketch,
    frames: Sketch,
}

impl Holding {
    fn merge(&mut self, other: &Self) {
        self.rows += other.rows;
        self.nodes.merge(&other.nodes);
        self.frames.merge(&other.frames);
    }

    fn fits(&self, memory: u64) -> bool {
        let (nodes, frames) = (self.nodes.count(), self.frames.count());
        let within = |count: u64, limit: usize| count < limit as u64 / 16 * OF_LIMITS;
        merge_bytes_of(self.rows, nodes, frames) <= memory
            && within(nodes, limits::MAX_STREAM_NODES)
            && within(frames, limits::MAX_STREAM_FRAMES)
    }
}

impl Survey {
    /// Looks through a segment, one decoded block at a time.
    ///
    /// # Errors
    /// When something in it cannot be read: the rest was looked through then.
    pub fn add(&mut self, blobs: &dyn Blobs, segment: &Segment) -> Result<(), StoreError> {
        let mut failure = self.loose.learn_bare(blobs, segment).err();
        for slice in segment.slices() {
            let (mut at, cache) = (None, Cache::new(0));
            let wanted = Wanted { sums: true, ..Wanted::ALL };
            let visited = segment.visit_slice(blobs, &cache, (slice, wanted), &mut |part| {
                if at.is_none() {
                    let of = (segment, slice);
                    failure = failure.take().or(self.loose.learn(blobs, of, part.dictionary).err());
                }
                self.part(part, at.get_or_insert_with(|| At::new(part.dictionary)));
                ControlFlow::Continue(())
            });
            failure = failure.or(visited.err());
            let visited =
                segment.visit_details(blobs, &cache, (Some(slice), Wanted::ALL), &mut |view| {
                    let at = at.get_or_insert_with(|| At::new(view.dictionary));
                    for sample in view.windows.iter().flat_map(|held| &held.samples) {
                        self.row(view.dictionary, at, &sample.row());
                    }
                    ControlFlow::Continue(())
                });
            failure = failure.or(visited.err());
        }
        failure.map_or(Ok(()), Err)
    }

    fn part(&mut self, part: PartView<'_>, at: &mut At) {
        for held in part.windows.iter().chain(part.totals) {
            held.rows.iter().for_each(|row| self.row(part.dictionary, at, row));
        }
        let Some(sums) = part.sums else { return };
        for run in &sums.runs {
            let service = self.service(part.dictionary, at, run.series);
            self.held[service].rows += run.rows;
            for node in &sums.nodes[run.stacks.clone()] {
                self.stack(part.dictionary, at, (service, *node));
            }
        }
    }

    fn row(&mut self, dictionary: &Dictionary, at: &mut At, row: &SampleRow) {
        let service = self.service(dictionary, at, row.series);
        self.held[service].rows += 1;
        self.stack(dictionary, at, (service, row.node));
    }

    fn service(&mut self, dictionary: &Dictionary, at: &mut At, series: LabelIx) -> usize {
        *at.services[series.at()].get_or_insert_with(|| {
            let name = dictionary.labels.get(series).get(FIRST_LABEL);
            if let Some(known) = self.services.get(name) {
                return *known;
            }
            self.held.push(Holding::default());
            self.services.insert(name.into(), self.held.len() - 1);
            self.held.len() - 1
        })
    }

    /// Adds a stack to a service, up to where it was there already.
    fn stack(&mut self, dictionary: &Dictionary, at: &mut At, (service, node): (usize, NodeIx)) {
        let held = &mut self.held[service];
        let (mut node, service) = (node, u32::try_from(service).unwrap_or(u32::MAX - 1));
        while let Some(frame) = dictionary.nodes.frame(node) {
            if std::mem::replace(&mut at.last[node.at()], service) == service {
                return;
            }
            held.nodes.add(at.hashes[node.at()]);
            held.frames.add(mixed(of_frame(dictionary, frame)));
            node = dictionary.nodes.parent(node);
        }
    }

    /// Ranges of services of which each fits into so many bytes while it is merged, or is one service.
    pub fn ranges(&self, memory: u64) -> Vec<Services> {
        let (mut ranges, mut packed) = (vec![Services::default()], None::<Holding>);
        for (name, at) in &self.services {
            let alone = &self.held[*at];
            let Some(before) = &packed else {
                packed = Some(alone.clone());
                continue;
            };
            let mut both = before.clone();
            both.merge(alone);
            if both.fits(memory) {
                packed = Some(both);
                continue;
            }
            packed = Some(alone.clone());
            if let Some(last) = ranges.last_mut() {
                last.until = Some(Arc::clone(name));
            }
            ranges.push(Services { from: Arc::clone(name), until: None });
        }
        ranges
    }
}

/// What is known of the dictionary at hand.
struct At {
    /// The service of each series.
    services: Vec<Option<usize>>,
    /// A hash of each stack, equal in all dictionaries.
    hashes: Vec<u64>,
    /// The service that each node was counted for last.
    last: Vec<u32>,
}

impl At {
    fn new(dictionary: &Dictionary) -> Self {
        let nodes = &dictionary.nodes;
        let mut hashes = vec![0u64; nodes.len()];
        for (node, parent, frame) in nodes.iter() {
            let of_parent = hashes[parent.at()].rotate_left(17);
            hashes[node.at()] = mixed(of_parent ^ of_frame(dictionary, frame));
        }
        let services = vec![None; dictionary.labels.len()];
        Self { services, hashes, last: vec![u32::MAX; nodes.len()] }
    }
}

/// Half of a frame's id, which is a hash of it.
fn of_frame(dictionary: &Dictionary, frame: stoker_dag::FrameIx) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *dictionary.frames.id(frame).as_bytes();
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

/// A hash of which every bit depends on every bit: the finaliser of SplitMix64 (G. Steele, D. Lea, C. Flood, "Fast
/// splittable pseudorandom number generators", 2014, figure 15).
pub fn mixed(hash: u64) -> u64 {
    let hash = hash.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}
