//! Frames that wait for a name, by the image they lie in, so that a file is opened once for many.

use std::collections::VecDeque;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};
use stoker_dag::{Frame, FrameId};
use stoker_symbols::{ADDRESSES_MAX, Image};

use super::identity::Sources;

/// Most frames that wait.
pub const QUEUED_FRAMES_MAX: usize = 16 * 1024;
/// Most images that wait; each holds a file open.
pub const QUEUED_IMAGES_MAX: usize = 192;

/// Frames of one image, to be named together.
#[derive(Debug)]
pub(super) struct Job {
    pub image: Image,
    /// What its frames are filed under.
    pub module: Arc<str>,
    /// Where its names come from.
    pub sources: Sources,
    /// Each frame and its address in the image.
    pub frames: Vec<(Frame, u64)>,
}

/// What waits.
#[derive(Debug, Default)]
pub(super) struct Queue {
    jobs: FxHashMap<Image, Job>,
    order: VecDeque<Image>,
    /// Waiting, or with the worker.
    pending: FxHashSet<FrameId>,
}

impl Queue {
    pub(super) fn is_pending(&self, id: &FrameId) -> bool {
        self.pending.contains(id)
    }

    /// Whether a frame of this image would fit.
    pub(super) fn has_room(&self, image: &Image) -> bool {
        let has_image = self.jobs.contains_key(image);
        self.pending.len() < QUEUED_FRAMES_MAX && (has_image || self.jobs.len() < QUEUED_IMAGES_MAX)
    }

    /// Whether the image waits already, so that its file is known.
    pub(super) fn holds(&self, image: &Image) -> bool {
        self.jobs.contains_key(image)
    }

    pub(super) fn push(
        &mut self,
        (image, module): (&Image, &Arc<str>),
        sources: Sources,
        id: FrameId,
        frame: (Frame, u64),
    ) {
        self.pending.insert(id);
        let job = self.jobs.entry(image.clone()).or_insert_with(|| {
            self.order.push_back(image.clone());
            let (image, module) = (image.clone(), Arc::clone(module));
            Job { image, module, sources: Sources::default(), frames: Vec::new() }
        });
        if job.sources.files.is_empty() {
            job.sources = sources;
        }
        job.frames.push(frame);
    }

    /// The next frames, at most as many as one request takes; the rest of the image queues up
    /// again behind the others.
    pub(super) fn pop(&mut self) -> Option<Job> {
        let image = self.order.pop_front()?;
        let mut job = self.jobs.remove(&image)?;
        if job.frames.len() > ADDRESSES_MAX {
            let frames = job.frames.split_off(ADDRESSES_MAX);
            let (module, sources) = (Arc::clone(&job.module), job.sources.clone());
            let rest = Job { image: image.clone(), module, sources, frames };
            self.jobs.insert(image.clone(), rest);
            self.order.push_back(image);
        }
        Some(job)
    }

    /// The frame has its answer.
    pub(super) fn done(&mut self, id: &FrameId) {
        self.pending.remove(id);
    }

    /// How many frames wait or are with the worker.
    pub(super) fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Whether nothing waits and nothing is with the worker.
    pub(super) fn is_idle(&self) -> bool {
        self.pending.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use stoker_dag::BuildId;

    use super::*;

    fn frame(offset: u64) -> Frame {
        let build_id: BuildId = "aabb".parse().expect("hexadecimal");
        Frame::Native { build_id, offset }
    }

    fn push(queue: &mut Queue, image: &str, offset: u64) {
        let frame = frame(offset);
        let image = Image::File(image.to_owned());
        queue.push((&image, &"a".into()), Sources::default(), frame.id(), (frame, offset));
    }

    #[test]
    fn images_take_turns() {
        let mut queue = Queue::default();
        for offset in 0..ADDRESSES_MAX as u64 + 1 {
            push(&mut queue, "a", offset);
        }
        push(&mut queue, "b", 1000);
        let popped: Vec<(Image, usize)> =
            std::iter::from_fn(|| queue.pop()).map(|job| (job.image, job.frames.len())).collect();
        let image = |name: &str| Image::File(name.to_owned());
        assert_eq!(popped, [(image("a"), ADDRESSES_MAX), (image("b"), 1), (image("a"), 1)]);
    }

    #[test]
    fn the_queue_is_bounded_and_drains() {
        let mut queue = Queue::default();
        for number in 0..QUEUED_IMAGES_MAX {
            push(&mut queue, &number.to_string(), number as u64);
        }
        assert!(!queue.has_room(&Image::Kernel));
        assert!(queue.has_room(&Image::File("0".to_owned())));
        while let Some(job) = queue.pop() {
            job.frames.iter().for_each(|(frame, _)| queue.done(&frame.id()));
        }
        assert!(queue.is_idle() && queue.has_room(&Image::Kernel));
    }
}
