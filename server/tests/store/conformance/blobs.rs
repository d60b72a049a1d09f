//! Blobs: immutable, whole or not there, durable when they were put.

use stoker_server::store::Blobs;

/// Panics where what `open` opens, empty the first time, does not do what blobs do. It is opened several
/// times, as after a restart.
pub fn conforms(mut open: impl FnMut() -> Box<dyn Blobs>) {
    let blobs = open();
    assert_eq!(blobs.list("segments/a/").unwrap(), Vec::<String>::new());
    let long: Vec<u8> = (0..100_000u32).flat_map(u32::to_le_bytes).collect();
    blobs.put_new("segments/a/1", b"0123456789").unwrap();
    blobs.put_new("segments/a/2", &long).unwrap();
    blobs.put_new("segments/b/1", b"").unwrap();
    holds(&*blobs, &long);
    drop(blobs);

    let blobs = open();
    holds(&*blobs, &long);
    a_name_is_given_once(&*blobs);
    what_is_deleted_is_gone(&*blobs);
    drop(blobs);

    let blobs = open();
    assert_eq!(blobs.list("segments/a/").unwrap(), ["2"], "deleted for good");
    assert_eq!(blobs.get_range("segments/a/2", 0, long.len()).unwrap(), long);
}

fn holds(blobs: &dyn Blobs, long: &[u8]) {
    assert_eq!(blobs.list("segments/a/").unwrap(), ["1", "2"], "in order, without the prefix");
    assert_eq!(blobs.list("segments/b/").unwrap(), ["1"]);
    assert_eq!(blobs.len("segments/a/1").unwrap(), 10);
    assert_eq!(blobs.len("segments/b/1").unwrap(), 0);
    assert_eq!(blobs.get_range("segments/a/2", 0, long.len()).unwrap(), long);
    assert_eq!(blobs.get_range("segments/a/1", 3, 4).unwrap(), b"3456");
    assert_eq!(blobs.get_range("segments/a/1", 10, 0).unwrap(), b"");
    for (offset, length) in [(7, 4), (10, 1), (u64::MAX, 2), (0, usize::MAX / 2)] {
        let cut = blobs.get_range("segments/a/1", offset, length);
        assert!(cut.is_err(), "fewer bytes than asked for are an error: {length} from {offset}");
    }
    for name in ["segments/a/3", "segments/b/2"] {
        assert!(blobs.len(name).is_err() && blobs.get_range(name, 0, 0).is_err(), "{name}");
    }
    assert!(blobs.path("segments/a/1").to_string_lossy().contains('1'), "people can find it");
}

/// A name that is there is refused with other bytes. The same bytes again are no change: whoever does
/// not know whether it was done may do it again.
fn a_name_is_given_once(blobs: &dyn Blobs) {
    assert!(blobs.put_new("segments/a/1", b"other bytes").is_err());
    assert!(blobs.put_new("segments/a/1", b"012345678X").is_err());
    assert!(blobs.put_new("segments/a/1", b"").is_err());
    assert_eq!(blobs.get_range("segments/a/1", 0, 10).unwrap(), b"0123456789");
    blobs.put_new("segments/a/1", b"0123456789").unwrap();
    assert_eq!(blobs.list("segments/a/").unwrap(), ["1", "2"]);
}

fn what_is_deleted_is_gone(blobs: &dyn Blobs) {
    blobs.delete("segments/a/1").unwrap();
    assert!(blobs.len("segments/a/1").is_err());
    assert_eq!(blobs.list("segments/a/").unwrap(), ["2"]);
    blobs.delete("segments/a/1").unwrap();
    blobs.delete("segments/a/never").unwrap();
}
