//! Files of earlier versions stay readable: a log of version 1 and segments of versions 1 and 2 are
//! kept beside this test. `STOKER_GOLDEN=write` makes those that are not there; a version that was
//! released is never made anew.

use std::path::{Path, PathBuf};

use stoker_server::store::{LOG_VERSION, SEGMENT_VERSION};

use crate::files::{files, folder, open};
use crate::model::{Agent, Content, some_rows};

/// Kind and version of each golden file.
const GOLDEN: [(&str, u32); 3] = [("logs", 1), ("segments", 1), ("segments", 2)];

fn golden(kind: &str, version: u32) -> PathBuf {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    dir.join(format!("v{version}")).join(format!("{kind}.bin"))
}

/// What the golden files hold.
fn expected() -> (Content, Vec<(Agent, stoker_wire::BatchBody)>) {
    let mut content = Content::default();
    let mut batches = Vec::new();
    for number in [1, 2] {
        let mut agent = Agent::new(number);
        let body = agent.batch(number.into(), &some_rows(number * 7));
        content.add(&agent.source.host_name, &agent.dictionary, &body);
        batches.push((agent, body));
    }
    (content, batches)
}

async fn write_golden() {
    let dir = folder();
    let store = open(dir.path());
    for (mut agent, body) in expected().1 {
        agent.append(&store, &body).await.unwrap();
    }
    for (kind, version) in [("logs", LOG_VERSION), ("segments", SEGMENT_VERSION)] {
        let to = golden(kind, version);
        if !to.exists() {
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            std::fs::copy(&files(dir.path(), kind)[0], to).unwrap();
        }
        if kind == "logs" {
            store.flush_and_close().await.unwrap();
        }
    }
}

#[tokio::test]
async fn files_of_every_version_are_read() {
    if std::env::var("STOKER_GOLDEN").is_ok_and(|what| what == "write") {
        write_golden().await;
    }
    for (kind, version) in GOLDEN {
        let dir = folder();
        drop(open(dir.path()));
        let bytes = std::fs::read(golden(kind, version)).unwrap();
        let name = file_name(kind, &bytes);
        std::fs::write(dir.path().join(kind).join("default").join(name), &bytes).unwrap();
        let store = open(dir.path());
        assert_eq!(Content::of(&store), expected().0, "{kind} {version}");
        let tenant = stoker_server::store::TenantId::default_tenant();
        for (agent, body) in expected().1 {
            for (frame, definition) in body.definitions {
                let id = agent.dictionary.frames.id(frame);
                let held = store.names(&tenant, |names| names.definitions.get(&id).cloned());
                let held = held.expect("every frame keeps its name");
                assert!(held.precedence(&definition).is_ge(), "{kind} {version}");
            }
        }
    }
}

/// A segment's name is its id, which its footer says too: the footer begins with field 1, eight
/// bytes of it.
fn file_name(kind: &str, bytes: &[u8]) -> String {
    if kind == "logs" {
        return "0000000000000001.log".to_owned();
    }
    let trailer = bytes.len() - 16;
    let length = u32::from_le_bytes(bytes[trailer..trailer + 4].try_into().unwrap());
    let footer = &bytes[trailer - usize::try_from(length).unwrap()..trailer];
    assert_eq!(footer[0], 9, "field 1, 64 bits");
    let id = u64::from_le_bytes(footer[1..9].try_into().unwrap());
    format!("{id:016x}.seg")
}
