//! Which file's frames have names and which have none: what to push symbols for.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use stoker_symbols::Image;

/// Most files that are told apart; frames of others are counted together.
pub const FILES_MAX: usize = 2048;
/// Most files that are shown.
pub const FILES_SHOWN: usize = 20;

/// How frames of one file were named since the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileNames {
    /// What its frames are filed under.
    pub module: Arc<str>,
    /// Which build it is; empty for all files that are not told apart, and for the kernel.
    pub build_id: String,
    /// Frames that got a name.
    pub named: u64,
    /// Frames for which there is none.
    pub nameless: u64,
}

/// All files.
#[derive(Debug, Default)]
pub(super) struct Files {
    known: FxHashMap<Image, FileNames>,
    others: Option<FileNames>,
}

impl Files {
    /// Counts frames of an image.
    pub(super) fn count(&mut self, image: &Image, module: &Arc<str>, named: u64, nameless: u64) {
        let fresh = |module: &Arc<str>, build_id: String| FileNames {
            module: Arc::clone(module),
            build_id,
            named: 0,
            nameless: 0,
        };
        let file = if self.known.len() < FILES_MAX || self.known.contains_key(image) {
            let build_id = match image {
                Image::File(build_id) | Image::Vdso(build_id) => build_id.clone(),
                Image::Kernel => String::new(),
            };
            self.known.entry(image.clone()).or_insert_with(|| fresh(module, build_id))
        } else {
            self.others.get_or_insert_with(|| fresh(&"(others)".into(), String::new()))
        };
        file.named += named;
        file.nameless += nameless;
    }

    /// The files with the most frames that have no name, those first.
    pub(super) fn worst(&self) -> Vec<FileNames> {
        let all = self.known.values().chain(&self.others);
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
        assert_eq!((&*worst[0].module, worst[0].nameless), ("(others)", 48 + 49 + 1 + 2));
        assert_eq!((worst[1].named, worst[1].nameless), (1, 49));
        assert!(worst.is_sorted_by_key(|file| std::cmp::Reverse(file.nameless)));
        files.count(&Image::Kernel, &"[kernel]".into(), 3, 0);
        assert!(files.worst().iter().all(|file| &*file.module != "[kernel]"));
    }
}
