//! Processes, mappings and binaries, against this machine's own files and processes. The `object`
//! crate is the second witness for what an ELF file says.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use object::{Object, ObjectSegment, ObjectSymbol, SegmentFlags};
use stoker_agent::process::{
    Backing, CgroupMounts, EXIT_GRACE, ElfInfo, Inode, MmapEvent, ProcessEvent, ProcessTable,
    host_cpu, parse_maps,
};
use stoker_dag::{BuildId, BuildIdKind, Frame, SpecialFrame, UnwindFailure};

use crate::nobody::{NOBODY, START};

#[path = "process/intervals.rs"]
mod intervals;
#[path = "process/nobody.rs"]
mod nobody;

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn stoker_landmark(value: u64) -> u64 {
    std::hint::black_box(value).wrapping_mul(3)
}

fn landmark() -> u64 {
    stoker_landmark as *const () as u64
}

fn failed(failure: UnwindFailure) -> Frame {
    Frame::Special(SpecialFrame::UnwindFailed(failure))
}

/// What `object` says of a file's build id.
fn witness_build_id(path: &Path) -> Option<BuildId> {
    let bytes = std::fs::read(path).ok()?;
    let file = object::File::parse(&*bytes).ok()?;
    BuildId::new(BuildIdKind::Gnu, file.build_id().ok()??).ok()
}

/// The frame of the landmark in this test's executable, as `object` sees it.
fn witness_landmark() -> Frame {
    let exe = std::env::current_exe().expect("an executable");
    let bytes = std::fs::read(&exe).expect("reads");
    let file = object::File::parse(&*bytes).expect("parses");
    let symbol = file.symbols().find(|s| s.name() == Ok("stoker_landmark")).expect("is there");
    let build_id = witness_build_id(&exe).expect("this linker writes build ids");
    Frame::Native { build_id, offset: symbol.address() }
}

fn sleeper(program: &Path) -> Child {
    Command::new(program).arg("60").spawn().expect("starts")
}

/// A copy of `sleep` under a name of its own.
fn sleep_copy(folder: &Path) -> PathBuf {
    let copy = folder.join("stoker-sleeper");
    std::fs::copy("/bin/sleep", &copy).expect("copies");
    copy
}

/// Waits until a new process runs its program, and returns an address of the program's code.
fn code_address(child: &Child, program: &Path) -> u64 {
    for _ in 0..200 {
        let text = std::fs::read(format!("/proc/{}/maps", child.id())).expect("reads");
        let (maps, _) = parse_maps(&text);
        let is_program =
            |backing: &Backing| matches!(backing, Backing::File(f) if &*f.path == program);
        if let Some(mapping) = maps.iter().find(|m| is_program(&m.backing)) {
            return mapping.start + 0x100;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("the program was never mapped");
}

#[test]
fn own_addresses_are_what_object_says() {
    let mut table = ProcessTable::new();
    let pid = std::process::id();
    assert_eq!(table.resolve_user(pid, landmark(), true), witness_landmark());
    let Frame::Native { offset: exact, .. } = witness_landmark() else { panic!() };
    let Frame::Native { offset, .. } = table.resolve_user(pid, landmark() + 5, false) else {
        panic!("a return address in our code is native")
    };
    assert_eq!(offset, exact + 4, "return addresses lie in the call before");
}

#[test]
fn a_child_has_its_parents_mappings_until_exec() {
    let mut table = ProcessTable::new();
    let (own, now) = (std::process::id(), Instant::now());
    let wanted = table.resolve_user(own, landmark(), true);
    table.apply(ProcessEvent::Fork { pid: NOBODY, parent: own }, now);
    assert_eq!(table.resolve_user(NOBODY, landmark(), true), wanted);
    let forked = table.generation(NOBODY);
    assert_ne!(forked, table.generation(own));

    table.apply(ProcessEvent::Exec { pid: NOBODY, comm: "new".to_owned() }, now);
    assert_ne!(table.generation(NOBODY), forked);
    assert_eq!(table.resolve_user(NOBODY, landmark(), true), failed(UnwindFailure::UnknownMapping));

    let Frame::Native { offset, .. } = wanted else { panic!() };
    let exe = std::env::current_exe().expect("an executable");
    let before = table.generation(NOBODY);
    table.apply(ProcessEvent::Mmap(nobody::maps(&exe)), now);
    assert_ne!(table.generation(NOBODY), before, "an unknown address may now be known");
    let bytes = std::fs::read(&exe).expect("reads");
    let info = ElfInfo::read(&*bytes).expect("parses");
    let code = info.code.iter().find(|c| offset.wrapping_sub(c.address) < c.file_size);
    let code = code.expect("the landmark is code");
    let address = START + (offset - code.address) + code.file_offset;
    assert_eq!(table.resolve_user(NOBODY, address, true), wanted);
    assert_eq!(table.meta(NOBODY).comm.as_ref(), "new");

    table.apply(ProcessEvent::Exit { pid: NOBODY }, now);
    table.tick(now + EXIT_GRACE / 2);
    assert_eq!(table.resolve_user(NOBODY, address, true), wanted, "late samples still count");
    table.tick(now + EXIT_GRACE);
    assert_eq!(table.resolve_user(NOBODY, address, true), failed(UnwindFailure::ProcessGone));
    assert_eq!(table.generation(NOBODY), 0);
}

#[test]
fn a_deleted_binary_keeps_its_identity() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = sleep_copy(folder.path());
    let wanted = witness_build_id(&program).expect("sleep has a build id");
    let mut child = sleeper(&program);
    let address = code_address(&child, &program);
    std::fs::remove_file(&program).expect("removes");

    let mut table = ProcessTable::new();
    let frame = table.resolve_user(child.id(), address, true);
    let Frame::Native { build_id, .. } = &frame else { panic!("{frame:?}") };
    assert_eq!(*build_id, wanted);
    let (module, is_main) = table.module(build_id).expect("is known");
    assert_eq!((&*module, is_main), ("stoker-sleeper", true));
    assert_eq!(table.meta(child.id()).build_id.as_ref(), Some(&wanted));

    child.kill().expect("kills");
    child.wait().expect("ends");
    let file = table.open_binary(build_id).expect("is still open");
    assert_eq!(ElfInfo::read(&*file).expect("parses").build_id, wanted);
}

#[test]
fn a_process_that_is_gone_is_known_by_the_inode_that_it_mapped_and_by_nothing_less() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = sleep_copy(folder.path());
    let wanted = witness_build_id(&program).expect("sleep has a build id");
    let inode = nobody::maps(&program).inode.expect("is there");
    let replaced = Inode { number: inode.number + 1, ..inode };
    for (inode, is_found) in [(Some(inode), true), (Some(replaced), false), (None, false)] {
        let mut table = ProcessTable::new();
        table.apply(ProcessEvent::Exec { pid: NOBODY, comm: "x".to_owned() }, Instant::now());
        let event = MmapEvent { inode, ..nobody::maps(&program) };
        table.apply(ProcessEvent::Mmap(event), Instant::now());
        let frame = table.resolve_user(NOBODY, START + 0x3000, true);
        let found = matches!(&frame, Frame::Native { build_id, .. } if *build_id == wanted);
        assert_eq!(found, is_found, "{inode:?}: {frame:?}");
        assert_eq!(table.counters().binaries.mismatched > 0, !is_found);
        if !is_found {
            assert_eq!(frame, failed(UnwindFailure::UnreadableFile));
        }
    }
}

#[test]
fn no_device_and_no_fifo_is_opened() {
    let folder = tempfile::tempdir().expect("a folder");
    let fifo = folder.path().join("fifo");
    let made = Command::new("mkfifo").arg(&fifo).status().expect("runs");
    assert!(made.success());
    for path in [fifo.as_path(), Path::new("/dev/null"), folder.path(), Path::new("/missing")] {
        let mut table = ProcessTable::new();
        table.apply(ProcessEvent::Exec { pid: NOBODY, comm: "x".to_owned() }, Instant::now());
        table.apply(ProcessEvent::Mmap(nobody::maps(path)), Instant::now());
        let frame = table.resolve_user(NOBODY, START, true);
        assert_eq!(frame, failed(UnwindFailure::UnreadableFile), "{path:?}");
        assert_eq!(table.counters().binaries.unopened, 1, "{path:?}");
    }
}

#[test]
fn every_binary_of_this_machine_is_read_as_object_reads_it() {
    let folders = ["/usr/bin", "/usr/sbin", "/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/lib"];
    let entries = folders.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten();
    let files = entries.filter_map(|entry| std::fs::canonicalize(entry.ok()?.path()).ok());
    let checked = files.filter(|path| path.is_file() && agrees_with_object(path)).count();
    assert!(checked >= 20, "only {checked} binaries to compare with");
}

/// Whether the file is an ELF file that both can read; panics if they differ.
fn agrees_with_object(path: &Path) -> bool {
    let Some(bytes) = std::fs::read(path).ok().filter(|bytes| bytes.starts_with(b"\x7fELF")) else {
        return false;
    };
    let Ok(info) = ElfInfo::read(&*bytes) else { return false };
    let file = object::File::parse(&*bytes).expect("we could read it");
    if let Some(id) = file.build_id().expect("notes are sound") {
        assert_eq!(info.build_id.as_bytes(), id, "{path:?}");
        assert_eq!(info.build_id.kind(), BuildIdKind::Gnu);
    }
    let is_code = |flags| matches!(flags, SegmentFlags::Elf { p_flags } if p_flags & 1 != 0);
    let code: Vec<_> = file.segments().filter(|s| is_code(s.flags())).collect();
    assert_eq!(code.len(), info.code.len(), "{path:?}");
    for segment in code {
        let (offset, size) = segment.file_range();
        assert_eq!(info.virtual_offset(offset + size / 2), Some(segment.address() + size / 2));
    }
    let from_disk = File::open(path).expect("opens");
    assert_eq!(ElfInfo::read(&from_disk).expect("reads"), info);
    true
}

#[test]
fn without_a_note_the_code_is_the_identity() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let run = |program: &str, arguments: &[&str]| {
        let done = Command::new(program).args(arguments).current_dir(folder.path()).status();
        assert!(done.expect("this test needs gcc and binutils").success());
    };
    std::fs::write(at("a.c"), "int main(void) { return WANTED; }").expect("writes");
    for (name, wanted) in [("one", "-DWANTED=1"), ("two", "-DWANTED=2")] {
        run("gcc", &["-g", wanted, "-Wl,--build-id=none", "a.c", "-o", name]);
        run("strip", &["-o", &format!("{name}.stripped"), name]);
    }
    let id =
        |name: &str| ElfInfo::read(&File::open(at(name)).expect("opens")).expect("reads").build_id;
    assert_eq!(id("one").kind(), BuildIdKind::Content);
    assert_eq!(id("one"), id("one.stripped"), "symbols are no part of it");
    assert_ne!(id("one"), id("two"));
}

#[test]
fn the_vdso_is_a_binary_of_its_own() {
    let (maps, _) = parse_maps(&std::fs::read("/proc/self/maps").expect("reads"));
    let vdso = maps.iter().find(|m| matches!(m.backing, Backing::Vdso)).expect("there is one");
    let mut table = ProcessTable::new();
    let frame = table.resolve_user(std::process::id(), vdso.start + 0x800, true);
    let Frame::Native { build_id, offset } = frame else { panic!("{frame:?}") };
    assert_eq!(offset, 0x800);
    assert!(table.is_vdso(&build_id));
    assert_eq!(
        table.module(&build_id).map(|(name, _)| name.to_string()),
        Some("[vdso]".to_owned())
    );
}

#[test]
fn kernel_addresses_count_from_text() {
    let mut table = ProcessTable::new();
    assert!(table.kernel().sees_addresses(), "this test needs to read kernel addresses");
    let kallsyms = std::fs::read_to_string("/proc/kallsyms").expect("reads");
    let address = |name: &str| {
        let mut lines = kallsyms.lines().map(|line| line.split_whitespace());
        let line = lines.find(|fields| fields.clone().nth(2) == Some(name)).expect("is there");
        u64::from_str_radix(line.clone().next().expect("has an address"), 16).expect("hexadecimal")
    };
    let function = address("vfs_read");
    let frame = table.resolve_kernel(function + 8, false);
    let Frame::Kernel { image, offset } = &frame else { panic!("{frame:?}") };
    assert_eq!(*offset, function + 7 - address("_text"));
    assert_eq!(table.kernel().address(image, *offset), Some(function + 7));
    assert_eq!(table.resolve_kernel(0x1000, true), failed(UnwindFailure::UnknownMapping));
    assert_eq!(table.counters().kernel.unknown, 1);
}

#[test]
fn jit_code_is_named_by_its_perf_map() {
    let mut code = memmap2::MmapMut::map_anon(4096).expect("maps");
    code.fill(0xc3);
    let code = code.make_exec().expect("may execute");
    let start = code.as_ptr() as u64;
    let pid = std::process::id();
    let path = PathBuf::from(format!("/tmp/perf-{pid}.map"));
    std::fs::write(&path, format!("{start:x} 10 hot loop\n")).expect("writes");
    let mut table = ProcessTable::new();
    let named = table.resolve_user(pid, start + 4, true);
    let unnamed = table.resolve_user(pid, start + 64, true);
    let before = table.generation(pid);
    std::fs::write(&path, format!("{start:x} 10 hot loop\n{:x} 20 cold loop\n", start + 64))
        .expect("writes");
    table.tick(Instant::now() + Duration::from_secs(6));
    let later = table.resolve_user(pid, start + 64, true);
    std::fs::remove_file(&path).expect("removes");
    assert_eq!(named, jit("hot loop"));
    assert_eq!(unnamed, failed(UnwindFailure::UnknownMapping));
    assert_ne!(table.generation(pid), before);
    assert_eq!(later, jit("cold loop"));
}

fn jit(function: &str) -> Frame {
    Frame::Interpreted {
        runtime: "jit".into(),
        module: "".into(),
        function: function.into(),
        line: 0,
    }
}

#[test]
fn labels_come_from_the_environment_and_survive_the_process() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = sleep_copy(folder.path());
    let mut child = Command::new(&program)
        .arg("60")
        .env("OTEL_SERVICE_NAME", "shop")
        .env("OTEL_RESOURCE_ATTRIBUTES", "service.version=1.5,service.namespace=eu")
        .spawn()
        .expect("starts");
    code_address(&child, &program);
    let mut table = ProcessTable::new();
    let meta = table.meta(child.id());
    assert_eq!((&*meta.service_name, &*meta.version, &*meta.namespace), ("shop", "1.5", "eu"));
    assert_eq!((&*meta.exe_name, &*meta.comm), ("stoker-sleeper", "stoker-sleeper"));
    assert!(std::sync::Arc::ptr_eq(&meta, &table.meta(child.id())), "read once");

    table.apply(ProcessEvent::Fork { pid: NOBODY, parent: child.id() }, Instant::now());
    table.apply(ProcessEvent::Exec { pid: NOBODY, comm: "cc1".to_owned() }, Instant::now());
    let inherited = table.meta(NOBODY);
    assert_eq!((&*inherited.service_name, &*inherited.comm), ("shop", "cc1"));
    assert_eq!(table.counters().meta_inherited, 1);
    child.kill().expect("kills");
    child.wait().expect("ends");
}

#[test]
fn kernel_threads_are_the_kernels() {
    // Process 2 is kthreadd wherever the initial pid namespace is visible.
    let comm = std::fs::read_to_string("/proc/2/comm").unwrap_or_default();
    assert_eq!(comm.trim(), "kthreadd", "this test needs the initial pid namespace");
    assert_eq!(&*ProcessTable::new().meta(2).service_name, "kernel");
}

#[test]
fn everything_that_runs_is_found() {
    let mut table = ProcessTable::new();
    let known = table.scan().expect("lists");
    assert!(known >= 2 && table.len() == known);
    assert_eq!(table.counters().processes_dropped, 0);
    assert_eq!(table.resolve_user(std::process::id(), landmark(), true), witness_landmark());
}

#[test]
fn host_facts_are_there() {
    let host = host_cpu().expect("reads");
    assert!(host.cpus >= 1 && host.busy > Duration::ZERO);
    assert!(CgroupMounts::read().cpu_usage_usec("/").is_some_and(|usage| usage > 0));
}
