//! A catalogue: what there is, changed in whole steps that last.

use stoker_dag::UnixNanos;
use stoker_server::store::messages::{Footer, LabelValues};
use stoker_server::store::{Added, Catalogue, Change, Entry, SpoolId, TenantId, TimeRange};

const WINDOW: u64 = stoker_dag::WINDOW_NS;

fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

/// A segment of one window, with a label and a build.
fn added(id: u64, window: u64, service: &str, build: &str) -> Added {
    let label = LabelValues {
        name: "service_name".into(),
        values: vec![service.into()],
        more: service == "many",
    };
    let footer = Footer {
        id,
        first_window: window * WINDOW,
        last_window: window * WINDOW,
        labels: vec![label],
        rows: id * 10,
        ..Footer::default()
    };
    Added { entry: Entry { footer, length: id * 100 }, builds: vec![build.into()] }
}

fn ids(entries: &[Entry]) -> Vec<u64> {
    entries.iter().map(|entry| entry.footer.id).collect()
}

fn windows(from: u64, until: u64) -> TimeRange {
    TimeRange::new(UnixNanos(from * WINDOW), UnixNanos(until * WINDOW))
}

/// Panics where what `open` opens, empty the first time, does not do what a catalogue does.
pub fn conforms(open: impl Fn() -> Box<dyn Catalogue>) {
    let (one, other) = (tenant("one"), tenant("one-more"));
    let held = open();
    assert_eq!(held.list(&one, TimeRange::ALL).unwrap(), []);
    assert_eq!(held.tenants().unwrap(), []);
    assert_eq!(held.watermarks(&one).unwrap(), []);
    let spool = |n: u8| SpoolId([n; 16]);
    let first = Change {
        added: vec![added(2, 6, "web", "aa"), added(1, 5, "api", "aa"), added(3, 7, "many", "bb")],
        superseded: vec![],
        watermarks: vec![(spool(1), 4), (spool(2), 9)],
    };
    held.commit(&one, &first).unwrap();
    let foreign = Change { added: vec![added(1, 5, "api", "aa")], ..Change::default() };
    held.commit(&other, &foreign).unwrap();
    finds(&*held, &one);
    drop(held);

    let held = open();
    finds(&*held, &one);
    let tenants = held.tenants().unwrap();
    assert!(tenants.len() == 2 && tenants.contains(&one) && tenants.contains(&other));
    supersedes(&*held, &one);
    assert_eq!(ids(&held.list(&other, TimeRange::ALL).unwrap()), [1], "another tenant's");
    drop(held);

    let held = open();
    assert_eq!(ids(&held.list(&one, TimeRange::ALL).unwrap()), [3, 4]);
    let mut marks = held.watermarks(&one).unwrap();
    marks.sort_unstable();
    assert_eq!(marks, [(spool(1), 5), (spool(2), 9)]);
    assert_eq!(held.watermarks(&other).unwrap(), []);
}

fn finds(held: &dyn Catalogue, one: &TenantId) {
    let all = held.list(one, TimeRange::ALL).unwrap();
    assert_eq!(ids(&all), [1, 2, 3], "in order of id");
    assert_eq!(all[1], added(2, 6, "web", "aa").entry, "as it was given");
    assert_eq!(ids(&held.list(one, windows(6, 7)).unwrap()), [2], "half-open");
    assert!(held.list(one, windows(0, 5)).unwrap().is_empty());
    assert_eq!(ids(&held.list(one, windows(5, 100)).unwrap()), [1, 2, 3]);
    let label = |value: &str| held.with_label(one, "service_name", value).unwrap();
    assert_eq!((label("web"), label("api")), (vec![2, 3], vec![1, 3]), "and what has too many");
    assert!(held.with_label(one, "service", "web").unwrap().is_empty(), "no prefix of a name");
    assert_eq!(held.with_build(one, "aa").unwrap(), [1, 2]);
    assert!(held.with_build(one, "a").unwrap().is_empty(), "no prefix of a build");
}

/// A merged segment comes with the end of those that it stands for.
fn supersedes(held: &dyn Catalogue, one: &TenantId) {
    let change = Change {
        added: vec![added(4, 6, "web", "aa")],
        superseded: vec![1, 2, 77],
        watermarks: vec![(SpoolId([1; 16]), 5)],
    };
    held.commit(one, &change).unwrap();
    assert_eq!(ids(&held.list(one, TimeRange::ALL).unwrap()), [3, 4]);
    // Once more is no change.
    held.commit(one, &change).unwrap();
    assert_eq!(ids(&held.list(one, TimeRange::ALL).unwrap()), [3, 4]);
    held.commit(one, &Change::default()).unwrap();
    assert_eq!(held.with_label(one, "service_name", "web").unwrap(), [3, 4], "what is gone is not");
    assert_eq!(held.with_build(one, "aa").unwrap(), [4]);
}
