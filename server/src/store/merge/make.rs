//! Makes one segment of several, slice by slice.

use std::collections::BTreeSet;
use std::sync::Arc;

use stoker_wire::Dictionary;

use super::{Merge, Services, Survey};
use crate::store::api::{SpoolId, TenantId, WindowFacts};
use crate::store::blobs::Blobs;
use crate::store::error::StoreError;
use crate::store::footprint::merge_bytes_of;
use crate::store::functions::{LateDefinitions, function_tables};
use crate::store::level::Level;
use crate::store::names::SharedNames;
use crate::store::reduce::{Hosts, Reduce, summed};
use crate::store::segment::{
    Effort, Segment, SegmentAbout, SegmentWriter, SliceContent, WrittenSegment,
};

/// How segments are merged.
pub struct Making<'a> {
    /// Where they are.
    pub blobs: &'a dyn Blobs,
    /// What frames mean.
    pub names: &'a SharedNames,
    /// How finely the rows of what is made are kept.
    pub level: Level,
    /// Sums raw rows up by the hour; without it rows stay as they are.
    pub reduce: Option<Reduce>,
    /// Names that came late, for function tables.
    pub late: &'a dyn Fn(&Dictionary) -> LateDefinitions,
    /// What a slice may take while it is made, in bytes.
    pub memory: u64,
    /// How much time writing may take.
    pub effort: Effort,
    /// Whether the store is being closed, which does not wait.
    pub is_over: &'a dyn Fn() -> bool,
}

/// What is to be done where something of the segment at a place cannot be read: an error ends it all.
pub type OnFailure<'a> = dyn FnMut(usize, StoreError) -> Result<(), StoreError> + 'a;

/// A segment but for its name and what it stands for.
#[derive(Debug)]
pub struct Made {
    writer: SegmentWriter,
    facts: Vec<WindowFacts>,
    level: Level,
    dropped: BTreeSet<Arc<str>>,
}

impl Made {
    /// A segment that has nothing.
    ///
    /// # Errors
    /// When compression fails for want of memory.
    pub fn nothing() -> Result<Self, StoreError> {
        let mut made = Self::new(Level::Raw, Effort::Quick);
        let dictionary = Dictionary::default();
        made.writer.slice(SliceContent::of(&dictionary))?;
        Ok(made)
    }

    fn new(level: Level, effort: Effort) -> Self {
        let writer = SegmentWriter::new(effort);
        Self { writer, facts: Vec::new(), level, dropped: BTreeSet::new() }
    }

    /// How many rows it has.
    pub fn rows(&self) -> u64 {
        self.writer.rows()
    }

    /// The segment.
    ///
    /// # Errors
    /// When compression fails for want of memory.
    pub fn finish(
        self,
        (tenant, id): (&TenantId, u64),
        (replaces_logs, supersedes): (&[u64], &[u64]),
        watermarks: &rustc_hash::FxHashMap<SpoolId, u64>,
    ) -> Result<WrittenSegment, StoreError> {
        let dropped: Vec<String> = self.dropped.iter().map(ToString::to_string).collect();
        self.writer.finish(SegmentAbout {
            tenant,
            id,
            replaces_logs,
            supersedes,
            facts: &self.facts,
            watermarks,
            level: self.level,
            dropped: &dropped,
        })
    }
}

/// Makes one segment of `inputs`. Nothing where a dictionary cannot hold a service of one of them.
///
/// # Errors
/// As `failed` says, when compression fails for want of memory, and [`StoreError::Closed`] when it is over before the
/// segment is made.
pub fn make(
    making: &Making<'_>,
    inputs: &[Arc<Segment>],
    failed: &mut OnFailure<'_>,
) -> Result<Option<Made>, StoreError> {
    let mut made = Made::new(making.level, making.effort);
    for input in inputs {
        made.dropped.extend(input.footer.dropped_labels.iter().map(|name| name.as_str().into()));
    }
    let hosts = making.facts(inputs, &mut made, failed)?;
    let (ranges, loose) = making.ranges(inputs, failed)?;
    let mut counted = vec![0u64; inputs.len()];
    for services in &ranges {
        let mut merge = Merge::new(making.reduce.clone());
        if services.is_first() {
            merge.keep(&loose);
        }
        for (at, input) in inputs.iter().enumerate() {
            making.check()?;
            merge.reduce.iter_mut().for_each(|reduce| reduce.enter(&hosts[at]));
            match merge.add(making.blobs, input, services) {
                Ok(rows) => counted[at] += rows,
                Err(error) => failed(at, error)?,
            }
            // What else there is of these services goes into another slice.
            if merge.bytes() > making.memory && at + 1 < inputs.len() {
                let full = std::mem::replace(&mut merge, Merge::new(making.reduce.clone()));
                if making.write(&mut made, full)?.is_none() {
                    return Ok(None);
                }
            }
        }
        making.check()?;
        let is_needed = !merge.is_empty() || made.writer.is_empty();
        if is_needed && making.write(&mut made, merge)?.is_none() {
            return Ok(None);
        }
    }
    for (at, input) in inputs.iter().enumerate() {
        if counted[at] != input.footer.rows {
            let path = making.blobs.path(input.name());
            failed(at, StoreError::damaged(path, "rows are missing"))?;
        }
    }
    Ok(Some(made))
}

impl Making<'_> {
    fn check(&self) -> Result<(), StoreError> {
        if (self.is_over)() { Err(StoreError::Closed) } else { Ok(()) }
    }

    /// Takes over what hosts said; gives the hosts of each segment.
    fn facts(
        &self,
        inputs: &[Arc<Segment>],
        made: &mut Made,
        failed: &mut OnFailure<'_>,
    ) -> Result<Vec<Arc<Hosts>>, StoreError> {
        let mut hosts = vec![Arc::default(); inputs.len()];
        for (at, input) in inputs.iter().enumerate() {
            let facts = match input.all_facts(self.blobs) {
                Ok(facts) => facts,
                Err(error) => {
                    failed(at, error)?;
                    continue;
                }
            };
            match self.reduce.as_ref().filter(|_| input.level() == Level::Raw) {
                Some(reduce) => {
                    hosts[at] = Arc::new(reduce.hosts(&facts));
                    made.facts.extend(facts.iter().map(|facts| reduce.facts(facts)));
                }
                None => made.facts.extend_from_slice(&facts),
            }
            if self.level != Level::Raw {
                made.facts = summed(std::mem::take(&mut made.facts));
            }
        }
        made.facts.sort_by_key(|facts| facts.window);
        Ok(hosts)
    }

    /// What each slice is to have, and frames without a stack, which the first one keeps.
    fn ranges(
        &self,
        inputs: &[Arc<Segment>],
        failed: &mut OnFailure<'_>,
    ) -> Result<(Vec<Services>, stoker_dag::FrameTable), StoreError> {
        // No more than if every node were new and had a frame of its own.
        let most = |s: &Arc<Segment>| merge_bytes_of(s.footer.weight(), s.nodes(), s.nodes());
        let most = inputs.iter().map(most).fold(0, u64::saturating_add);
        if most <= self.memory {
            return Ok((vec![Services::default()], Default::default()));
        }
        let mut survey = Survey::default();
        for (at, input) in inputs.iter().enumerate() {
            self.check()?;
            if let Err(error) = survey.add(self.blobs, input) {
                failed(at, error)?;
            }
        }
        Ok((survey.ranges(self.memory), survey.loose.into_frames()))
    }

    /// Writes a slice. Nothing where a dictionary cannot hold it.
    fn write(&self, made: &mut Made, mut merge: Merge) -> Result<Option<()>, StoreError> {
        if let Some(reduce) = &mut merge.reduce {
            made.dropped.append(&mut reduce.dropped);
        }
        let Some(merged) = self.names.read(|names| merge.finish(names)) else { return Ok(None) };
        let merged = match self.level {
            Level::Raw | Level::Hourly => merged,
            Level::Functions if self.reduce.is_none() => merged,
            Level::Functions => {
                let late = (self.late)(&merged.dictionary);
                self.names.read(|names| function_tables(merged, &names.modules, late))
            }
        };
        made.writer.slice(SliceContent {
            dictionary: &merged.dictionary,
            definitions: &merged.definitions,
            windows: &merged.windows,
            details: &merged.details,
            totals: &merged.totals,
        })?;
        Ok(Some(()))
    }
}
