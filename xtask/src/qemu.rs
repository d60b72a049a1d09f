//! `cargo xtask qemu`: Debian's own kernel, booted in an emulator, loads the programs and samples.
//!
//! The machine that a developer sits at has one kernel; users have others. This boots the one of
//! Debian 12 with nothing but our two binaries and a program that knows its own call graph, runs the
//! doctor and a recording, and checks that the recorded stacks are whole.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{host, packages};

const PACKAGES: [&str; 6] =
    ["qemu-system-x86", "busybox-static", "cpio", "gcc", "binutils", "coreutils"];
/// The package that depends on the newest kernel.
const KERNEL: &str = "linux-image-amd64";
/// How long the emulated machine may take; without hardware support it is slow.
const PATIENCE: &str = "900";
/// Percent of the time whose stacks must be whole. The rest is the start: until its tables are compiled
/// a process is followed by frame pointers, which this one lacks, and an emulated machine takes seconds
/// for that where its host is busy.
const WHOLE_MIN: u64 = 60;
const TOOLS: [&str; 8] = ["sh", "mount", "mkdir", "cat", "uname", "poweroff", "sleep", "timeout"];

#[derive(clap::Args)]
pub struct Args {
    /// Use the processor's own virtualisation in place of emulation
    #[arg(long)]
    kvm: bool,
}

/// Boots, and judges what the machine printed.
pub fn run(args: &Args) -> Result<()> {
    let root = host::root()?;
    packages::ensure("qemu", &PACKAGES, true)?;
    let tools = root.join("target/qemu");
    let kernel = kernel(&tools)?;
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(&root).args(["build", "--locked", "-p", "stoker-agent", "-p", "stoker-cli"]);
    host::run(&mut cargo)?;
    let disk = disk(&root, &tools)?;
    host::say(&format!("qemu: booting {}", kernel.display()));
    let console = boot(&kernel, &disk, args.kvm)?;
    let log = tools.join("console.log");
    fs::write(&log, &console)?;
    judge(&console).with_context(|| format!("the console is in {}", log.display()))
}

/// Debian's kernel, fetched once and unpacked, not installed.
fn kernel(tools: &Path) -> Result<PathBuf> {
    let depends = host::output("apt-cache", &["depends", KERNEL]).unwrap_or_default();
    let package = depends.lines().find_map(|line| line.trim().strip_prefix("Depends: "));
    let package = package.with_context(|| format!("apt does not know {KERNEL}: apt-get update"))?;
    let folder = tools.join(package);
    let image = folder.join(format!("vmlinuz-{}", package.trim_start_matches("linux-image-")));
    if image.exists() {
        return Ok(image);
    }
    fs::create_dir_all(&folder)?;
    host::say(&format!("qemu: fetching {package} into target/"));
    let download = ["-q", "-o", "APT::Sandbox::User=root", "download", package];
    host::run(Command::new("apt-get").args(download).current_dir(&folder))?;
    let unpack = "for deb in *.deb; do dpkg-deb --fsys-tarfile \"$deb\" | \
                  tar --strip-components=2 -x --wildcards './boot/vmlinuz-*'; rm \"$deb\"; done";
    host::run(Command::new("sh").args(["-ec", unpack]).current_dir(&folder))?;
    ensure!(image.exists(), "{package} holds no {}", image.display());
    Ok(image)
}

/// What the machine finds: our binaries, their libraries, the program, and what runs them.
fn disk(root: &Path, tools: &Path) -> Result<PathBuf> {
    let folder = tools.join("root");
    let _ = fs::remove_dir_all(&folder);
    for name in ["bin", "proc", "sys", "dev", "tmp"] {
        fs::create_dir_all(folder.join(name))?;
    }
    fs::copy("/bin/busybox", folder.join("bin/busybox"))?;
    for tool in TOOLS {
        symlink("busybox", folder.join("bin").join(tool))?;
    }
    for name in ["stoker", "stoker-agent"] {
        let (from, to) = (root.join("target/debug").join(name), folder.join("bin").join(name));
        host::run(Command::new("strip").arg("-o").arg(&to).arg(&from))?;
        libraries(&to, &folder)?;
    }
    let truth = folder.join("bin/truth");
    let source = root.join("agent/tests/stacks/truth.c");
    let mut gcc = Command::new("gcc");
    gcc.args(["-O2", "-fomit-frame-pointer", "-pthread", "-o"]).arg(&truth).arg(source);
    host::run(&mut gcc)?;
    libraries(&truth, &folder)?;
    let mut init = fs::File::create(folder.join("init"))?;
    init.write_all(INIT.as_bytes())?;
    init.set_permissions(fs::Permissions::from_mode(0o755))?;
    let archive = tools.join("root.cpio.gz");
    let pack = "find . | cpio --quiet -o -H newc | gzip -1";
    let mut pack_all = Command::new("sh");
    pack_all.args(["-ec", pack]).current_dir(&folder).stdout(fs::File::create(&archive)?);
    host::run(&mut pack_all)?;
    Ok(archive)
}

/// Copies the libraries that a program is linked to, to where it looks for them.
fn libraries(program: &Path, folder: &Path) -> Result<()> {
    let text = host::output("ldd", &[&program.to_string_lossy()]).context("ldd fails")?;
    let paths = text.split_ascii_whitespace().filter(|word| word.starts_with('/'));
    for path in paths.map(Path::new) {
        let to = folder.join(path.strip_prefix("/")?);
        fs::create_dir_all(to.parent().context("a library lies in no folder")?)?;
        fs::copy(path, to).with_context(|| format!("copying {}", path.display()))?;
    }
    Ok(())
}

/// The first process of the machine.
const INIT: &str = "#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t tracefs tracefs /sys/kernel/tracing
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tmpfs tmpfs /tmp
echo \"kernel $(uname -r)\"
truth recurse &
sleep 1
stoker-agent doctor --server http://127.0.0.1:1 --state-dir /tmp/state
kill %1
echo BEGIN STACKS
stoker record -q -F 99 -o - --format collapsed -- timeout 40 truth recurse
echo END STACKS
poweroff -f
";

fn boot(kernel: &Path, disk: &Path, kvm: bool) -> Result<String> {
    let mut machine = Command::new("timeout");
    machine.args([PATIENCE, "qemu-system-x86_64", "-nographic", "-no-reboot", "-m", "2048"]);
    machine.args(["-smp", "2", "-cpu", "max", "-accel", if kvm { "kvm" } else { "tcg" }]);
    machine.args(["-append", "console=ttyS0 quiet panic=-1"]);
    machine.arg("-kernel").arg(kernel).arg("-initrd").arg(disk);
    let output = machine.stdin(Stdio::null()).output().context("cannot run qemu")?;
    Ok(String::from_utf8_lossy(&output.stdout).replace('\r', ""))
}

/// Shows what the machine said, and checks the stacks.
fn judge(console: &str) -> Result<()> {
    let Some((before, rest)) = console.split_once("BEGIN STACKS\n") else {
        bail!("the machine did not come as far as the recording");
    };
    let said = before.find("kernel 6").map_or(before, |at| &before[at..]);
    host::say(said);
    let stacks = rest.split_once("END STACKS").map_or(rest, |(stacks, _)| stacks);
    let (mut all, mut whole) = (0, 0);
    for line in stacks.lines().filter(|line| line.contains("recurse;")) {
        let weight = line.rsplit(' ').next().and_then(|weight| weight.parse::<u64>().ok());
        let weight = weight.unwrap_or(0);
        all += weight;
        if ["clone;", "clone3;", "__clone3;", "_start;"].iter().any(|start| line.contains(start)) {
            whole += weight;
        }
    }
    ensure!(all > 0, "no stack of the program was recorded");
    let percent = 100 * whole / all;
    host::say(&format!(
        "qemu: {percent} % of the program's recorded CPU time begins at its thread's start"
    ));
    ensure!(percent >= WHOLE_MIN, "too few");
    Ok(())
}
