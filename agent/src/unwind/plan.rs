//! What a process's pages will say.

use stoker_dag::BuildId;
use stoker_ebpf_abi::Mapping;

use crate::process::CodeMapping;

/// What is known of the table for a mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TableOf {
    /// Its number, and the virtual address where its text begins.
    Loaded(u32, u64),
    /// Nobody knows yet.
    Awaited,
    /// There is none to be had.
    None,
}

/// Mappings as the kernel wants them.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub mappings: Vec<Mapping>,
    /// Numbers of the tables in use.
    pub tables: Vec<u32>,
    /// Builds whose tables are not there yet.
    pub waits_for: Vec<BuildId>,
}

impl Plan {
    pub(super) fn add(&mut self, mapping: &CodeMapping, table: TableOf) {
        let offset = mapping.build.as_ref().map_or(0, |(_, offset)| *offset);
        let (table, text_start) = match table {
            TableOf::Loaded(number, text_start) => (number, text_start),
            TableOf::Awaited => {
                self.waits_for.extend(mapping.build.as_ref().map(|(build, _)| build.clone()));
                (0, 0)
            }
            TableOf::None => (0, 0),
        };
        if table != 0 && !self.tables.contains(&table) {
            self.tables.push(table);
        }
        self.mappings.push(Mapping {
            start: mapping.start,
            end: mapping.end,
            text: mapping.start.wrapping_sub(offset).wrapping_add(text_start),
            table,
            reserved: 0,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_lies_where_the_mapping_puts_it() {
        let build: BuildId = "aa".parse().expect("hexadecimal");
        let mut plan = Plan::default();
        let mapping = CodeMapping {
            start: 0x7000_1000,
            end: 0x7000_3000,
            build: Some((build.clone(), 0x1000)),
        };
        plan.add(&mapping, TableOf::Loaded(7, 0x400));
        // Address 0x7000_1000 is 0x1000 in the file, so 0xc00 into the text.
        assert_eq!(0x7000_1000 - plan.mappings[0].text, 0xc00);
        plan.add(&mapping, TableOf::Awaited);
        plan.add(&CodeMapping { build: None, ..mapping }, TableOf::None);
        assert_eq!((plan.tables, plan.waits_for), (vec![7], vec![build]));
        assert_eq!(plan.mappings.iter().map(|m| m.table).collect::<Vec<_>>(), [7, 0, 0]);
    }
}
