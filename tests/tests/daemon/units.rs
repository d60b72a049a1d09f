//! The systemd units are what systemd understands, and expose as little as they say.

use std::fs;
use std::path::Path;
use std::process::Command;

use stoker_tests::{binary, skipped};

/// Exposure as `systemd-analyze security` rates it, from 0 to 10; the agent needs capabilities and
/// the host's processes, the server nothing of the kind.
const UNITS: [(&str, f32); 2] = [("stoker-agent", 3.5), ("stoker-server", 2.0)];

#[test]
fn systemd_takes_the_units_and_rates_them_well() {
    const TEST: &str = "systemd_takes_the_units_and_rates_them_well";
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        skipped(TEST, "needs systemd-analyze (systemd)");
        return;
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/systemd");
    let dir = tempfile::tempdir().unwrap();
    for (name, most) in UNITS {
        let unit = fs::read_to_string(folder.join(format!("{name}.service"))).unwrap();
        let installed = format!("/usr/bin/{name}");
        assert!(unit.contains(&installed), "{name}");
        // Not installed here: the unit names the binary that was built.
        let unit = unit.replace(&installed, binary(name).to_str().unwrap());
        let path = dir.path().join(format!("{name}.service"));
        fs::write(&path, unit).unwrap();
        let verified = Command::new("systemd-analyze").arg("verify").arg(&path).output().unwrap();
        let said = String::from_utf8_lossy(&verified.stderr).into_owned();
        let about_it: Vec<&str> = said.lines().filter(|line| line.contains(name)).collect();
        assert!(verified.status.success() && about_it.is_empty(), "{said}");
        let rated = Command::new("systemd-analyze")
            .args(["security", "--offline=true", "--no-pager"])
            .arg(&path)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&rated.stdout).into_owned();
        let exposure = said.rsplit_once(".service: ").expect("a rating").1;
        let exposure: f32 = exposure.split(' ').next().unwrap().parse().unwrap();
        assert!(exposure <= most, "{name}: {exposure}");
    }
}
