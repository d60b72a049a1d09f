//! What is new, and rows, as columns.

use std::sync::Arc;

use stoker_dag::{Definition, Frame, FrameIx, KernelImage, NodeIx};

use super::{Pending, Running};
use crate::body::RowGroup;
use crate::proto;

impl Pending<'_> {
    pub(super) fn write_frames(&mut self, first: usize) {
        let first = FrameIx(u32::try_from(first).expect("fewer than 2^32 frames"));
        let news = self.encoder.dictionary.frames.frames_from(first).to_vec();
        self.write_all_frames(&news);
    }

    pub(super) fn write_all_frames(&mut self, news: &[Frame]) {
        if news.is_empty() {
            return;
        }
        let mut columns = proto::Frames::default();
        let mut offset = Running::default();
        for frame in news {
            self.write_frame(&mut columns, &mut offset, frame);
        }
        self.batch.frames = Some(columns);
    }

    fn write_frame(&mut self, columns: &mut proto::Frames, running: &mut Running, frame: &Frame) {
        let (kind, image, offset) = match frame {
            Frame::Native { build_id, offset } => (1, self.build(build_id), *offset),
            Frame::Kernel { image: KernelImage::Build(build_id), offset } => {
                (2, self.build(build_id), *offset)
            }
            Frame::Kernel { image: KernelImage::Release { release, module }, offset } => {
                columns.module.push(self.string(module));
                (3, self.string(release), *offset)
            }
            Frame::Interpreted { runtime, module, function, line } => {
                columns.module.push(self.string(module));
                columns.function.push(self.string(function));
                (4, self.string(runtime), u64::from(*line))
            }
            Frame::Special(special) => (5, u32::from(special.code()), 0),
        };
        columns.kind.push(kind);
        columns.image.push(image);
        columns.offset_delta.push(running.delta(offset.cast_signed()));
    }

    pub(super) fn write_nodes(&mut self, first: usize) {
        let mut columns = proto::Nodes::default();
        let mut running = Running::default();
        let first = NodeIx(u32::try_from(first).expect("fewer than 2^32 nodes"));
        for (node, parent, frame) in self.encoder.dictionary.nodes.iter_from(first) {
            columns.parent_back.push(node.0 - parent.0);
            let delta = running.delta(i64::from(frame.0));
            columns.frame_delta.push(i32::try_from(delta).expect("fewer than 2^31 frames"));
        }
        self.batch.nodes = (!columns.parent_back.is_empty()).then_some(columns);
    }

    pub(super) fn write_definition(&mut self, frame: FrameIx, definition: &Definition) {
        let mut out = proto::Definition {
            frame: frame.0,
            source: u32::from(definition.source.code()),
            ..proto::Definition::default()
        };
        for location in definition.locations.iter() {
            out.function.push(self.string(&location.function));
            out.file.push(self.string(&location.file));
            out.line.push(location.line);
        }
        self.batch.definitions.push(out);
    }

    pub(super) fn write_rows(&mut self, group: &RowGroup) {
        let profile_type = self.string(&Arc::from(group.profile_type.as_str()));
        let mut out = proto::Rows { profile_type, period: group.period, ..proto::Rows::default() };
        let uniform = group.period != 0
            && group.rows.iter().all(|row| row.count.checked_mul(group.period) == Some(row.value));
        if !uniform {
            out.period = 0;
        }
        for run in group.rows.chunk_by(|a, b| (a.series, a.attributes) == (b.series, b.attributes))
        {
            out.run_series.push(run[0].series.0);
            out.run_attributes.push(run[0].attributes.0);
            out.run_length.push(u32::try_from(run.len()).expect("fewer than 2^32 rows"));
            let mut running = Running::default();
            for row in run {
                let delta = running.delta(i64::from(row.node.0));
                out.node_delta.push(u32::try_from(delta).expect("rows are sorted by node"));
                out.value.push(if uniform { row.count } else { row.value });
                if !uniform {
                    out.count.push(row.count);
                }
            }
        }
        self.batch.rows.push(out);
    }
}
