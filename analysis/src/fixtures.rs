//! Frames and names for tests.

use stoker_dag::{Definition, DefinitionSource, Frame, Location, Profile};

pub(crate) fn native(build: &str, offset: u64) -> Frame {
    Frame::Native { build_id: build.parse().unwrap(), offset }
}

pub(crate) fn location(function: &str, line: u32) -> Location {
    Location { function: function.into(), file: "a.rs".into(), line }
}

pub(crate) fn define(profile: &mut Profile, frame: &Frame, locations: Vec<Location>) {
    let definition =
        Definition { source: DefinitionSource::AgentDwarf, locations: locations.into() };
    profile.definitions.learn(frame.id(), definition);
}
