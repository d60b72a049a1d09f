//! The data folder: its version, its lock, its index.

use std::path::Path;

use stoker_server::store::{Catalogue, SledCatalogue, Store, StoreError, TenantId, TimeRange};

use crate::files::{config, files, folder, open};
use crate::model::{Content, filled};

fn refused(dir: &Path) -> StoreError {
    Store::open(config(dir)).expect_err("it must not open")
}

#[test]
fn a_newer_folder_is_refused_and_left_alone() {
    let dir = folder();
    std::fs::write(dir.path().join("FORMAT"), "2\n").unwrap();
    let error = refused(dir.path());
    assert!(matches!(error, StoreError::NewerFormat { found: 2, supported: 1, .. }), "{error}");
    assert!(error.to_string().contains("use the newer version"), "{error}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn a_folder_of_something_else_is_refused_and_left_alone() {
    let dir = folder();
    std::fs::write(dir.path().join("thesis.tex"), "").unwrap();
    assert!(matches!(refused(dir.path()), StoreError::NotAStore { .. }));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn one_folder_has_one_server() {
    let dir = folder();
    let store = open(dir.path());
    let error = refused(dir.path()).to_string();
    assert!(error.contains(&format!("in use by process {}", std::process::id())), "{error}");
    store.flush_and_close().await.unwrap();
    assert!(matches!(store.ready(), Err(StoreError::Closed)));
    // The handle is still there, but the folder is free.
    assert!(open(dir.path()).ready().is_ok());
    assert!(matches!(store.flush_and_close().await, Err(StoreError::Closed)));
}

#[tokio::test]
async fn a_closed_store_takes_nothing_more() {
    let dir = folder();
    let (store, model, mut agents) = filled(dir.path()).await;
    store.flush_and_close().await.unwrap();
    let body = agents[0].batch(0, &crate::model::some_rows(0));
    assert!(matches!(agents[0].append(&store, &body).await, Err(StoreError::Closed)));
    assert_eq!(Content::of(&open(dir.path())), model);
}

#[tokio::test]
async fn the_index_is_rebuilt_whatever_becomes_of_it() {
    let dir = folder();
    let (store, model, _) = filled(dir.path()).await;
    store.flush_and_close().await.unwrap();
    let index = dir.path().join("index");
    let damages: [&dyn Fn(); 5] = [
        &|| std::fs::remove_dir_all(&index).unwrap(),
        &|| overwrite(&index, |bytes| bytes.fill(0)),
        &|| overwrite(&index, |bytes| bytes.truncate(bytes.len() / 2)),
        &|| overwrite(&index, |bytes| bytes.iter_mut().for_each(|b| *b = b.wrapping_mul(7))),
        &|| {
            std::fs::remove_dir_all(&index).unwrap();
            std::fs::write(&index, "a file").unwrap();
        },
    ];
    for (at, damage) in damages.into_iter().enumerate() {
        damage();
        let store = open(dir.path());
        assert_eq!(Content::of(&store), model, "damage {at}");
        store.flush_and_close().await.unwrap();
    }
    assert_eq!(files(dir.path(), "segments").len(), 1);
}

fn overwrite(dir: &Path, change: impl Fn(&mut Vec<u8>)) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let mut bytes = std::fs::read(&path).unwrap();
            change(&mut bytes);
            std::fs::write(path, bytes).unwrap();
        }
    }
}

#[tokio::test]
async fn the_index_finds_segments_by_time_label_and_build() {
    let dir = folder();
    let (store, _, agents) = filled(dir.path()).await;
    store.flush_and_close().await.unwrap();
    let index = SledCatalogue::open(&dir.path().join("index")).unwrap();
    let tenant = TenantId::default_tenant();
    let all = index.list(&tenant, TimeRange::ALL).unwrap();
    let id = all[0].footer.id;
    assert_eq!((all.len(), index.tenants().unwrap()), (1, vec![tenant.clone()]));
    let early = TimeRange::new(stoker_dag::UnixNanos(0), stoker_dag::UnixNanos(1));
    assert_eq!(index.list(&tenant, early).unwrap(), vec![]);
    assert_eq!(index.with_label(&tenant, "service_name", "v1").unwrap(), vec![id]);
    assert!(index.with_label(&tenant, "service_name", "v").unwrap().is_empty());
    let build = crate::model::build().to_string();
    assert_eq!(index.with_build(&tenant, &build).unwrap(), vec![id]);
    let watermarks = index.watermarks(&tenant).unwrap();
    assert_eq!(watermarks, agents.map(|agent| (agent.source.spool_id, agent.sequence)));
}
