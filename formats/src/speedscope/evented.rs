//! Evented profiles: frames that open and close. The time between two events belongs to the stack
//! that is open; time without an open frame belongs to nobody and is no sample.

use stoker_dag::{FrameIx, NodeIx};

use super::model::{Event, EventKind};
use crate::error::{Place, ReadError};
use crate::import::Imported;
use crate::limits::Limits;

/// What is wrong with an event.
pub(super) type Problem = String;

/// The open frames and when something last happened.
#[derive(Debug)]
pub(super) struct Open {
    stack: Vec<FrameIx>,
    /// Nodes of a prefix of the stack, as far as they were needed.
    nodes: Vec<NodeIx>,
    last: u64,
}

impl Open {
    pub(super) fn new(start: u64) -> Self {
        Self { stack: Vec::new(), nodes: Vec::new(), last: start }
    }

    /// The stack and the time that end here, if any.
    pub(super) fn until(
        &mut self,
        now: u64,
        imported: &mut Imported,
        limits: &Limits,
        place: impl Fn() -> Place,
    ) -> Result<Option<(NodeIx, u64)>, ReadError> {
        let passed = now.saturating_sub(self.last);
        self.last = now;
        if passed == 0 || self.stack.is_empty() {
            return Ok(None);
        }
        if self.stack.len() > limits.stack_depth {
            return imported.leaf(&self.stack, limits, place).map(|node| Some((node, passed)));
        }
        // Only frames that opened since the last look are walked.
        let known = self.nodes.last().copied().unwrap_or(NodeIx::ROOT);
        let fresh = &self.stack[self.nodes.len()..];
        let mut node = known;
        for &frame in fresh {
            node = imported.nodes.child(node, frame);
            self.nodes.push(node);
        }
        imported.check_nodes(limits, place)?;
        Ok(Some((node, passed)))
    }

    /// Opens or closes a frame.
    pub(super) fn change(&mut self, event: &Event, frame: FrameIx) -> Result<(), Problem> {
        if event.kind == EventKind::Open {
            self.stack.push(frame);
            return Ok(());
        }
        match self.stack.pop() {
            Some(open) if open == frame => {
                self.nodes.truncate(self.stack.len());
                Ok(())
            }
            Some(_) => Err(format!("it closes frame {}, which is not the innermost", event.frame)),
            None => Err(format!("it closes frame {}, but none is open", event.frame)),
        }
    }

    pub(super) fn last(&self) -> u64 {
        self.last
    }
}
