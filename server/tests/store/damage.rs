//! Damaged bytes: named, set aside, and the rest is served.

use std::path::Path;

use crate::files::{crash_copy, files, folder, open};
use crate::model::{Content, filled};

fn set_aside(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir.join("set-aside")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    names.filter(|name| !name.ends_with(".lost")).collect()
}

fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 0x10;
    std::fs::write(path, bytes).unwrap();
}

/// Everything in `part` is in `whole`, with no more value than there.
fn is_part_of(part: &Content, whole: &Content) -> bool {
    let rows = part.rows.iter().all(|(key, (value, count))| {
        whole.rows.get(key).is_some_and(|(v, c)| value <= v && count <= c)
    });
    let taken = part.taken.iter();
    rows && taken.into_iter().all(|(key, n)| whole.taken.get(key).is_some_and(|all| n <= all))
}

#[tokio::test]
async fn a_flipped_byte_in_a_log_keeps_what_stands_before_it() {
    let dir = folder();
    let (store, model, _) = filled(dir.path()).await;
    let copy = crash_copy(dir.path(), false);
    drop(store);
    let length = std::fs::read(files(copy.path(), "logs").pop().unwrap()).unwrap().len();
    let mut partial = 0;
    for at in (0..length).step_by(7) {
        let damaged = crash_copy(copy.path(), false);
        let log = files(damaged.path(), "logs").pop().unwrap();
        flip(&log, at);
        let store = open(damaged.path());
        let content = Content::of(&store);
        assert!(is_part_of(&content, &model), "byte {at}");
        assert_ne!(content, model, "byte {at}");
        partial += usize::from(!content.rows.is_empty());
        store.flush_and_close().await.unwrap();
        // What was sound is sealed, and the damaged log is kept where somebody can look at it.
        assert_eq!(files(damaged.path(), "logs").len(), 0, "byte {at}");
        let store = open(damaged.path());
        assert_eq!(Content::of(&store), content, "byte {at}");
    }
    assert!(partial > length / 7 / 2);
}

#[tokio::test]
async fn a_log_damaged_in_the_middle_is_kept_aside() {
    let dir = folder();
    let (store, _, _) = filled(dir.path()).await;
    let copy = crash_copy(dir.path(), true);
    drop(store);
    let log = files(copy.path(), "logs").pop().unwrap();
    let length = std::fs::read(&log).unwrap().len();
    flip(&log, length / 2);
    let store = open(copy.path());
    assert!(!Content::of(&store).rows.is_empty());
    store.flush_and_close().await.unwrap();
    let aside = set_aside(copy.path());
    assert_eq!(aside.len(), 1);
    assert!(
        aside[0].starts_with("logs-default-") && aside[0].ends_with(".log.damaged"),
        "{aside:?}"
    );
    assert_eq!(store.metrics().set_aside, 1);
}

#[tokio::test]
async fn a_flipped_byte_in_a_segment_costs_that_segment_at_most() {
    let dir = folder();
    let (store, mut model, mut agents) = filled(dir.path()).await;
    store.flush_and_close().await.unwrap();
    let store = open(dir.path());
    let first = model.clone();
    agents[0].rebase = Default::default();
    let body = agents[0].batch(9, &crate::model::some_rows(3));
    agents[0].send(&store, &mut model, body).await;
    store.flush_and_close().await.unwrap();
    let mut second = model.clone();
    second.rows.retain(|key, _| !first.rows.contains_key(key));
    second.taken.retain(|key, _| !first.taken.contains_key(key));
    let length = std::fs::read(&files(dir.path(), "segments")[0]).unwrap().len();
    for at in (0..length).step_by(5) {
        for with_index in [true, false] {
            let damaged = crash_copy(dir.path(), with_index);
            flip(&files(damaged.path(), "segments")[0], at);
            let store = open(damaged.path());
            let content = Content::of(&store);
            assert!(is_part_of(&content, &model), "byte {at}");
            assert!(is_part_of(&second, &content), "byte {at}: the other segment is served");
            let metrics = store.metrics();
            let named = metrics.set_aside + metrics.read_failures > 0;
            assert!(named || content == model, "byte {at}: a loss without a word");
        }
    }
}

#[tokio::test]
async fn a_segment_that_is_gone_is_named_and_the_rest_served() {
    let dir = folder();
    let (store, _, mut agents) = filled(dir.path()).await;
    store.flush_and_close().await.unwrap();
    let store = open(dir.path());
    let mut second = Content::default();
    agents[0].rebase = Default::default();
    let body = agents[0].batch(9, &crate::model::some_rows(3));
    agents[0].send(&store, &mut second, body).await;
    store.flush_and_close().await.unwrap();
    std::fs::remove_file(&files(dir.path(), "segments")[0]).unwrap();
    let store = open(dir.path());
    assert_eq!(Content::of(&store), second);
    assert_eq!(store.metrics().segments, 1);
}
