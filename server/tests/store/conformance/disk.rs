//! A disk: files that grow, names that move, nothing durable before a sync.

use std::io::ErrorKind;
use std::path::Path;

use stoker_server::store::Disk;

/// Panics where `disk` does not do below `root` what a disk does.
pub fn conforms(disk: &dyn Disk, root: &Path) {
    let dir = root.join("some/folder");
    disk.create_dir_all(&dir).unwrap();
    disk.create_dir_all(&dir).unwrap();
    files_grow(disk, &dir);
    reads_are_bounded(disk, &dir);
    names_move(disk, &dir);
    what_is_not_there_is_said(disk, &dir);
}

fn put(disk: &dyn Disk, path: &Path, bytes: &[u8]) {
    let mut file = disk.create_new(path).unwrap();
    file.append(bytes).unwrap();
    file.sync().unwrap();
}

fn files_grow(disk: &dyn Disk, dir: &Path) {
    let path = dir.join("grows");
    let mut file = disk.create_new(&path).unwrap();
    assert_eq!(disk.len(&path).unwrap(), 0);
    file.append(b"one").unwrap();
    file.append(b"").unwrap();
    file.append(b"two").unwrap();
    file.sync().unwrap();
    assert_eq!(disk.read(&path, 0, 6).unwrap(), b"onetwo");
    assert_eq!(disk.create_new(&path).unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(disk.len(&path).unwrap(), 6, "what exists is left as it is");
    disk.sync_file(&path).unwrap();
    disk.sync_dir(dir).unwrap();
}

fn reads_are_bounded(disk: &dyn Disk, dir: &Path) {
    let path = dir.join("bounded");
    put(disk, &path, b"0123456789");
    assert_eq!(disk.read(&path, 3, 4).unwrap(), b"3456");
    assert_eq!(disk.read(&path, 10, 0).unwrap(), b"");
    for (offset, length) in [(7, 4), (10, 1), (11, 1), (u64::MAX, 2), (0, usize::MAX / 2)] {
        let error = disk.read(&path, offset, length).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{length} from {offset}");
    }
}

fn names_move(disk: &dyn Disk, dir: &Path) {
    let names = dir.join("names");
    disk.create_dir_all(&names).unwrap();
    for name in ["b", "a", "c"] {
        put(disk, &names.join(name), name.as_bytes());
    }
    assert_eq!(disk.list(&names).unwrap(), ["a", "b", "c"], "in order");
    disk.rename(&names.join("a"), &names.join("c")).unwrap();
    assert_eq!(disk.read(&names.join("c"), 0, 1).unwrap(), b"a", "what had the name is gone");
    assert_eq!(disk.list(&names).unwrap(), ["b", "c"]);
    disk.unlink(&names.join("b")).unwrap();
    disk.sync_dir(&names).unwrap();
    assert_eq!(disk.list(&names).unwrap(), ["c"]);
    put(disk, &names.join("b"), b"again");
    assert_eq!(disk.len(&names.join("b")).unwrap(), 5);
}

fn what_is_not_there_is_said(disk: &dyn Disk, dir: &Path) {
    let none = dir.join("none");
    let of_kind = |error: std::io::Error| assert_eq!(error.kind(), ErrorKind::NotFound);
    of_kind(disk.len(&none).unwrap_err());
    of_kind(disk.read(&none, 0, 0).unwrap_err());
    of_kind(disk.unlink(&none).unwrap_err());
    of_kind(disk.rename(&none, &dir.join("other")).unwrap_err());
    of_kind(disk.sync_file(&none).unwrap_err());
}
