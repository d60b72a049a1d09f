//! What the instructions of frame information say at one address, as far as we follow it: the CFA,
//! and where the caller's frame pointer and the return address are. Other registers are not
//! followed.

use gimli::{Register, UnwindExpression, UnwindSection};
use stoker_unwind::{Rule, cfa, flags, saved};

use super::expression::{self, Bytes, RBP, RSP, Value};
use super::report::Unsupported;

/// How the CFA is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cfa {
    Unset,
    Register(Register, i64),
    /// And the register and offset of before, which an instruction that changes one of them goes on
    /// with. DWARF leaves that open; the C library's unwinder and binutils do so.
    Expression(UnwindExpression<usize>, Option<(Register, i64)>),
}

/// Where a register of the caller is told to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Not told. By the psABI that means unchanged for the frame pointer.
    Untold,
    Same,
    Undefined,
    AtCfa(i64),
    Expression(UnwindExpression<usize>),
    ValueExpression(UnwindExpression<usize>),
    /// Any other way: in another register, or a value computed from the CFA.
    Other,
}

/// One row of the frame information.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct State {
    pub cfa: Cfa,
    pub frame: Place,
    pub ra: Place,
}

/// What a state means for the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    Rule(Rule),
    /// The start of a thread.
    End,
    Unsupported,
}

impl State {
    pub(super) const EMPTY: Self =
        Self { cfa: Cfa::Unset, frame: Place::Untold, ra: Place::Untold };

    /// The rule for this state, or the reason in `counts` why there is none.
    pub(super) fn meaning<'a, S: UnwindSection<Bytes<'a>>>(
        &self,
        section: &S,
        is_signal: bool,
        counts: &mut Unsupported,
    ) -> Meaning {
        if self.ra == Place::Undefined {
            return Meaning::End;
        }
        let Some(mut rule) = self.cfa_rule(section, counts) else {
            return Meaning::Unsupported;
        };
        if !self.add_ra(&mut rule, section, counts) {
            return Meaning::Unsupported;
        }
        self.add_frame(&mut rule, section, counts);
        if is_signal {
            rule.flags |= flags::SIGNAL;
        }
        Meaning::Rule(rule)
    }

    fn cfa_rule<'a, S: UnwindSection<Bytes<'a>>>(
        &self,
        section: &S,
        counts: &mut Unsupported,
    ) -> Option<Rule> {
        let (value, count) = match self.cfa {
            Cfa::Unset => (None, &mut counts.cfa_expression),
            Cfa::Register(register, offset) => {
                (Some(Value::Register(register, offset)), &mut counts.cfa_register)
            }
            Cfa::Expression(expression, _) => {
                let bytes = expression.get(section).ok();
                let value = bytes.and_then(|bytes| expression::value(bytes, None));
                (value, &mut counts.cfa_expression)
            }
        };
        let Some((kind, offset, operand)) = value.and_then(cfa_kind) else {
            *count += 1;
            return None;
        };
        match (i32::try_from(offset), u16::try_from(operand)) {
            (Ok(cfa_offset), Ok(operand)) => {
                Some(Rule { cfa: kind, cfa_offset, operand, ..Rule::default() })
            }
            _ => {
                counts.offset += 1;
                None
            }
        }
    }

    fn add_ra<'a, S: UnwindSection<Bytes<'a>>>(
        &self,
        rule: &mut Rule,
        section: &S,
        counts: &mut Unsupported,
    ) -> bool {
        let Some((kind, offset)) = saved_at(self.ra, section) else {
            counts.return_address += 1;
            return false;
        };
        let Ok(offset) = i16::try_from(offset) else {
            counts.offset += 1;
            return false;
        };
        (rule.ra, rule.ra_offset) = (kind, offset);
        true
    }

    /// A frame pointer out of reach costs the stack only where a caller's CFA is counted from it.
    fn add_frame<'a, S: UnwindSection<Bytes<'a>>>(
        &self,
        rule: &mut Rule,
        section: &S,
        counts: &mut Unsupported,
    ) {
        match self.frame {
            Place::Untold | Place::Same => rule.frame = saved::SAME,
            Place::Undefined => rule.frame = saved::UNDEFINED,
            place => {
                let at = saved_at(place, section)
                    .and_then(|(kind, offset)| Some((kind, i32::try_from(offset).ok()?)));
                counts.frame_pointer += u64::from(at.is_none());
                (rule.frame, rule.frame_offset) = at.unwrap_or((saved::UNDEFINED, 0));
            }
        }
    }
}

fn cfa_kind(value: Value) -> Option<(u8, i64, i64)> {
    Some(match value {
        Value::Register(RSP, offset) => (cfa::STACK, offset, 0),
        Value::Register(RBP, offset) => (cfa::FRAME, offset, 0),
        Value::Word { register: RSP, offset, plus } => (cfa::AT_STACK, offset, plus),
        Value::Word { register: RBP, offset, plus } => (cfa::AT_FRAME, offset, plus),
        Value::Stub { offset, threshold } => (cfa::STUB, offset, i64::from(threshold)),
        Value::Cfa(_) | Value::Register(..) | Value::Word { .. } => return None,
    })
}

/// Where in memory a register is saved: one of [`saved`] and the offset.
fn saved_at<'a, S: UnwindSection<Bytes<'a>>>(place: Place, section: &S) -> Option<(u8, i64)> {
    let at = |expression: UnwindExpression<usize>| {
        expression::value(expression.get(section).ok()?, Some(Value::Cfa(0)))
    };
    match place {
        Place::AtCfa(offset) => Some((saved::AT_CFA, offset)),
        Place::Expression(expression) => match at(expression)? {
            Value::Cfa(offset) => Some((saved::AT_CFA, offset)),
            Value::Register(RSP, offset) => Some((saved::AT_STACK, offset)),
            Value::Register(RBP, offset) => Some((saved::AT_FRAME, offset)),
            _ => None,
        },
        Place::ValueExpression(expression) => match at(expression)? {
            Value::Word { register: RSP, offset, plus: 0 } => Some((saved::AT_STACK, offset)),
            Value::Word { register: RBP, offset, plus: 0 } => Some((saved::AT_FRAME, offset)),
            _ => None,
        },
        Place::Untold | Place::Same | Place::Undefined | Place::Other => None,
    }
}
