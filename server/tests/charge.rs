//! What a query is charged for is what it takes: held to the high-water mark of this process, in which
//! nothing else runs (a test of its own for that reason).

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]
#![cfg(target_os = "linux")]

use stoker_dag::{BuildId, Frame, LabelIx, LabelSet, NodeIx, ProfileType, SampleRow, UnixNanos};
use stoker_server::query::{
    Engine, Limits, MemoryPart, MemoryParts, Progress, Query, Selector, flamegraph, fold,
};
use stoker_server::store::{TimeRange, WindowRows};

const NODES: u32 = 600_000;
const FRAMES: u32 = 6_000;

/// Stacks of about 25 frames that share their callers.
fn parts() -> MemoryParts {
    let mut part = MemoryPart::default();
    let build_id: BuildId = "aabb".parse().unwrap();
    let frames: Vec<_> = (0..FRAMES)
        .map(|n| {
            let frame = Frame::Native { build_id: build_id.clone(), offset: u64::from(n) * 64 };
            part.dictionary.frames.intern(&frame)
        })
        .collect();
    let mut random = fastrand::Rng::with_seed(5);
    let nodes = &mut part.dictionary.nodes;
    let mut at = NodeIx::ROOT;
    while nodes.len() < NODES as usize {
        at = nodes.child(at, frames[random.usize(..frames.len())]);
        if random.u8(..25) == 0 {
            at = NodeIx(random.u32(..u32::try_from(nodes.len()).unwrap()));
        }
    }
    let labels = LabelSet::new([("service_name", "a")]);
    let series = part.dictionary.labels.intern(&labels);
    let row = |node| SampleRow {
        series,
        attributes: LabelIx::default(),
        node: NodeIx(node),
        value: 1 + u64::from(node % 7),
        count: 1,
    };
    let rows = (1..NODES).map(row).collect();
    let window = UnixNanos(0);
    part.windows.push(WindowRows { window, profile_type: ProfileType::cpu(), rows });
    MemoryParts { parts: vec![part], ..MemoryParts::default() }
}

/// Bytes of the JSON, unless it takes more memory than it may.
fn ask(parts: &MemoryParts, max_nodes: usize, max_memory_bytes: usize) -> Option<usize> {
    let limits = Limits { max_memory_bytes, ..Limits::default() };
    let progress = Progress::after(limits.timeout);
    let engine = Engine { parts, limits: &limits, progress: &progress };
    let query = Query { selector: Selector::parse("cpu").unwrap(), range: TimeRange::ALL };
    let folded = fold(engine, &query, None).ok()?;
    let graph = flamegraph(&query, &folded, max_nodes).ok()?;
    Some(serde_json::to_vec(&graph).unwrap().len())
}

/// A line of what the system says of this process, in bytes.
fn status(name: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim_matches(|c: char| !c.is_ascii_digit()).parse::<usize>().unwrap() * 1024
}

/// What tells this program that it is to ask once and print what that took.
const CHILD: &str = "STOKER_CHARGE_MAX_NODES";

/// The bytes that asking took in a process that has freed nothing before: what was freed would be used
/// again unseen.
fn taken_by_a_new_process(max_nodes: usize) -> usize {
    let test = ["a_query_is_charged_for_what_it_takes", "--exact", "--nocapture"];
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    let output = child.args(test).env(CHILD, max_nodes.to_string()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let taken = text.lines().find_map(|line| line.strip_prefix("taken "));
    taken.unwrap_or_else(|| panic!("no answer: {text}")).parse().unwrap()
}

#[test]
fn a_query_is_charged_for_what_it_takes() {
    let parts = parts();
    if let Ok(max_nodes) = std::env::var(CHILD) {
        let before = status("VmRSS:");
        ask(&parts, max_nodes.parse().unwrap(), 1 << 30).unwrap();
        println!("\ntaken {}", status("VmHWM:") - before);
        return;
    }
    let (mut refused, mut allowed) = (1 << 20, 1 << 30);
    let mut charges = Vec::new();
    for max_nodes in [0, 8_192] {
        assert!(ask(&parts, max_nodes, allowed).is_some());
        while allowed - refused > 4 << 20 {
            let middle = usize::midpoint(allowed, refused);
            match ask(&parts, max_nodes, middle) {
                Some(_) => allowed = middle,
                None => refused = middle,
            }
        }
        charges.push(allowed);
        (refused, allowed) = (1 << 20, 1 << 30);
    }
    let taken = [0, 8_192].map(taken_by_a_new_process);
    println!("charged {charges:?}, taken {taken:?}, of {NODES} nodes");
    for (charge, taken) in charges.into_iter().zip(taken) {
        assert!(charge >= taken, "charged {charge}, took {taken}");
        assert!(charge < 3 * taken, "charged {charge}, took {taken}");
    }
}
