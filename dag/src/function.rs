//! Functions: the unit of comparison across builds. A function has no line, address or build id;
//! its name is normalised, so that a rebuild or another compiler version does not rename it.

use std::sync::Arc;

use crate::definition::Location;
use crate::encode::{Domain, Encoder};
use crate::ids::FunctionId;
use crate::module::Module;
use crate::normalise::normalise;
use crate::origin::Origin;

/// A function as it is compared across builds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Function {
    /// Where it comes from.
    pub origin: Origin,
    /// Normalised, demangled.
    pub name: Arc<str>,
}

impl Function {
    /// The function that a demangled `name` in `origin` stands for.
    #[must_use]
    pub fn new(origin: Origin, name: &str) -> Self {
        Self { origin, name: normalise(name).into() }
    }

    /// The function that a location in a binary stands for.
    #[must_use]
    pub fn of(location: &Location, module: &Module) -> Self {
        let name = normalise(&location.function);
        let origin = Origin::of(&name, &location.file, &module.name, module.main_executable);
        Self { origin, name: name.into() }
    }

    /// Its identity.
    #[must_use]
    pub fn id(&self) -> FunctionId {
        let encoder = match &self.origin {
            Origin::Package(name) => Encoder::tagged(1).text(name),
            Origin::Executable => Encoder::tagged(2),
            Origin::Library(name) => Encoder::tagged(3).text(name),
            Origin::Kernel => Encoder::tagged(4),
        };
        FunctionId::from_bytes(encoder.text(&self.name).hash(Domain::Function))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origin_is_part_of_a_function() {
        let here = Function::new(Origin::Executable, "parse");
        let there = Function::new(Origin::Library("libxml2.so".into()), "parse");
        assert_ne!(here.id(), there.id());
    }
}
