//! `stoker-server check` and `repair`, as people run them.

use std::path::Path;
use std::process::{Command, Output};

use crate::files::{crash_copy, files, folder, open};
use crate::model::{Content, filled};

fn run(dir: &Path, arguments: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_stoker-server"))
        .args(arguments)
        .arg("--data-dir")
        .arg(dir)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 0x10;
    std::fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn a_sound_folder_is_said_to_be_sound() {
    let dir = folder();
    let (store, model, _) = filled(dir.path()).await;
    let (code, _, stderr) = run(dir.path(), &["check"]);
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("in use by process"), "{stderr}");
    store.flush_and_close().await.unwrap();
    drop(store);
    let (code, stdout, _) = run(dir.path(), &["check"]);
    assert!(code == 0 && stdout.contains("All of it is sound."), "{stdout}");
    assert!(stdout.starts_with("1 segments and 0 logs"), "{stdout}");
    let (code, stdout, _) = run(dir.path(), &["repair"]);
    assert!(code == 0 && stdout.contains("Nothing had to be done."), "{stdout}");
    assert_eq!(Content::of(&open(dir.path())), model);
}

#[tokio::test]
async fn what_is_no_data_folder_is_refused() {
    let dir = folder();
    std::fs::write(dir.path().join("notes.txt"), "mine").unwrap();
    for command in ["check", "repair"] {
        let (code, _, stderr) = run(dir.path(), &[command]);
        assert!(code == 2 && stderr.contains("no data folder of Stoker"), "{stderr}");
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing was written");
}

#[tokio::test]
async fn a_torn_log_is_harmless() {
    let dir = folder();
    let (store, model, _) = filled(dir.path()).await;
    let copy = crash_copy(dir.path(), true);
    drop(store);
    let log = files(copy.path(), "logs").pop().unwrap();
    let mut bytes = std::fs::read(&log).unwrap();
    bytes.extend_from_slice(&[0; 100]);
    std::fs::write(&log, bytes).unwrap();
    let (code, stdout, _) = run(copy.path(), &["check"]);
    assert!(
        code == 1 && stdout.contains("torn at byte") && stdout.contains("harmless"),
        "{stdout}"
    );
    let (code, stdout, _) = run(copy.path(), &["repair"]);
    assert!(code == 0 && stdout.contains("nothing is lost"), "{stdout}");
    assert_eq!(run(copy.path(), &["check"]).0, 0);
    assert_eq!(Content::of(&open(copy.path())), model);
}

#[tokio::test]
async fn what_is_sound_of_a_damaged_segment_is_kept() {
    let dir = folder();
    let (store, model, _) = filled(dir.path()).await;
    store.flush_and_close().await.unwrap();
    drop(store);
    let length = std::fs::read(&files(dir.path(), "segments")[0]).unwrap().len();
    let (mut kept_some, mut steps) = (0, 0);
    for at in (16..length).step_by(length / 12) {
        let copy = crash_copy(dir.path(), true);
        let file = files(copy.path(), "segments").remove(0);
        flip(&file, at);
        let (code, stdout, _) = run(copy.path(), &["check", "--json"]);
        let report: serde_json::Value = serde_json::from_str(&stdout).unwrap();
        assert_eq!(code, 1, "byte {at}: {stdout}");
        let problem = &report["problems"][0];
        let name = file.file_name().unwrap().to_str().unwrap();
        assert!(problem["file"].as_str().unwrap().ends_with(name), "byte {at}: {stdout}");
        assert_eq!(problem["loses_rows"], true, "byte {at}: {stdout}");
        let (code, stdout, _) = run(copy.path(), &["repair"]);
        let lost = stdout.contains("LOST ROWS");
        assert_eq!(code, i32::from(lost), "byte {at}: {stdout}");
        let (code, stdout, _) = run(copy.path(), &["check"]);
        assert!(code == 0 && stdout.contains("noted as lost") == lost, "byte {at}: {stdout}");
        let aside = std::fs::read_dir(copy.path().join("set-aside")).unwrap().count();
        assert_eq!(aside, 1 + usize::from(lost), "byte {at}: the file as it was, and the note");
        let content = Content::of(&open(copy.path()));
        assert!(lost || content == model, "byte {at}: what is not lost is there");
        assert!(content.rows.iter().all(|(key, value)| model.rows.get(key) == Some(value)));
        kept_some += usize::from(!content.rows.is_empty());
        steps += 1;
    }
    assert!(kept_some >= 3 && steps > 10, "{kept_some} of {steps}");
}
