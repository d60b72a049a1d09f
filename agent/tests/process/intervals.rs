//! The table of mappings against a naive model: an array that says, for each address, what was
//! mapped there last.

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use stoker_agent::process::{
    Backing, ElfInfo, MappedFile, Mapping, MapsTable, PerfMap, parse_maps,
};

const SPACE: u64 = 96;
const FILES: usize = 3;

#[derive(Debug, Clone)]
struct Step {
    start: u64,
    len: u64,
    file_offset: u64,
    file: usize,
}

fn step() -> impl Strategy<Value = Step> {
    (0..SPACE, 0..SPACE / 3, 0..SPACE, 0..FILES).prop_map(|(start, len, file_offset, file)| Step {
        start,
        len,
        file_offset,
        file,
    })
}

fn files() -> Vec<Arc<MappedFile>> {
    (0..FILES).map(|at| Arc::new(MappedFile::new(Path::new(&format!("/{at}")), None))).collect()
}

fn at(address: u64) -> usize {
    usize::try_from(address).expect("the space is small")
}

fn index_of(files: &[Arc<MappedFile>], mapping: &Mapping) -> usize {
    let Backing::File(file) = &mapping.backing else { panic!("only files are mapped") };
    files.iter().position(|known| Arc::ptr_eq(known, file)).expect("one of ours")
}

proptest! {
    #[test]
    fn the_last_mapping_wins(steps in prop::collection::vec(step(), 0..40)) {
        let files = files();
        let mut table = MapsTable::default();
        let mut model: Vec<Option<(usize, u64)>> = vec![None; at(2 * SPACE)];
        for Step { start, len, file_offset, file } in steps {
            let backing = Backing::File(Arc::clone(&files[file]));
            let before = model.clone();
            for address in start..start + len {
                model[at(address)] = Some((file, file_offset + address - start));
            }
            let inserted = table.insert(Mapping { start, end: start + len, file_offset, backing });
            use stoker_agent::process::Inserted::{Added, Invalid, Replaced, Unchanged};
            match inserted {
                Unchanged => prop_assert_eq!(&before, &model),
                Added => prop_assert!((start..start + len).all(|a| before[at(a)].is_none())),
                Replaced => prop_assert_ne!(&before, &model),
                Invalid => prop_assert_eq!(len, 0),
                other => prop_assert!(false, "{:?}", other),
            }
        }
        for (address, wanted) in model.iter().enumerate() {
            let address = address as u64;
            let found = table.find(address).map(|m| (index_of(&files, m), m.offset_of(address)));
            prop_assert_eq!(found, *wanted);
        }
        let sorted: Vec<_> = table.iter().map(|m| (m.start, m.end)).collect();
        prop_assert!(sorted.windows(2).all(|pair| pair[0].1 <= pair[1].0));
    }

    #[test]
    fn no_bytes_make_the_parsers_panic(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        let mut elf = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3e\0".to_vec();
        elf.extend_from_slice(&bytes);
        let _ = ElfInfo::read(&*elf);
        let _ = ElfInfo::read(&*bytes);
        let _ = parse_maps(&bytes);
        let _ = PerfMap::parse(&bytes);
    }

    #[test]
    fn a_damaged_binary_does_not_make_us_panic(
        damage in prop::collection::vec((0_usize..4096, any::<u8>()), 1..32),
        length in 0_usize..200_000,
    ) {
        let mut bytes = std::fs::read("/bin/sleep").expect("there is a sleep");
        bytes.truncate(length);
        for (at, byte) in damage {
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
        }
        let _ = ElfInfo::read(&*bytes);
    }
}
