//! Which image a frame lies in, and at which of its addresses.

use std::fs::File;
use std::sync::Arc;

use stoker_dag::{BuildId, Frame};
use stoker_symbols::Image;

use crate::process::ProcessTable;

/// A frame's place in something that has symbols.
#[derive(Debug)]
pub(super) struct Place {
    pub image: Image,
    /// Virtual offset in a file, absolute address in the kernel.
    pub address: u64,
    pub build_id: Option<BuildId>,
}

/// Where names for `frame` are to be found; `None` for frames that name themselves, and for
/// addresses that the kernel hides.
pub(super) fn place_of(frame: &Frame, processes: &ProcessTable) -> Option<Place> {
    match frame {
        Frame::Native { build_id, offset } => {
            let text = build_id.to_string();
            let is_vdso = processes.is_vdso(build_id);
            let image = if is_vdso { Image::Vdso(text) } else { Image::File(text) };
            Some(Place { image, address: *offset, build_id: Some(build_id.clone()) })
        }
        Frame::Kernel { image, offset } => {
            let address = processes.kernel().address(image, *offset)?;
            Some(Place { image: Image::Kernel, address, build_id: None })
        }
        Frame::Interpreted { .. } | Frame::Special(_) => None,
    }
}

/// The open file that names for this place come from, where it needs one.
pub(super) fn file_of(place: &Place, processes: &mut ProcessTable) -> Option<Arc<File>> {
    match (&place.image, &place.build_id) {
        (Image::File(_), Some(build_id)) => processes.open_binary(build_id),
        _ => None,
    }
}
