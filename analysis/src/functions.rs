//! The functions that a frame stands for, as tables that outlive stacks know them: by module and
//! normalised name.

use std::sync::Arc;

use stoker_dag::{Frame, normalise};

use crate::naming::Naming;

/// What native and kernel frames without a name are called: single addresses are no functions.
const UNNAMED: &str = "(no symbols)";

/// A function, without line, address or build.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FunctionName {
    /// The module; empty for what lies in none.
    pub module: Arc<str>,
    /// The normalised name.
    pub name: Arc<str>,
}

/// The functions of a frame, outermost first: more than one where functions were inlined, and one at
/// least.
#[must_use]
pub fn function_names(naming: Naming<'_>, frame: &Frame) -> Vec<FunctionName> {
    let module: Arc<str> = naming.module(frame).into();
    let fallback = match frame {
        Frame::Native { .. } | Frame::Kernel { .. } => UNNAMED.into(),
        Frame::Interpreted { .. } | Frame::Special(_) => Naming::fallback(frame),
    };
    let locations = naming.definition(frame).map_or(&[][..], |held| &held.locations);
    let names = locations.iter().map(|location| &*location.function);
    let names: Vec<&str> = if locations.is_empty() { vec![""] } else { names.collect() };
    let of = |name: &str| {
        let name = if name.is_empty() { &*fallback } else { name };
        FunctionName { module: Arc::clone(&module), name: normalise(name).into() }
    };
    names.into_iter().map(of).collect()
}
