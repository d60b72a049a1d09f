//! Stoker's model, pure: what a stack *is*, apart from how it was taken or what its names are.
//!
//! A sampled stack is a path in a hash-consed DAG. Each step of the path is a [`Frame`] (where the
//! machine was), each prefix is a node (a parent and a frame), and a stack is its leaf node. Because
//! ids are hashes of content, hosts that never met agree on them, and aggregation over hosts, time
//! and builds is a sum by id. Names ([`Definition`]) are bound late and are no part of identity.
//!
//! Promises, each held by a test: ids are the same in every process and release (golden vectors);
//! merging is commutative and associative and keeps every unit of value; definitions merge to the
//! same winner in any order; nothing here does I/O or panics on input.

#![forbid(unsafe_code)]

mod call_tree;
mod definition;
mod encode;
mod frame;
mod function;
mod ids;
mod interner;
mod labels;
mod module;
mod normalise;
mod origin;
mod profile;
mod prune;
mod sample;
mod tables;

pub use call_tree::{BoxIx, BoxKind, BoxLabel, CallTree, CallTreeBuilder, NameIx, NameTable};
pub use definition::{Definition, DefinitionMap, DefinitionSource, Location};
pub use frame::{BuildId, BuildIdError, BuildIdKind, Frame, KernelImage, MAX_BUILD_ID_BYTES};
pub use frame::{SpecialFrame, UnwindFailure};
pub use function::Function;
pub use ids::{FrameId, FunctionId, NodeId, ParseIdError};
pub use interner::StackInterner;
pub use labels::{LabelIx, LabelSet, LabelTable};
pub use module::{Module, ModuleMap};
pub use normalise::{NORMALISER_VERSION, normalise};
pub use origin::Origin;
pub use profile::Profile;
pub use prune::{OTHER, prune, prune_around};
pub use sample::{ProfileType, ProfileTypeError, SampleRow, UnixNanos, WINDOW_NS, WINDOW_SECONDS};
pub use tables::{FrameIx, FrameTable, NodeIx, NodeTable, OrderError, reserve_quarter};
