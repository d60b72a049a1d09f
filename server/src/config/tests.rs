use std::time::Duration;

use super::*;

fn read(text: &str) -> Result<Settings, String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    Settings::read(file.path()).map_err(|error| {
        let path = file.path().display().to_string();
        error.to_string().replace(&path, "FILE")
    })
}

#[test]
fn the_stronger_source_wins_setting_by_setting() {
    let file = read("http = \"127.0.0.1:1\"\ngrpc = \"127.0.0.1:2\"\nquery_timeout = \"5s\"");
    let flags = Settings { http: Some("127.0.0.1:9".parse().unwrap()), ..Settings::default() };
    let config = flags.or(file.unwrap()).into_config().unwrap();
    assert_eq!((config.http.port(), config.grpc.port()), (9, 2));
    assert_eq!(config.limits.timeout, Duration::from_secs(5));
    assert_eq!(config.data_dir, Path::new("stoker-data"));
}

#[test]
fn addresses_are_numbers_or_localhost() {
    assert_eq!(parse_address("localhost:0").unwrap().to_string(), "127.0.0.1:0");
    assert_eq!(parse_address("[::1]:4040").unwrap().port(), 4040);
    assert!(parse_address("web-1:4040").unwrap_err().contains("127.0.0.1:4040"));
}

#[test]
fn retention_and_quota_are_read() {
    let config = |retain: &str, disk: &str| {
        let (retain_raw, max_disk) = (Some(retain.into()), Some(disk.into()));
        let settings = Settings { retain_raw, max_disk, ..Settings::default() };
        settings.into_config().map(|config| (config.store.retain_raw, config.store.max_disk))
    };
    let day = Duration::from_secs(24 * 3600);
    assert_eq!(config("2d", "1GiB").unwrap(), (Some(2 * day), Some(1 << 30)));
    assert_eq!(config("forever", "300M").unwrap(), (None, Some(300 << 20)));
    assert_eq!(Settings::default().into_config().unwrap().store.retain_raw, Some(7 * day));
    for (retain, disk, wanted) in [
        ("0s", "1GiB", "retain_raw: it must be more than 0"),
        ("soon", "1GiB", "retain_raw: \"soon\" is no duration"),
        ("1d", "1MiB", "max_disk: \"1MiB\" is too little; write it like 20GiB"),
        ("1d", "much", "max_disk: \"much\" is no number of bytes"),
        ("1d", "99999999999TiB", "max_disk: \"99999999999TiB\" is no number of bytes"),
    ] {
        let error = config(retain, disk).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    }
}

#[test]
fn rollups_are_read() {
    let file = "retain_hourly = \"0\"\nretain_functions = \"forever\"\nrollup_labels = [\"team\"]";
    let store = read(file).unwrap().into_config().unwrap().store;
    assert_eq!((store.retain_hourly, store.retain_functions), (Some(Duration::ZERO), None));
    assert_eq!(store.rollup_labels, ["team".into()]);
    for (text, wanted) in [
        ("retain_hourly = \"0s\"", "retain_hourly: it must be more than 0"),
        ("rollup_labels = [\"host\"]", "rollup_labels: \"host\" cannot be kept"),
        ("rollup_labels = [\"\"]", "rollup_labels: \"\" cannot be kept"),
    ] {
        let error = read(text).unwrap().into_config().unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    }
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    for (text, wanted) in [
        ("http = 1", "the configuration FILE is wrong: line 1: "),
        ("\nhtpp = \"x\"", "line 2: unknown field `htpp`"),
        ("http =", "line 1: "),
    ] {
        let error = read(text).unwrap_err();
        assert!(error.contains(wanted), "{error}");
    }
    let zero = Settings { query_timeout: Some("0s".into()), ..Settings::default() };
    let error = zero.into_config().unwrap_err().to_string();
    assert!(error.contains("query_timeout: it must be more than 0"), "{error}");
}
