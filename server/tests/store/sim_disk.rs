//! A disk in memory that does what a real one may do when power goes: what was not synced is lost,
//! kept, torn or out of order, and names that were not synced are there or not, each for itself.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use stoker_server::store::{Disk, DiskFile};

/// What of unsynced bytes is kept or lost together.
const BLOCK: usize = 64;

#[derive(Debug, Clone, Default)]
struct Inode {
    bytes: Vec<u8>,
    /// How many of them are durable.
    synced: usize,
}

/// A change of names that is not durable yet.
#[derive(Debug, Clone)]
enum NameChange {
    Link(PathBuf, usize),
    Unlink(PathBuf),
    Rename(PathBuf, PathBuf),
}

#[derive(Debug)]
struct State {
    inodes: Vec<Inode>,
    names: BTreeMap<PathBuf, usize>,
    durable: BTreeMap<PathBuf, usize>,
    pending: Vec<NameChange>,
    /// Operations that change something until power goes.
    until_power_goes: Option<u64>,
    /// One operation in so many fails and does nothing, or half of it.
    fails_one_in: u64,
    random: fastrand::Rng,
}

/// The disk.
#[derive(Debug, Clone)]
pub struct SimDisk(Arc<Mutex<State>>);

fn is_in(path: &Path, dir: &Path) -> bool {
    path.parent() == Some(dir)
}

impl SimDisk {
    pub fn new(seed: u64) -> Self {
        Self::of(BTreeMap::new(), Vec::new(), fastrand::Rng::with_seed(seed))
    }

    fn of(names: BTreeMap<PathBuf, usize>, inodes: Vec<Inode>, random: fastrand::Rng) -> Self {
        Self(Arc::new(Mutex::new(State {
            inodes,
            durable: names.clone(),
            names,
            pending: Vec::new(),
            until_power_goes: None,
            fails_one_in: 0,
            random,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Power goes after so many operations.
    pub fn cut_power_after(&self, operations: u64) {
        self.state().until_power_goes = Some(operations);
    }

    /// One operation in so many fails; none where it is 0.
    pub fn fail_one_in(&self, n: u64) {
        self.state().fails_one_in = n;
    }

    pub fn is_off(&self) -> bool {
        self.state().until_power_goes == Some(0)
    }

    /// The disk as it is found when power is back.
    pub fn after_power_cut(&self) -> Self {
        let mut state = self.state();
        state.until_power_goes = Some(0);
        let mut random = state.random.fork();
        let mut names = state.durable.clone();
        for change in &state.pending {
            if random.bool() {
                apply(&mut names, change);
            }
        }
        let mut inodes = state.inodes.clone();
        for inode in &mut inodes {
            let kept = random.usize(inode.synced..=inode.bytes.len());
            inode.bytes.truncate(kept);
            let mut at = inode.synced;
            while at < kept {
                let end = (at / BLOCK * BLOCK + BLOCK).min(kept);
                if random.u8(..4) == 0 {
                    inode.bytes[at..end].fill(0);
                }
                at = end;
            }
            inode.synced = inode.bytes.len();
        }
        Self::of(names, inodes, random)
    }

    /// How many files there are.
    pub fn files(&self) -> usize {
        self.state().names.len()
    }
}

fn apply(names: &mut BTreeMap<PathBuf, usize>, change: &NameChange) {
    match change {
        NameChange::Link(path, inode) => {
            names.insert(path.clone(), *inode);
        }
        NameChange::Unlink(path) => {
            names.remove(path);
        }
        // The new name is only there when the old one was; a lost link takes its rename with it.
        NameChange::Rename(from, to) => {
            if let Some(inode) = names.remove(from) {
                names.insert(to.clone(), inode);
            }
        }
    }
}

impl State {
    /// Whether an operation that changes something may go on.
    fn change(&mut self) -> io::Result<()> {
        match &mut self.until_power_goes {
            Some(0) => return Err(io::Error::other("power is off")),
            Some(left) => *left -= 1,
            None => {}
        }
        if self.until_power_goes == Some(0) {
            return Err(io::Error::other("power goes"));
        }
        if self.fails_one_in > 0 && self.random.u64(..self.fails_one_in) == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    fn look(&self) -> io::Result<()> {
        match self.until_power_goes {
            Some(0) => Err(io::Error::other("power is off")),
            _ => Ok(()),
        }
    }

    fn inode(&self, path: &Path) -> io::Result<&Inode> {
        self.look()?;
        let inode = self.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(&self.inodes[*inode])
    }

    fn rename(&mut self, change: NameChange) {
        apply(&mut self.names, &change);
        self.pending.push(change);
    }
}

#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    inode: usize,
}

impl DiskFile for SimFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.state();
        let allowed = state.change();
        // What fails or is cut off may have written a part.
        let kept = if allowed.is_ok() { bytes.len() } else { state.random.usize(..=bytes.len()) };
        state.inodes[self.inode].bytes.extend_from_slice(&bytes[..kept]);
        allowed
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.disk.state();
        state.change()?;
        let inode = &mut state.inodes[self.inode];
        inode.synced = inode.bytes.len();
        Ok(())
    }
}

impl Disk for SimDisk {
    fn create_dir_all(&self, _path: &Path) -> io::Result<()> {
        self.state().look()
    }

    fn create_new(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state();
        state.change()?;
        if state.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let inode = state.inodes.len();
        state.inodes.push(Inode::default());
        state.rename(NameChange::Link(path.to_owned(), inode));
        Ok(Box::new(SimFile { disk: self.clone(), inode }))
    }

    fn read(&self, path: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let state = self.state();
        let bytes = &state.inode(path)?.bytes;
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let range = offset..offset.saturating_add(length);
        bytes.get(range).map(<[u8]>::to_vec).ok_or(io::ErrorKind::UnexpectedEof.into())
    }

    fn len(&self, path: &Path) -> io::Result<u64> {
        Ok(self.state().inode(path)?.bytes.len() as u64)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.change()?;
        state.inode(from)?;
        state.rename(NameChange::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.change()?;
        state.inode(path)?;
        state.rename(NameChange::Unlink(path.to_owned()));
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.state();
        state.look()?;
        let below = state.names.keys().filter_map(|path| path.strip_prefix(dir).ok());
        let mut names: Vec<String> = below
            .filter_map(|path| path.components().next())
            .map(|first| first.as_os_str().to_string_lossy().into_owned())
            .collect();
        names.dedup();
        Ok(names)
    }

    fn sync_file(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.change()?;
        let inode = *state.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        let inode = &mut state.inodes[inode];
        inode.synced = inode.bytes.len();
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.change()?;
        let State { pending, durable, .. } = &mut *state;
        pending.retain(|change| {
            let path = match change {
                NameChange::Link(path, _) | NameChange::Unlink(path) => path,
                NameChange::Rename(_, to) => to,
            };
            let here = is_in(path, dir);
            if here {
                apply(durable, change);
            }
            !here
        });
        Ok(())
    }
}
