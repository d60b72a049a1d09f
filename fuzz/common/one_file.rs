//! A disk that has one file, for targets that read what a store has written.

use std::io;
use std::path::Path;

use stoker_server::store::{Disk, DiskFile};

/// A disk that has one file.
#[derive(Debug)]
pub struct OneFile(pub Vec<u8>);

impl Disk for OneFile {
    fn create_dir_all(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
    fn create_new(&self, _: &Path) -> io::Result<Box<dyn DiskFile>> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }
    fn read(&self, _: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let offset = usize::try_from(offset).map_err(|_| io::ErrorKind::UnexpectedEof)?;
        let end = offset.checked_add(length).ok_or(io::ErrorKind::UnexpectedEof)?;
        let bytes = self.0.get(offset..end).ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok(bytes.to_vec())
    }
    fn len(&self, _: &Path) -> io::Result<u64> {
        Ok(self.0.len() as u64)
    }
    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        Ok(())
    }
    fn unlink(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
    fn list(&self, _: &Path) -> io::Result<Vec<String>> {
        Ok(Vec::new())
    }
    fn sync_file(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
}
