//! Which file's frames have names and which have none: what to push symbols for.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use stoker_symbols::Image;
use stoker_wire::FileNames;

/// Most files that are told apart; frames of others are counted together.
pub const FILES_MAX: usize = 2048;
/// Most files that are shown.
pub const FILES_SHOWN: usize = 20;

/// What was counted since one asked before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NamingNews {
    /// Frames that got a name.
    pub named: u64,
    /// Frames for which there is none.
    pub nameless: u64,
    /// Files of which some frames have no name, those of before included.
    pub files: Vec<FileNames>,
}

/// One file's frames, and how many of them were told of.
#[derive(Debug)]
struct Counted {
    names: FileNames,
    told: (u64, u64),
}

impl Counted {
    fn new(file: &Arc<str>, build_id: &str) -> Self {
        let (file, build_id) = (Arc::clone(file), build_id.into());
        Self { names: FileNames { file, build_id, named: 0, nameless: 0 }, told: (0, 0) }
    }

    /// What is new; of a file whose frames all have names there is nothing to tell yet.
    fn take_news(&mut self) -> Option<FileNames> {
        let FileNames { named, nameless, .. } = self.names;
        if nameless == 0 || self.told == (named, nameless) {
            return None;
        }
        let (told_named, told_nameless) = std::mem::replace(&mut self.told, (named, nameless));
        let (named, nameless) = (named - told_named, nameless - told_nameless);
        Some(FileNames { named, nameless, ..self.names.clone() })
    }
}

/// All files.
#[derive(Debug, Default)]
pub(super) struct Files {
    known: FxHashMap<Image, Counted>,
    others: Option<Counted>,
    news: (u64, u64),
}

impl Files {
    /// Counts frames of an image.
    pub(super) fn count(&mut self, image: &Image, module: &Arc<str>, named: u64, nameless: u64) {
        let file = if self.known.len() < FILES_MAX || self.known.contains_key(image) {
            let build_id = match image {
                Image::File(build_id) | Image::Vdso(build_id) => build_id.as_str(),
                Image::Kernel => "",
            };
            self.known.entry(image.clone()).or_insert_with(|| Counted::new(module, build_id))
        } else {
            self.others.get_or_insert_with(|| Counted::new(&"(others)".into(), ""))
        };
        file.names.named += named;
        file.names.nameless += nameless;
        self.news.0 += named;
        self.news.1 += nameless;
    }

    /// What was counted since the last call.
    pub(super) fn take_news(&mut self) -> NamingNews {
        let (named, nameless) = std::mem::take(&mut self.news);
        let all = self.known.values_mut().chain(&mut self.others);
        NamingNews { named, nameless, files: all.filter_map(Counted::take_news).collect() }
    }

    /// The files with the most frames that have no name, those first.
    pub(super) fn worst(&self) -> Vec<FileNames> {
        let all = self.known.values().chain(&self.others).map(|counted| &counted.names);
        let mut files: Vec<&FileNames> = all.filter(|file| file.nameless > 0).collect();
        files.sort_unstable_by(|a, b| {
            b.nameless.cmp(&a.nameless).then_with(|| a.build_id.cmp(&b.build_id))
        });
        files.into_iter().take(FILES_SHOWN).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_come_first_and_there_are_few() {
        let mut files = Files::default();
        for number in 0..FILES_MAX + 5 {
            let image = Image::File(format!("{number:08x}"));
            files.count(&image, &"libx.so".into(), 1, number as u64 % 50);
        }
        let worst = files.worst();
        assert_eq!(worst.len(), FILES_SHOWN);
        assert_eq!((&*worst[0].file, worst[0].nameless), ("(others)", 48 + 49 + 1 + 2));
        assert_eq!((worst[1].named, worst[1].nameless), (1, 49));
        assert!(worst.is_sorted_by_key(|file| std::cmp::Reverse(file.nameless)));
        files.count(&Image::Kernel, &"[kernel]".into(), 3, 0);
        assert!(files.worst().iter().all(|file| &*file.file != "[kernel]"));
    }

    #[test]
    fn news_are_told_once_and_only_of_files_with_nameless_frames() {
        let mut files = Files::default();
        let image = Image::File("0abc".to_owned());
        files.count(&image, &"libx.so".into(), 5, 0);
        let news = NamingNews { named: 5, ..NamingNews::default() };
        assert_eq!(files.take_news(), news);
        files.count(&image, &"libx.so".into(), 1, 2);
        let build_id = "0abc".into();
        let file = FileNames { file: "libx.so".into(), build_id, named: 6, nameless: 2 };
        assert_eq!(files.take_news(), NamingNews { named: 1, nameless: 2, files: vec![file] });
        assert_eq!(files.take_news(), NamingNews::default());
    }
}
