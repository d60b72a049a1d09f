//! What people and deploy scripts note about a moment: one line of JSON each in `annotations.jsonl`,
//! synced before it is acknowledged. Few and small, so all are held in memory; past [`MAX_HELD`] the
//! oldest go. A line that was cut by a crash, or that cannot be read, is skipped and counted.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

/// Annotations that are kept.
pub const MAX_HELD: usize = 10_000;
/// Bytes of one text.
pub const MAX_TEXT_BYTES: usize = 1 << 10;
/// Bytes of the file that are read when it is opened.
const MAX_FILE_BYTES: u64 = 64 << 20;
const FILE: &str = "annotations.jsonl";

/// One note.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Annotation {
    /// The moment it is about, Unix milliseconds.
    pub at_ms: u64,
    /// What is said of it.
    pub text: String,
}

/// All notes of a data folder.
#[derive(Debug, Clone)]
pub struct Annotations(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    held: Mutex<VecDeque<Annotation>>,
    /// Lines that could not be read when the file was opened.
    unreadable: usize,
}

impl Annotations {
    /// Those of the folder `dir`, which is made when it is not there.
    ///
    /// # Errors
    /// When the file cannot be read or replaced.
    pub fn open(dir: &Path) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        let path = dir.join(FILE);
        let (mut held, unreadable) = match File::open(&path) {
            Ok(file) => read(file)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => (VecDeque::new(), 0),
            Err(error) => return Err(error),
        };
        let is_over = held.len() > MAX_HELD;
        while held.len() > MAX_HELD {
            held.pop_front();
        }
        if is_over || unreadable > 0 {
            replace(&path, &held)?;
        }
        Ok(Self(Arc::new(Inner { path, held: Mutex::new(held), unreadable })))
    }

    /// Lines that could not be read when the file was opened.
    #[must_use]
    pub fn unreadable(&self) -> usize {
        self.0.unreadable
    }

    /// Notes `annotation`; it is durable when this returns.
    ///
    /// # Errors
    /// When it could not be written; then it is not there.
    pub fn add(&self, annotation: Annotation) -> io::Result<()> {
        let mut held = self.held();
        let mut line = serde_json::to_vec(&annotation)?;
        line.push(b'\n');
        let mut file = OpenOptions::new().create(true).append(true).open(&self.0.path)?;
        let before = file.metadata()?.len();
        if let Err(error) = file.write_all(&line).and_then(|()| file.sync_all()) {
            // What was written of the line must not spoil the next one.
            let _ = file.set_len(before);
            return Err(error);
        }
        held.push_back(annotation);
        if held.len() > MAX_HELD {
            held.pop_front();
        }
        Ok(())
    }

    /// Those about moments in `[from_ms, until_ms)`, in order of time.
    #[must_use]
    pub fn within(&self, from_ms: u64, until_ms: u64) -> Vec<Annotation> {
        let is_within = |held: &&Annotation| (from_ms..until_ms).contains(&held.at_ms);
        let mut found: Vec<Annotation> = self.held().iter().filter(is_within).cloned().collect();
        found.sort_by_key(|held| held.at_ms);
        found
    }

    fn held(&self) -> MutexGuard<'_, VecDeque<Annotation>> {
        // Nothing is left half done by a panic: the file is written before the list.
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(file: File) -> io::Result<(VecDeque<Annotation>, usize)> {
    let (mut held, mut unreadable) = (VecDeque::new(), 0);
    for line in BufReader::new(file.take(MAX_FILE_BYTES)).split(b'\n') {
        match serde_json::from_slice::<Annotation>(&line?) {
            Ok(annotation) if annotation.text.len() <= MAX_TEXT_BYTES => held.push_back(annotation),
            _ => unreadable += 1,
        }
    }
    Ok((held, unreadable))
}

/// Writes all anew, so that a crash leaves either the old file or the new one.
fn replace(path: &Path, held: &VecDeque<Annotation>) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    for annotation in held {
        serde_json::to_writer(&mut file, annotation)?;
        file.write_all(b"\n")?;
    }
    file.sync_all()?;
    fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(at_ms: u64, text: &str) -> Annotation {
        Annotation { at_ms, text: text.to_owned() }
    }

    #[test]
    fn what_was_noted_is_there_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let notes = Annotations::open(dir.path()).unwrap();
        notes.add(note(20, "deploy <b>1.5</b>\n2")).unwrap();
        notes.add(note(10, "rollback")).unwrap();
        let again = Annotations::open(dir.path()).unwrap();
        assert_eq!(again.within(0, 20), [note(10, "rollback")]);
        assert_eq!(again.within(0, 21), [note(10, "rollback"), note(20, "deploy <b>1.5</b>\n2")]);
        assert_eq!(again.unreadable(), 0);
    }

    #[test]
    fn a_line_that_a_crash_cut_is_skipped_and_does_not_spoil_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        fs::write(&path, "{\"at_ms\":1,\"text\":\"a\"}\nrubbish\n{\"at_ms\":2,\"te").unwrap();
        let notes = Annotations::open(dir.path()).unwrap();
        assert_eq!((notes.within(0, 9), notes.unreadable()), (vec![note(1, "a")], 2));
        notes.add(note(3, "b")).unwrap();
        let again = Annotations::open(dir.path()).unwrap();
        assert_eq!(again.within(0, 9), [note(1, "a"), note(3, "b")]);
        assert_eq!(again.unreadable(), 0);
    }

    #[test]
    fn past_the_bound_the_oldest_go() {
        let dir = tempfile::tempdir().unwrap();
        let lines: String =
            (0..MAX_HELD + 5).map(|at| format!("{{\"at_ms\":{at},\"text\":\"x\"}}\n")).collect();
        fs::write(dir.path().join(FILE), lines).unwrap();
        let notes = Annotations::open(dir.path()).unwrap();
        notes.add(note(99_999, "new")).unwrap();
        let held = notes.within(0, u64::MAX);
        assert_eq!((held.len(), held[0].at_ms), (MAX_HELD, 6));
    }
}
