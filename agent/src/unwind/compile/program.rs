//! Follows the instructions of one frame description entry (DWARF 5, section 6.4.2), keeping only
//! what [`State`] holds.

use gimli::{
    BaseAddresses, CallFrameInstruction, CommonInformationEntry, FrameDescriptionEntry, Register,
    UnwindSection,
};
use smallvec::SmallVec;

use super::expression::{Bytes, RBP, RIP};
use super::limits::REMEMBERED_MAX;
use super::state::{Cfa, Place, State};

/// The instructions cannot be followed: damaged, or nested too deep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lost;

impl From<gimli::Error> for Lost {
    fn from(_: gimli::Error) -> Self {
        Self
    }
}

/// A common information entry and the state that its functions begin with.
#[derive(Debug, Clone)]
pub(super) struct Cie<'a> {
    pub entry: CommonInformationEntry<Bytes<'a>>,
    pub initial: State,
}

impl<'a> Cie<'a> {
    pub(super) fn new<S: UnwindSection<Bytes<'a>>>(
        section: &S,
        bases: &BaseAddresses,
        entry: CommonInformationEntry<Bytes<'a>>,
    ) -> Result<Self, Lost> {
        if entry.return_address_register() != RIP {
            return Err(Lost);
        }
        let mut machine = Machine::new(&entry, State::EMPTY);
        let mut instructions = entry.instructions(section, bases);
        while let Some(instruction) = instructions.next()? {
            if machine.follow(instruction)?.is_some() {
                return Err(Lost);
            }
        }
        let initial = machine.state;
        Ok(Self { entry, initial })
    }
}

/// A frame description entry and the state that it begins with.
#[derive(Debug, Clone)]
pub(super) struct Entry<'a> {
    pub fde: FrameDescriptionEntry<Bytes<'a>>,
    pub initial: State,
}

/// Calls `each` with (from, to, state) for each stretch of the entry's function, in order. Returns
/// where it got lost, if it did; every byte before that was told.
pub(super) fn follow<'a, S: UnwindSection<Bytes<'a>>, E>(
    section: &S,
    bases: &BaseAddresses,
    entry: &Entry<'a>,
    mut each: impl FnMut(u64, u64, &State) -> Result<(), E>,
) -> Result<Option<u64>, E> {
    let fde = &entry.fde;
    let end = fde.end_address();
    let mut at = fde.initial_address();
    let mut machine = Machine::new(fde.cie(), entry.initial);
    let mut instructions = fde.instructions(section, bases);
    loop {
        let step = match instructions.next() {
            Ok(None) => break,
            Ok(Some(instruction)) => machine.follow(instruction),
            Err(error) => Err(error.into()),
        };
        match step.and_then(|step| step.map_or(Ok(at), |step| step.from(at))) {
            Ok(to) if to >= end => break,
            Ok(to) if to > at => {
                each(at, to, &machine.state)?;
                at = to;
            }
            Ok(_) => {}
            Err(Lost) => return Ok(Some(at)),
        }
    }
    each(at, end, &machine.state)?;
    Ok(None)
}

/// Where the next row begins.
enum Step {
    By(u64),
    To(u64),
}

impl Step {
    fn from(self, at: u64) -> Result<u64, Lost> {
        match self {
            Self::By(bytes) => at.checked_add(bytes).ok_or(Lost),
            Self::To(address) if address >= at => Ok(address),
            Self::To(_) => Err(Lost),
        }
    }
}

struct Machine<'c, 'a> {
    cie: &'c CommonInformationEntry<Bytes<'a>>,
    initial: State,
    state: State,
    remembered: SmallVec<[State; 2]>,
}

impl<'c, 'a> Machine<'c, 'a> {
    fn new(cie: &'c CommonInformationEntry<Bytes<'a>>, initial: State) -> Self {
        Self { cie, initial, state: initial, remembered: SmallVec::new() }
    }

    fn factored(&self, offset: i64) -> Result<i64, Lost> {
        offset.checked_mul(self.cie.data_alignment_factor()).ok_or(Lost)
    }

    fn place(&mut self, register: Register, place: Place) {
        if register == RBP {
            self.state.frame = place;
        } else if register == RIP {
            self.state.ra = place;
        }
    }

    fn restore(&mut self, register: Register) {
        if register == RBP {
            self.state.frame = self.initial.frame;
        } else if register == RIP {
            self.state.ra = self.initial.ra;
        }
    }

    fn follow(&mut self, instruction: CallFrameInstruction<usize>) -> Result<Option<Step>, Lost> {
        use CallFrameInstruction as I;
        match instruction {
            I::AdvanceLoc { delta } => {
                let factor = self.cie.code_alignment_factor();
                return u64::from(delta).checked_mul(factor).map(Step::By).map(Some).ok_or(Lost);
            }
            I::SetLoc { address } => return Ok(Some(Step::To(address))),
            I::Offset { register, factored_offset } => {
                let offset = self.factored(signed(factored_offset)?)?;
                self.place(register, Place::AtCfa(offset));
            }
            I::OffsetExtendedSf { register, factored_offset } => {
                let offset = self.factored(factored_offset)?;
                self.place(register, Place::AtCfa(offset));
            }
            I::Undefined { register } => self.place(register, Place::Undefined),
            I::SameValue { register } => self.place(register, Place::Same),
            I::ValOffset { register, .. } | I::ValOffsetSf { register, .. } => {
                self.place(register, Place::Other);
            }
            I::Register { dest_register, .. } => self.place(dest_register, Place::Other),
            I::Expression { register, expression } => {
                self.place(register, Place::Expression(expression));
            }
            I::ValExpression { register, expression } => {
                self.place(register, Place::ValueExpression(expression));
            }
            I::Restore { register } => self.restore(register),
            I::RememberState => self.remember()?,
            I::RestoreState => self.state = self.remembered.pop().ok_or(Lost)?,
            I::ArgsSize { .. } | I::Nop => {}
            I::NegateRaState => return Err(Lost),
            cfa => self.state.cfa = self.cfa(cfa)?,
        }
        Ok(None)
    }

    fn cfa(&self, instruction: CallFrameInstruction<usize>) -> Result<Cfa, Lost> {
        use CallFrameInstruction as I;
        let before = match self.state.cfa {
            Cfa::Unset => None,
            Cfa::Register(register, offset) => Some((register, offset)),
            Cfa::Expression(_, before) => before,
        };
        let (register, offset) = match (instruction, before) {
            (I::DefCfaExpression { expression }, _) => {
                return Ok(Cfa::Expression(expression, before));
            }
            (I::DefCfa { register, offset }, _)
            | (I::DefCfaOffset { offset }, Some((register, _))) => (register, signed(offset)?),
            (I::DefCfaSf { register, factored_offset }, _)
            | (I::DefCfaOffsetSf { factored_offset }, Some((register, _))) => {
                (register, self.factored(factored_offset)?)
            }
            (I::DefCfaRegister { register }, Some((_, offset))) => (register, offset),
            _ => return Err(Lost),
        };
        Ok(Cfa::Register(register, offset))
    }

    fn remember(&mut self) -> Result<(), Lost> {
        if self.remembered.len() >= REMEMBERED_MAX {
            return Err(Lost);
        }
        self.remembered.push(self.state);
        Ok(())
    }
}

fn signed(number: u64) -> Result<i64, Lost> {
    i64::try_from(number).map_err(|_| Lost)
}
