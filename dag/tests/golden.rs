//! Golden vectors: ids are the same in every process, on every host and in every release. A change
//! here breaks every stored profile; it is never right to renew these.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use stoker_dag::{
    BuildId, BuildIdKind, Frame, Function, KernelImage, NodeId, Origin, SpecialFrame, UnwindFailure,
};

fn vectors() -> Vec<(&'static str, String)> {
    let build = |kind| BuildId::new(kind, &[0xab; 20]).unwrap();
    let native = Frame::Native { build_id: build(BuildIdKind::Gnu), offset: 0x4f2a1 };
    let go = Frame::Native { build_id: build(BuildIdKind::Go), offset: 0x4f2a1 };
    let image = KernelImage::Build(build(BuildIdKind::Gnu));
    let kernel = Frame::Kernel { image, offset: 0x4f2a1 };
    let image = KernelImage::Release { release: "6.1.0".into(), module: "ext4".into() };
    let module = Frame::Kernel { image, offset: 16 };
    let jit = Frame::Interpreted {
        runtime: "jit".into(),
        module: "".into(),
        function: "LazyCompile:~tick".into(),
        line: 7,
    };
    let truncated = Frame::Special(SpecialFrame::Truncated);
    let gone = Frame::Special(SpecialFrame::UnwindFailed(UnwindFailure::ProcessGone));
    let stack = NodeId::of_stack([&native, &kernel, &jit].map(Frame::id));
    vec![
        ("native", native.id().to_string()),
        ("native, Go", go.id().to_string()),
        ("kernel", kernel.id().to_string()),
        ("kernel module", module.id().to_string()),
        ("interpreted", jit.id().to_string()),
        ("truncated", truncated.id().to_string()),
        ("process gone", gone.id().to_string()),
        ("root", NodeId::ROOT.to_string()),
        ("a stack of three", stack.to_string()),
        ("function of exe", Function::new(Origin::Executable, "main.isra.0").id().to_string()),
        (
            "function of libc",
            Function::new(Origin::Library("libc.so".into()), "qsort").id().to_string(),
        ),
        (
            "function of serde",
            Function::new(Origin::Package("serde".into()), "serde::de").id().to_string(),
        ),
    ]
}

#[test]
fn ids_stay_what_they_were() {
    let said: String = vectors().iter().map(|(what, id)| format!("{id}  {what}\n")).collect();
    assert_eq!(said, include_str!("golden/ids.txt"));
}
