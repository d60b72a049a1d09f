//! What a person reads for a frame. One place decides it, so that the viewer, the tables and every
//! exported file call one thing by one name.

use std::borrow::Cow;

use stoker_dag::{BoxKind, Definition, DefinitionMap, Frame, KernelImage, ModuleMap};

/// The module of frames that lie in the kernel proper.
const KERNEL: &str = "[kernel]";

/// The runtime of frames that stand for the value of a label: what a flame graph is grouped by. Its
/// module is the label's name.
pub const LABEL_RUNTIME: &str = "stoker.label";

/// Runtimes of frames that stand for functions whose stacks are no longer kept. In files.
const NATIVE_FUNCTION: &str = "stoker.function.native";
const KERNEL_FUNCTION: &str = "stoker.function.kernel";
const OTHER_FUNCTION: &str = "stoker.function";

/// Names frames by what is known of them now.
#[derive(Debug, Clone, Copy)]
pub struct Naming<'a> {
    /// What frames mean.
    pub definitions: &'a DefinitionMap,
    /// What is known of builds.
    pub modules: &'a ModuleMap,
}

impl<'a> Naming<'a> {
    /// What the frame means, if that is known and says anything.
    #[must_use]
    pub fn definition(&self, frame: &Frame) -> Option<&'a Definition> {
        let found = self.definitions.get(&frame.id());
        found.filter(|definition| !definition.locations.is_empty())
    }

    /// The module that the frame lies in. A build of which only the id is known is called by the
    /// start of that id; what lies in no module has an empty name.
    #[must_use]
    pub fn module(&self, frame: &'a Frame) -> Cow<'a, str> {
        match frame {
            Frame::Native { build_id, .. } => match self.modules.get(build_id) {
                Some(module) => Cow::Borrowed(&module.name),
                None => Cow::Owned(format!("build {:.12}", build_id.to_string())),
            },
            Frame::Kernel { image, .. } => Cow::Borrowed(self.kernel_module(image)),
            Frame::Interpreted { runtime, .. } if **runtime == *LABEL_RUNTIME => Cow::Borrowed(""),
            Frame::Interpreted { module, .. } => Cow::Borrowed(module),
            Frame::Special(_) => Cow::Borrowed(""),
        }
    }

    fn kernel_module(&self, image: &'a KernelImage) -> &'a str {
        match image {
            KernelImage::Build(build_id) => {
                self.modules.get(build_id).map_or(KERNEL, |module| &module.name)
            }
            KernelImage::Release { module, .. } if module.is_empty() => KERNEL,
            KernelImage::Release { module, .. } => module,
        }
    }

    /// What the frame is called where no definition names a function.
    #[must_use]
    pub fn fallback(frame: &'a Frame) -> Cow<'a, str> {
        match frame {
            Frame::Native { offset, .. } | Frame::Kernel { offset, .. } => {
                Cow::Owned(format!("{offset:#x}"))
            }
            Frame::Interpreted { function, .. } => Cow::Borrowed(function),
            Frame::Special(special) => Cow::Owned(special.to_string()),
        }
    }

    /// The runtime of the frame that stands for the function of `frame` where stacks are no longer
    /// kept: it becomes a box of the same sort.
    #[must_use]
    pub fn function_runtime(frame: &Frame) -> &'static str {
        match Self::kind(frame) {
            BoxKind::Native => NATIVE_FUNCTION,
            BoxKind::Kernel => KERNEL_FUNCTION,
            _ => OTHER_FUNCTION,
        }
    }

    /// What sort of box the frame becomes.
    #[must_use]
    pub fn kind(frame: &Frame) -> BoxKind {
        match frame {
            Frame::Native { .. } => BoxKind::Native,
            Frame::Kernel { .. } => BoxKind::Kernel,
            Frame::Interpreted { runtime, .. } => match &**runtime {
                LABEL_RUNTIME => BoxKind::Label,
                NATIVE_FUNCTION => BoxKind::Native,
                KERNEL_FUNCTION => BoxKind::Kernel,
                _ => BoxKind::Interpreted,
            },
            Frame::Special(_) => BoxKind::Special,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stoker_dag::{BuildId, Module, SpecialFrame};

    fn build(text: &str) -> BuildId {
        text.parse().unwrap()
    }

    #[test]
    fn every_sort_of_frame_has_a_name_and_a_module() {
        let mut modules = ModuleMap::default();
        let module = Module { main_executable: true, name: "api".into() };
        modules.learn(&build("aa"), module);
        let definitions = DefinitionMap::default();
        let naming = Naming { definitions: &definitions, modules: &modules };
        let native = |id: &str| Frame::Native { build_id: build(id), offset: 0x4f2a1 };
        let kernel = |image| Frame::Kernel { image, offset: 16 };
        let release =
            |module: &str| KernelImage::Release { release: "6.1".into(), module: module.into() };
        let python = Frame::Interpreted {
            runtime: "python".into(),
            module: "app.py".into(),
            function: "run".into(),
            line: 3,
        };
        for (frame, name, module) in [
            (native("aa"), "0x4f2a1", "api"),
            (native("00112233445566"), "0x4f2a1", "build 001122334455"),
            (kernel(KernelImage::Build(build("bb"))), "0x10", "[kernel]"),
            (kernel(release("")), "0x10", "[kernel]"),
            (kernel(release("nf_tables")), "0x10", "nf_tables"),
            (python, "run", "app.py"),
            (Frame::Special(SpecialFrame::Truncated), "[truncated]", ""),
        ] {
            assert_eq!((&*Naming::fallback(&frame), &*naming.module(&frame)), (name, module));
        }
    }
}
