//! Which image a frame lies in, and at which of its addresses.

use std::fs::File;
use std::sync::Arc;

use stoker_dag::{BuildId, Frame};
use stoker_symbols::{Image, Role};

use crate::process::{KERNEL_MODULE, ProcessTable};

/// A frame's place in something that has symbols.
#[derive(Debug)]
pub(super) struct Place {
    pub image: Image,
    /// Virtual offset in a file, absolute address in the kernel.
    pub address: u64,
    pub build_id: Option<BuildId>,
    /// What the image's frames are filed under.
    pub module: Arc<str>,
}

/// Where names for `frame` are to be found; `None` for frames that name themselves, and for
/// addresses that the kernel hides.
pub(super) fn place_of(frame: &Frame, processes: &ProcessTable) -> Option<Place> {
    match frame {
        Frame::Native { build_id, offset } => {
            let text = build_id.to_string();
            let is_vdso = processes.is_vdso(build_id);
            let image = if is_vdso { Image::Vdso(text) } else { Image::File(text) };
            let module = processes.module(build_id).map_or_else(|| "".into(), |(name, _)| name);
            Some(Place { image, address: *offset, build_id: Some(build_id.clone()), module })
        }
        Frame::Kernel { image, offset } => {
            let address = processes.kernel().address(image, *offset)?;
            Some(Place {
                image: Image::Kernel,
                address,
                build_id: None,
                module: KERNEL_MODULE.into(),
            })
        }
        Frame::Interpreted { .. } | Frame::Special(_) => None,
    }
}

/// What names for this place come from: files, and the image's path within the roots among them.
#[derive(Debug, Clone, Default)]
pub(super) struct Sources {
    pub path: String,
    pub files: Vec<(Role, Arc<File>)>,
}

/// The open files that names for this place come from, where it needs any; `None` when it needs one
/// that is gone.
pub(super) fn sources_of(place: &Place, processes: &mut ProcessTable) -> Option<Sources> {
    let (Image::File(_), Some(build_id)) = (&place.image, &place.build_id) else {
        return Some(Sources::default());
    };
    let mut files = vec![(Role::Image, processes.open_binary(build_id)?)];
    let Some(found) = processes.whereabouts(build_id) else {
        return Some(Sources { path: String::new(), files });
    };
    files.extend(found.roots.into_iter().map(|root| (Role::Root, root)));
    // A path that is no text has no debug information: neither has it in practice.
    let path = found.path.to_str().unwrap_or_default().to_owned();
    Some(Sources { path, files })
}
