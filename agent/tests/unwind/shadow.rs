//! The true stack of a thread that is single-stepped: every call and return is seen, so the return
//! addresses are known at every instruction, whatever the program does with its registers.

/// What a thread's registers say after one instruction.
#[derive(Debug, Clone, Copy, Default)]
pub struct Registers {
    pub pc: u64,
    pub sp: u64,
}

/// Something on the stack that a walk has to find.
#[derive(Debug, Clone, Copy)]
struct Entry {
    /// It is gone once the stack pointer is above this.
    slot: u64,
    /// The address that the unwinder records.
    record: u64,
}

/// One thread's true stack.
#[derive(Debug, Default)]
pub struct Shadow {
    entries: Vec<Entry>,
    last: Registers,
    /// A signal is being delivered.
    is_signalled: bool,
}

impl Shadow {
    /// A thread that has run nothing yet.
    pub fn new(registers: Registers) -> Self {
        Self { last: registers, ..Self::default() }
    }

    /// A signal will be delivered before the next instruction.
    pub fn signalled(&mut self) {
        self.is_signalled = true;
    }

    /// One instruction was run. `word` reads the stack, `code` the instruction's first bytes.
    pub fn stepped(
        &mut self,
        now: Registers,
        word: impl Fn(u64) -> u64,
        code: impl Fn(u64) -> [u8; 8],
    ) {
        let last = std::mem::replace(&mut self.last, now);
        if std::mem::take(&mut self.is_signalled) && now.sp < last.sp {
            // What was interrupted is recorded one higher, as is the signal frame, which begins
            // where the handler returns to: readers take one from every address but the leaf's.
            self.entries.push(Entry { slot: last.sp - 1, record: last.pc + 1 });
            self.entries.push(Entry { slot: now.sp, record: word(now.sp) + 1 });
            return;
        }
        while self.entries.last().is_some_and(|entry| entry.slot < now.sp) {
            self.entries.pop();
        }
        if now.sp == last.sp.wrapping_sub(8) && is_call(code(last.pc)) {
            self.entries.push(Entry { slot: now.sp, record: word(now.sp) });
        }
    }

    /// What a walk has to record, from the leaf on.
    pub fn truth(&self) -> Vec<u64> {
        let callers = self.entries.iter().rev().map(|entry| entry.record);
        std::iter::once(self.last.pc).chain(callers).collect()
    }
}

/// Whether an instruction is a near call: e8, or ff /2, after prefixes.
fn is_call(code: [u8; 8]) -> bool {
    let is_prefix =
        |byte: &u8| matches!(byte, 0x40..=0x4f | 0x2e | 0x3e | 0x66 | 0x67 | 0xf2 | 0xf3);
    let at = code.iter().take_while(|byte| is_prefix(byte)).count();
    match (code.get(at), code.get(at + 1)) {
        (Some(0xe8), _) => true,
        (Some(0xff), Some(modrm)) => modrm >> 3 & 7 == 2,
        _ => false,
    }
}
