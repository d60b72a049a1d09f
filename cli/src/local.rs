//! A profile that is here, not on a server: read from a file, or just recorded.

use stoker_analysis::{Naming, call_tree};
use stoker_dag::{CallTree, Frame, ModuleMap, Profile, ProfileType, UnixNanos};
use stoker_formats::{WriteError, collapsed, html, pprof, speedscope, svg};

use crate::failure::Failure;
use crate::output::Format;
use crate::table::amount;

/// Stacks, what they mean, and what they count.
#[derive(Debug)]
pub struct LocalProfile {
    /// Where it comes from, for people.
    pub title: String,
    /// Stacks with values and counts.
    pub profile: Profile,
    /// What is known of builds.
    pub modules: ModuleMap,
    /// What values count.
    pub profile_type: ProfileType,
    /// When it begins; zero where nobody knows.
    pub start: UnixNanos,
    /// How long it is; zero where nobody knows.
    pub duration_ns: u64,
}

impl LocalProfile {
    /// What people look at.
    pub fn tree(&self) -> CallTree {
        call_tree(&self.profile, &self.modules)
    }

    /// How its frames are named.
    pub fn naming(&self) -> Naming<'_> {
        Naming { definitions: &self.profile.definitions, modules: &self.modules }
    }

    /// The whole profile in a format.
    pub fn write(&self, format: Format) -> Result<Vec<u8>, Failure> {
        let mut out = Vec::new();
        let written = match format {
            Format::Collapsed => collapsed::write(&self.tree(), &mut out).map_err(Into::into),
            Format::Pprof => self.write_pprof(&mut out),
            Format::Svg => {
                let titles = (self.title.as_str(), self.subtitle());
                let tree = stoker_analysis::visible_tree(
                    &self.profile,
                    &self.modules,
                    svg::LEAST_VISIBLE_PPM,
                );
                svg::write(&tree, &self.profile_type, (titles.0, &titles.1), &mut out)
            }
            Format::Html => {
                let titles = (self.title.as_str(), self.subtitle());
                html::write(&self.tree(), &self.profile_type, (titles.0, &titles.1), &mut out)
            }
            Format::Speedscope => {
                let (tree, profile_type) = (&self.tree(), &self.profile_type);
                let source = speedscope::SpeedscopeSource { tree, profile_type };
                speedscope::write(&[source], &self.title, &mut out)
            }
            Format::Json | Format::Parquet => {
                let message = "the API's JSON and tables are written of selectors only";
                return Err(Failure::new(message, "use .speedscope.json, .pb.gz or .collapsed"));
            }
        };
        written.map_err(|error| Failure::new(error.to_string(), "choose another format"))?;
        Ok(out)
    }

    fn write_pprof(&self, out: &mut Vec<u8>) -> Result<(), WriteError> {
        let naming = self.naming();
        let module = |frame: &Frame| naming.module(frame).into_owned();
        pprof::write(
            &pprof::PprofSource {
                profile: &self.profile,
                module: &module,
                modules: &self.modules,
                profile_type: &self.profile_type,
                start: self.start,
                duration_ns: self.duration_ns,
                comment: &format!("stoker: {}", self.title),
            },
            out,
        )
    }

    fn subtitle(&self) -> String {
        let total = amount(self.profile.total(), self.profile_type.unit());
        format!("{total} in {} samples", self.profile.samples())
    }
}
