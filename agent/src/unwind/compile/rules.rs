//! The machine's array of rules: files share it, because compilers use few.

use rustc_hash::FxHashMap;
use stoker_unwind::{Rule, RuleId, saved};

use super::limits::{RULES_MAX, RULES_PER_FILE_MAX};

/// Rules by number. Numbers are never reused, so what was uploaded stays true.
#[derive(Debug)]
pub struct Rules {
    rules: Vec<Rule>,
    numbers: FxHashMap<Rule, RuleId>,
    /// Where the rules of the file that is compiled now begin.
    file_start: usize,
    refused: u64,
}

impl Default for Rules {
    fn default() -> Self {
        let mut rules = vec![Rule::default(); usize::from(RuleId::FIRST_FREE.0)];
        rules[usize::from(RuleId::END.0)].ra = saved::UNDEFINED;
        rules[usize::from(RuleId::FRAME_POINTER.0)] = Rule::FRAME_POINTER;
        let file_start = rules.len();
        Self { rules, numbers: FxHashMap::default(), file_start, refused: 0 }
    }
}

impl Rules {
    /// All rules, the fixed ones first; [`RuleId`]s index it. It only ever grows at its end.
    #[must_use]
    pub fn as_slice(&self) -> &[Rule] {
        &self.rules
    }

    /// How often a rule found no place: the array was full, or its file had too many.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// From here on a new file's rules are counted.
    pub(super) fn begin_file(&mut self) {
        self.file_start = self.rules.len();
    }

    /// The number of `rule`, or [`RuleId::BROKEN`] where it finds no place.
    pub(super) fn number(&mut self, rule: Rule) -> RuleId {
        if let Some(&number) = self.numbers.get(&rule) {
            return number;
        }
        let next = self.rules.len();
        let of_file = next - self.file_start;
        match u16::try_from(next) {
            Ok(number) if next < RULES_MAX && of_file < RULES_PER_FILE_MAX => {
                self.rules.push(rule);
                self.numbers.insert(rule, RuleId(number));
                RuleId(number)
            }
            _ => {
                self.refused += 1;
                RuleId::BROKEN
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use stoker_unwind::cfa;

    use super::*;

    fn rule(cfa_offset: usize) -> Rule {
        let cfa_offset = i32::try_from(cfa_offset).expect("small");
        Rule { cfa: cfa::STACK, ra: saved::AT_CFA, cfa_offset, ..Rule::default() }
    }

    #[test]
    fn a_rule_has_one_number() {
        let mut rules = Rules::default();
        let first = rules.number(rule(8));
        assert_eq!(first, RuleId::FIRST_FREE);
        assert_eq!(rules.number(rule(16)).0, first.0 + 1);
        assert_eq!(rules.number(rule(8)), first);
        assert_eq!(rules.as_slice()[usize::from(first.0)], rule(8));
    }

    #[test]
    fn no_file_fills_the_array_and_a_full_one_counts() {
        let mut rules = Rules::default();
        let mut next = 0;
        while rules.as_slice().len() < RULES_MAX {
            rules.begin_file();
            let before = rules.refused();
            for _ in 0..=RULES_PER_FILE_MAX {
                next += 1;
                rules.number(rule(next));
            }
            assert!(rules.refused() > before);
        }
        rules.begin_file();
        assert_eq!(rules.number(rule(0)), RuleId::BROKEN);
        assert_ne!(rules.number(rule(1)), RuleId::BROKEN);
    }
}
