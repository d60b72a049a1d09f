//! Looking at a data folder that no server has open, and putting it right.
//!
//! `check` reads every byte and changes nothing. `repair` does what an open does (damaged files go
//! aside, logs are replayed) and then what an open leaves: out of segments with damaged blocks it takes
//! what is sound into new ones. Both say what is wrong with which file, and what is lost.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::api::{SpoolId, StoreConfig, TenantId, TimeRange};
use super::blobs::{Blobs, LocalBlobs};
use super::catalogue::Catalogue;
use super::catalogue_sled::SledCatalogue;
use super::compact::supersede;
use super::disk::{Disk, RealDisk};
use super::error::StoreError;
use super::folder::Folder;
use super::handle::Store;
use super::log::replay;
use super::losses::Loss;
use super::merge::{Making, make};
use super::messages::Footer;
use super::open::id_of;
use super::segment::{BlockKind, Effort, Segment};
use super::shared::Shared;
use super::tenant::Tenant;

/// What a check found.
#[derive(Debug, Default, serde::Serialize)]
pub struct CheckReport {
    /// Segments that were read.
    pub segments: u64,
    /// Logs that were read.
    pub logs: u64,
    /// Rows that are sound.
    pub rows: u64,
    /// Bytes of all that was read.
    pub bytes: u64,
    /// Slices of segments, each with a dictionary of its own.
    pub slices: u64,
    /// Distinct stack nodes of each slice, summed.
    pub nodes: u64,
    /// Bytes of segments by what they hold.
    pub held: HeldBytes,
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// What was lost before and noted: answers speak of it until the notes are removed.
    pub known_losses: Vec<String>,
}

/// Bytes of segments' blocks.
#[derive(Debug, Clone, Copy, Default, serde::Serialize)]
pub struct HeldBytes {
    /// Strings, frames, definitions, label sets.
    pub names: u64,
    /// Nodes.
    pub stacks: u64,
    /// Rows.
    pub rows: u64,
    /// What hosts said of their time.
    pub facts: u64,
}

/// What says what is meant.
const NAMES: [u32; 3] =
    [BlockKind::Series.code(), BlockKind::Names.code(), BlockKind::Definitions.code()];
/// What hosts said.
const FACTS: [u32; 2] = [BlockKind::Facts.code(), BlockKind::FactColumns.code()];
/// Stacks of every version whose footer says how many nodes they are.
const STACKS: [u32; 2] = [BlockKind::StackColumns.code(), BlockKind::Stacks.code()];

impl CheckReport {
    fn blocks(&mut self, footer: &Footer) {
        self.slices += footer.slices.len().max(1) as u64;
        for block in &footer.blocks {
            let held = match block.kind {
                kind if NAMES.contains(&kind) => &mut self.held.names,
                kind if FACTS.contains(&kind) => &mut self.held.facts,
                kind if STACKS.contains(&kind) => {
                    self.nodes += block.rows;
                    &mut self.held.stacks
                }
                kind if kind == BlockKind::WireStacks.code() => &mut self.held.stacks,
                _ => &mut self.held.rows,
            };
            *held += block.length;
        }
    }
}

/// Something that is wrong.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Problem {
    /// The file, below the data folder.
    pub file: String,
    /// What is wrong with it.
    pub what: String,
    /// Whether rows that were acknowledged are lost with it.
    pub loses_rows: bool,
}

impl CheckReport {
    fn problem(&mut self, file: &str, what: impl std::fmt::Display, loses_rows: bool) {
        let (file, what) = (file.to_owned(), what.to_string());
        self.problems.push(Problem { file, what, loses_rows });
    }
}

/// Reads all of a data folder.
///
/// # Errors
/// When it is no data folder, or a later version's, or in use.
pub fn check(dir: &Path) -> Result<CheckReport, StoreError> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let (folder, _lock) = Folder::look(dir, Arc::clone(&disk))?;
    let blobs = LocalBlobs::new(Arc::clone(&disk), folder.blobs());
    let mut report = CheckReport::default();
    for tenant in folder.tenants()? {
        let segments = check_segments(&blobs, &tenant, &mut report)?;
        check_logs(&folder, &tenant, &segments, &mut report)?;
        let losses = folder.losses(&tenant).into_iter();
        report.known_losses.extend(losses.map(|(_, loss)| loss.to_string()));
    }
    if disk.list(&folder.index()).is_ok()
        && let Err(error) = SledCatalogue::open(&folder.index()).and_then(|index| index.tenants())
    {
        report.problem("index", format!("{error}: it is rebuilt by the next start"), false);
    }
    Ok(report)
}

fn check_segments(
    blobs: &LocalBlobs,
    tenant: &TenantId,
    report: &mut CheckReport,
) -> Result<Vec<Segment>, StoreError> {
    let mut segments = Vec::new();
    let folder = format!("segments/{tenant}");
    for name in blobs.list(&folder).unwrap_or_default() {
        let file = format!("{folder}/{name}");
        let Some(id) = id_of(&name, ".seg") else {
            report.problem(&file, "it is no segment; nothing reads it", false);
            continue;
        };
        report.segments += 1;
        report.bytes += blobs.len(&file)?;
        let read = Segment::open(blobs, tenant, id).and_then(|segment| {
            segment.names(blobs)?;
            Ok(segment)
        });
        match read {
            Ok(segment) => segments.push(segment),
            Err(error) => unread(report, &file, &error),
        }
    }
    let gone: Vec<u64> =
        segments.iter().flat_map(|segment| segment.footer.supersedes.clone()).collect();
    segments.retain(|segment| {
        let counts = !gone.contains(&segment.id());
        if !counts {
            let what = "another segment supersedes it; the next start removes it";
            report.problem(segment.name(), what, false);
        }
        counts
    });
    for segment in &segments {
        report.blocks(&segment.footer);
        match segment.verify(blobs) {
            Ok(()) => report.rows += segment.footer.rows,
            Err(error) => report.problem(segment.name(), error, true),
        }
    }
    Ok(segments)
}

fn check_logs(
    folder: &Folder,
    tenant: &TenantId,
    segments: &[Segment],
    report: &mut CheckReport,
) -> Result<(), StoreError> {
    let dir = folder.log_dir(tenant);
    let mut stored: BTreeMap<SpoolId, u64> = BTreeMap::new();
    for (spool, sequence) in segments.iter().flat_map(|segment| segment.footer.spools()) {
        let held = stored.entry(spool).or_default();
        *held = sequence.max(*held);
    }
    for name in folder.disk().list(&dir).unwrap_or_default() {
        let file = format!("logs/{tenant}/{name}");
        let Some(id) = id_of(&name, ".log") else {
            report.problem(&file, "it is no log; nothing reads it", false);
            continue;
        };
        let path = dir.join(&name);
        report.logs += 1;
        report.bytes += folder.disk().len(&path).map_err(StoreError::io("read log", &path))?;
        let is_replaced = |segment: &Segment| segment.footer.replaces_logs.contains(&id);
        if segments.iter().any(is_replaced) {
            report.problem(&file, "a segment replaces it; the next start removes it", false);
            continue;
        }
        match replay(&**folder.disk(), &path, id, |s| stored.get(&s).copied().unwrap_or(0)) {
            Ok(replayed) => {
                let rows = replayed.head.rows();
                report.rows += rows.windows.iter().map(|held| held.rows.len() as u64).sum::<u64>();
                for (spool, sequence) in &rows.watermarks {
                    let held = stored.entry(*spool).or_default();
                    *held = (*held).max(*sequence);
                }
                if let Some(damage) = replayed.damage {
                    let (at, behind) = (damage.at, damage.behind.len());
                    let what = match damage.in_the_middle {
                        true => format!("damaged at byte {at}, {behind} batches behind are lost"),
                        false => format!("its end is torn at byte {at}, as after a crash"),
                    };
                    report.problem(&file, what, damage.in_the_middle);
                }
            }
            Err(error) => unread(report, &file, &error),
        }
    }
    Ok(())
}

/// A file that cannot be read; one of a later version is not lost by that.
fn unread(report: &mut CheckReport, file: &str, error: &StoreError) {
    report.problem(file, error, !matches!(error, StoreError::NewerFormat { .. }));
}

/// Puts a folder right as far as that can be done, and says what was wrong.
///
/// # Errors
/// When the folder cannot be opened or written.
pub async fn repair(dir: &Path) -> Result<CheckReport, StoreError> {
    let mut problems = check(dir)?.problems;
    let config = StoreConfig {
        dir: dir.to_owned(),
        maintain_every: std::time::Duration::ZERO,
        retain_raw: None,
        ..StoreConfig::default()
    };
    let store = Store::open(config)?;
    let shared = store.shared();
    for tenant in shared.tenants() {
        for segment in tenant.parts().sealed {
            // The index may still know the footer of a file whose own is damaged.
            let known = problems.iter_mut().find(|problem| problem.file == segment.name());
            let verified = segment.verify(&*shared.blobs);
            if let Some(problem) = known {
                problem.loses_rows = salvage(shared, &tenant, segment, verified.err())?;
            }
        }
        tenant.retirement.bury(&*shared.blobs, &tenant.id);
    }
    let mut report = CheckReport { problems, ..CheckReport::default() };
    for tenant in shared.tenants() {
        let losses = tenant.losses.within(TimeRange::ALL);
        report.known_losses.extend(losses.iter().map(ToString::to_string));
    }
    store.flush_and_close().await?;
    drop(store);
    let after = check(dir)?;
    (report.segments, report.logs) = (after.segments, after.logs);
    (report.rows, report.bytes) = (after.rows, after.bytes);
    (report.slices, report.nodes, report.held) = (after.slices, after.nodes, after.held);
    Ok(report)
}

/// Takes what is sound of a segment into a new one; the damaged file is kept aside. Says whether rows
/// are lost.
fn salvage(
    shared: &Shared,
    tenant: &Tenant,
    segment: Arc<Segment>,
    error: Option<StoreError>,
) -> Result<bool, StoreError> {
    let making = Making {
        blobs: &*shared.blobs,
        names: &tenant.names,
        level: segment.level(),
        reduce: None,
        late: &|_| Vec::new(),
        memory: shared.config.slice_memory(),
        effort: Effort::Thorough,
        is_over: &|| false,
    };
    // What cannot be read is what we are here for.
    let mut lost = false;
    let made = make(&making, &[Arc::clone(&segment)], &mut |_, _| {
        lost = true;
        Ok(())
    })?;
    let Some(made) = made else {
        return Err(StoreError::damaged(shared.blobs.path(segment.name()), "it is too large"));
    };
    let path = shared.blobs.path(segment.name());
    shared.folder.copy_aside(&path, "damaged")?;
    let rows = made.rows();
    if !lost {
        supersede(shared, tenant, vec![segment], made)?;
        return Ok(false);
    }
    let what = error.map_or_else(|| "damaged".to_owned(), |error| error.to_string());
    let mut loss = Loss::of(what, Some(&segment.footer));
    loss.rows = Some(segment.footer.rows.saturating_sub(rows));
    shared.folder.note_loss(&tenant.id, &format!("{:016x}.seg", segment.id()), &loss)?;
    tenant.losses.add(segment.name(), loss);
    supersede(shared, tenant, vec![segment], made)?;
    Ok(true)
}
