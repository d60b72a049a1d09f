use super::*;

const ID: &str = "3f4e5d6c7b8a99887766554433221100ffeeddccbbaa00112233445566778899";

struct Case {
    path: String,
    container: Option<&'static str>,
    pod_uid: Option<&'static str>,
    unit: Option<&'static str>,
}

fn case(
    path: &str,
    container: Option<&'static str>,
    pod_uid: Option<&'static str>,
    unit: Option<&'static str>,
) -> Case {
    Case { path: path.replace("ID", ID), container, pod_uid, unit }
}

fn cases() -> Vec<Case> {
    let (id, uid) = (Some(ID), Some("8c3b8f0e-2a3c-4c67-9a53-0d2b1c7f5e11"));
    let pod = "kubepods-burstable-pod8c3b8f0e_2a3c_4c67_9a53_0d2b1c7f5e11.slice";
    let kubepods = format!("/kubepods.slice/kubepods-burstable.slice/{pod}");
    vec![
        case("/", None, None, None),
        case("/system.slice/docker-ID.scope", id, None, None),
        case("/docker/ID", id, None, None),
        case("/docker/ID/system.slice/nginx.service", id, None, Some("nginx.service")),
        case(&format!("{kubepods}/cri-containerd-ID.scope"), id, uid, None),
        case(&format!("{kubepods}/crio-ID.scope"), id, uid, None),
        case(&format!("/kubelet.slice{kubepods}/crio-conmon-ID.scope"), None, uid, None),
        case("/kubepods/besteffort/pod8c3b8f0e-2a3c-4c67-9a53-0d2b1c7f5e11/ID", id, uid, None),
        case(
            "/system.slice/containerd.service/kubepods-burstable-pod8c3b8f0e_2a3c_4c67_9a53_\
             0d2b1c7f5e11.slice:cri-containerd:ID",
            id,
            None,
            None,
        ),
        case("/machine.slice/libpod-ID.scope", id, None, None),
        case("/machine.slice/libpod-conmon-ID.scope", None, None, None),
        case("/machine.slice/libpod-ID.scope/container", id, None, None),
        case(
            "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-ID.scope",
            id,
            None,
            None,
        ),
        case("/system.slice/nginx.service", None, None, Some("nginx.service")),
        case(
            "/system.slice/system-postgresql.slice/postgresql@15-main.service",
            None,
            None,
            Some("postgresql@15-main.service"),
        ),
        case(
            r"/system.slice/system-systemd\x2dfsck.slice/systemd-fsck@dev\x2dsda.service",
            None,
            None,
            Some("systemd-fsck@dev-sda.service"),
        ),
        case("/system.slice/docker.service/engine", None, None, Some("docker.service")),
        case("/user.slice/user-1000.slice/session-3.scope", None, None, None),
        case("/user.slice/user-1000.slice/user@1000.service/init.scope", None, None, None),
        case(
            "/user.slice/user-1000.slice/user@1000.service/app.slice/syncthing.service",
            None,
            None,
            Some("syncthing.service"),
        ),
        case(
            "/user.slice/user-1000.slice/user@1000.service/app.slice/app-gnome-code-77.scope",
            None,
            None,
            None,
        ),
        case("/init.scope", None, None, None),
        case("/system.slice/run-u1234.service", None, None, None),
        case("/system.slice/run-r5f1c2d3e4a5b.scope", None, None, None),
        case("/system.slice/run-backup.service", None, None, Some("run-backup.service")),
        case("/lxc.payload.web/system.slice/cron.service", Some("web"), None, Some("cron.service")),
        case("/lxc/web", Some("web"), None, None),
        case("/machine.slice/systemd-nspawn@db.service", Some("db"), None, None),
        case(r"/machine.slice/machine-my\x2ddb.scope", Some("my-db"), None, None),
    ]
}

#[test]
fn real_paths_are_understood() {
    for Case { path, container, pod_uid, unit } in cases() {
        let place = CgroupPlace::of_path(&path);
        let found = (place.container.as_deref(), place.pod_uid.as_deref(), place.unit.as_deref());
        assert_eq!(found, (container, pod_uid, unit), "{path}");
    }
}

#[test]
fn the_most_telling_hierarchy_is_taken() {
    for (text, wanted) in [
        ("0::/system.slice/a.service\n", "/system.slice/a.service"),
        ("9:name=systemd:/system.slice/a.service\n2:cpuacct:/\n0::/\n", "/system.slice/a.service"),
        ("12:cpuset:/docker/x\n3:memory:/docker/x\n0::/\n", "/docker/x"),
        ("4:memory:/process_api/5d35\n1:name=systemd:/\n0::/\n", "/process_api/5d35"),
        ("1:name=systemd:/\n0::/\n", "/"),
        ("0::/a:b\n", "/a:b"),
        ("", "/"),
        ("garbage\n", "/"),
    ] {
        assert_eq!(CgroupPlace::parse(text).path, wanted, "{text:?}");
    }
}
