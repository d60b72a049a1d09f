//! Recordings that were made here, as if each were a file.

use stoker_dag::{LabelSet, ProfileType, SampleRow};
use stoker_server::query::MemoryPart;
use stoker_server::store::WindowRows;

use super::{FILE_LABEL, Files};
use crate::local::LocalProfile;

impl Files {
    /// The recordings of one side, by name; all of CPU time.
    pub fn recorded<'a>(
        title: &str,
        recordings: impl IntoIterator<Item = (&'a str, &'a LocalProfile)>,
    ) -> Self {
        let mut files = Self::empty(Some(&ProfileType::cpu()), title.to_owned());
        for (name, recording) in recordings {
            files.add_recording(name, recording);
        }
        files
    }

    fn add_recording(&mut self, name: &str, recording: &LocalProfile) {
        let mut part = MemoryPart::default();
        part.dictionary.frames = recording.profile.frames.clone();
        part.dictionary.nodes = recording.profile.nodes.clone();
        let series = part.dictionary.labels.intern(&LabelSet::new([(FILE_LABEL, name)]));
        let attributes = part.dictionary.labels.intern(&LabelSet::default());
        let rows = recording.profile.rows();
        part.windows.push(WindowRows {
            window: recording.start.window_start(),
            rows: rows
                .map(|(node, value, count)| SampleRow { series, attributes, node, value, count })
                .collect(),
            profile_type: recording.profile_type.clone(),
        });
        self.durations.push((name.to_owned(), recording.duration_ns));
        self.span((recording.start, recording.duration_ns));
        self.parts.names.definitions.merge(&recording.profile.definitions);
        self.parts.names.modules.merge(&recording.modules);
        self.parts.parts.push(part);
    }
}
