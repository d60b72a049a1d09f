//! What whoever stands behind a seam of the store must do, written once: each suite takes an
//! implementation by its trait and is run against all that there are. Whoever adds one (object storage, a
//! database) adds a line to the tests below.
//!
//! Not asked for, because nothing of it is behind the seams yet: leases, and conditional puts.

mod blobs;
mod catalogue;
mod disk;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use stoker_server::store::{Blobs, Disk, LocalBlobs, RealDisk, SledCatalogue};

use crate::files::folder;
use crate::sim_disk::SimDisk;

#[test]
fn the_disk_of_the_operating_system_is_a_disk() {
    let dir = folder();
    disk::conforms(&RealDisk, dir.path());
}

#[test]
fn the_simulated_disk_is_a_disk() {
    disk::conforms(&SimDisk::new(1), Path::new("/sim"));
}

#[test]
fn local_files_are_blobs() {
    let dir = folder();
    let root = dir.path().to_owned();
    blobs::conforms(|| local(Arc::new(RealDisk), &root));
}

/// Each time that it is opened, power had gone before.
#[test]
fn files_on_the_simulated_disk_are_blobs() {
    for seed in 0..50 {
        let mut disk = SimDisk::new(seed);
        blobs::conforms(|| {
            disk = disk.after_power_cut();
            local(Arc::new(disk.clone()), Path::new("/sim"))
        });
    }
}

#[test]
fn the_index_in_sled_is_a_catalogue() {
    let dir = folder();
    let path: PathBuf = dir.path().join("index");
    catalogue::conforms(|| Box::new(SledCatalogue::open(&path).unwrap()));
}

fn local(disk: Arc<dyn Disk>, root: &Path) -> Box<dyn Blobs> {
    disk.create_dir_all(&root.join("segments/a")).unwrap();
    disk.create_dir_all(&root.join("segments/b")).unwrap();
    Box::new(LocalBlobs::new(disk, root.to_owned()))
}
