//! Frames and nodes: what a peer defines of stacks.

use stoker_dag::{Frame, FrameIx, KernelImage, NodeIx, SpecialFrame, reserve_quarter};

use super::{Decoder, WireError, known, lookup, within};
use crate::limits;
use crate::proto;

impl Decoder {
    pub(super) fn take_frames(&mut self, columns: &proto::Frames) -> Result<(), WireError> {
        let count = columns.kind.len();
        let frames = self.dictionary.frames.len();
        within("frames of a stream", frames + count, limits::MAX_STREAM_FRAMES)?;
        if columns.image.len() != count || columns.offset_delta.len() != count {
            return Err(WireError::Malformed("the columns of frames differ in length"));
        }
        self.dictionary.frames.reserve_appended(count);
        let (mut modules, mut functions) = (columns.module.iter(), columns.function.iter());
        let mut offset = 0i64;
        for ((&kind, &image), &delta) in
            columns.kind.iter().zip(&columns.image).zip(&columns.offset_delta)
        {
            offset = offset.wrapping_add(delta);
            let names = &mut || modules.next().copied();
            let functions = &mut || functions.next().copied();
            let frame = self.frame(kind, image, offset.cast_unsigned(), names, functions)?;
            match self.ids_are_late {
                true => self.dictionary.frames.append_without_id(frame),
                false => self.dictionary.frames.append(frame),
            };
        }
        Ok(())
    }

    fn frame(
        &self,
        kind: u32,
        image: u32,
        offset: u64,
        module: &mut dyn FnMut() -> Option<u32>,
        function: &mut dyn FnMut() -> Option<u32>,
    ) -> Result<Frame, WireError> {
        let short = || WireError::Malformed("a column of frame names is too short");
        let build = || lookup(&self.builds, "build", image).cloned();
        Ok(match kind {
            1 => Frame::Native { build_id: build()?, offset },
            2 => Frame::Kernel { image: KernelImage::Build(build()?), offset },
            3 => {
                let release = self.string(image)?;
                let module = self.string(module().ok_or_else(short)?)?;
                Frame::Kernel { image: KernelImage::Release { release, module }, offset }
            }
            4 => Frame::Interpreted {
                runtime: self.string(image)?,
                module: self.string(module().ok_or_else(short)?)?,
                function: self.string(function().ok_or_else(short)?)?,
                line: u32::try_from(offset)
                    .map_err(|_| WireError::Malformed("a line is no 32-bit number"))?,
            },
            5 => {
                let special = u8::try_from(image).ok().and_then(SpecialFrame::from_code);
                Frame::Special(special.ok_or(WireError::Malformed("unknown special frame"))?)
            }
            _ => return Err(WireError::Malformed("unknown kind of frame")),
        })
    }

    pub(super) fn take_nodes(&mut self, columns: &proto::Nodes) -> Result<(), WireError> {
        let count = columns.parent_back.len();
        within("nodes of a stream", self.depths.len() + count, limits::MAX_STREAM_NODES)?;
        if columns.frame_delta.len() != count {
            return Err(WireError::Malformed("the columns of nodes differ in length"));
        }
        self.dictionary.nodes.reserve_appended(count);
        reserve_quarter(&mut self.depths, count);
        let mut frame = 0i64;
        for (&back, &delta) in columns.parent_back.iter().zip(&columns.frame_delta) {
            let parent = self.parent(back)?;
            frame = frame.wrapping_add(i64::from(delta));
            let frame =
                u32::try_from(frame).map_err(|_| WireError::Malformed("a frame below 0"))?;
            self.push_node(parent, self.known_frame(frame)?)?;
        }
        Ok(())
    }

    pub(super) fn known_frame(&self, id: u32) -> Result<FrameIx, WireError> {
        known("frame", id, self.dictionary.frames.len()).map(FrameIx)
    }

    fn parent(&self, back: u32) -> Result<NodeIx, WireError> {
        let next = u32::try_from(self.depths.len()).unwrap_or(u32::MAX);
        match next.checked_sub(back) {
            Some(parent) if back > 0 => Ok(NodeIx(parent)),
            _ => Err(WireError::Malformed("a node's parent does not stand before it")),
        }
    }

    fn push_node(&mut self, parent: NodeIx, frame: FrameIx) -> Result<(), WireError> {
        let depth = self.depths[parent.at()].saturating_add(1);
        let limit = limits::MAX_STACK_DEPTH;
        within("frames of a stack", depth.into(), limit.into())?;
        self.dictionary.nodes.append(parent, frame);
        self.depths.push(depth);
        Ok(())
    }
}
