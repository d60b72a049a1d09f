//! Decoding of perf records, from bytes alone.
//!
//! Layouts: `perf_event_open(2)` and `enum perf_event_type` in include/uapi/linux/perf_event.h.
//! Bytes that make no sense give `None`, never a panic: a ring that was misread must not stop the
//! agent.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _, path::Path};

use super::event::{Comm, FileId, KernelEvent, Mmap};

/// Length of `struct perf_event_header`.
pub const HEADER_BYTES: usize = 8;

const RECORD_LOST: u32 = 2;
const RECORD_COMM: u32 = 3;
const RECORD_EXIT: u32 = 4;
const RECORD_FORK: u32 = 7;
const RECORD_MMAP2: u32 = 10;
const MISC_COMM_EXEC: u16 = 1 << 13;
/// What the kernel gives as process where there is none.
const NO_PID: u32 = u32::MAX;

/// An event that owns what it says, to be kept until its turn comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProcessEvent {
    Exec { pid: u32, tid: u32, comm: Comm },
    Comm { pid: u32, tid: u32, comm: Comm },
    Fork { pid: u32, tid: u32, parent_pid: u32, parent_tid: u32 },
    Exit { pid: u32, tid: u32 },
    Mmap(Box<Mmap>),
    Lost { count: u64 },
}

impl ProcessEvent {
    /// The event as others see it.
    pub fn public(&self, time_ns: u64) -> KernelEvent<'_> {
        match *self {
            Self::Exec { pid, tid, comm } => KernelEvent::Exec { time_ns, pid, tid, comm },
            Self::Comm { pid, tid, comm } => KernelEvent::Comm { time_ns, pid, tid, comm },
            Self::Fork { pid, tid, parent_pid, parent_tid } => {
                KernelEvent::Fork { time_ns, pid, tid, parent_pid, parent_tid }
            }
            Self::Exit { pid, tid } => KernelEvent::Exit { time_ns, pid, tid },
            Self::Mmap(ref mmap) => KernelEvent::Mmap(mmap),
            Self::Lost { count } => KernelEvent::Lost { time_ns, count },
        }
    }
}

/// What a record turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub enum Decoded {
    Event {
        time_ns: u64,
        event: ProcessEvent,
    },
    /// A kind of record that nobody here asks for.
    Other,
    /// Not a record.
    Malformed,
}

/// The length that a record's header names, header included; `None` where that cannot be.
pub fn record_len(header: [u8; HEADER_BYTES]) -> Option<usize> {
    let [.., low, high] = header;
    let len = usize::from(u16::from_ne_bytes([low, high]));
    (len >= HEADER_BYTES && len.is_multiple_of(8)).then_some(len)
}

/// Decodes one whole record. Its last 8 bytes are the time, because the events are opened with
/// `sample_id_all` and `PERF_SAMPLE_TIME` and nothing else.
pub fn decode(record: &[u8]) -> Decoded {
    let mut fields = Fields(record);
    let (Some(kind), Some(misc), Some(_len)) = (fields.u32(), fields.u16(), fields.u16()) else {
        return Decoded::Malformed;
    };
    let Some((body, &time)) = fields.0.split_last_chunk::<8>() else { return Decoded::Malformed };
    let time_ns = u64::from_ne_bytes(time);
    let event = match kind {
        RECORD_LOST => lost(Fields(body)),
        RECORD_COMM => comm(Fields(body), misc),
        RECORD_EXIT => exit(Fields(body)),
        RECORD_FORK => fork(Fields(body)),
        RECORD_MMAP2 => mmap(Fields(body), time_ns),
        _ => return Decoded::Other,
    };
    match event {
        Some(ProcessEvent::Mmap(mmap)) if mmap.pid == NO_PID => Decoded::Other,
        Some(event) => Decoded::Event { time_ns, event },
        None => Decoded::Malformed,
    }
}

fn lost(mut fields: Fields<'_>) -> Option<ProcessEvent> {
    let _event_id = fields.u64()?;
    Some(ProcessEvent::Lost { count: fields.u64()? })
}

fn comm(mut fields: Fields<'_>, misc: u16) -> Option<ProcessEvent> {
    let (pid, tid) = (fields.u32()?, fields.u32()?);
    let mut comm = Comm::default();
    for (to, from) in comm.0.iter_mut().zip(fields.text()) {
        *to = *from;
    }
    Some(if misc & MISC_COMM_EXEC == 0 {
        ProcessEvent::Comm { pid, tid, comm }
    } else {
        ProcessEvent::Exec { pid, tid, comm }
    })
}

fn exit(mut fields: Fields<'_>) -> Option<ProcessEvent> {
    let (pid, _parent_pid, tid) = (fields.u32()?, fields.u32()?, fields.u32()?);
    Some(ProcessEvent::Exit { pid, tid })
}

fn fork(mut fields: Fields<'_>) -> Option<ProcessEvent> {
    let (pid, parent_pid) = (fields.u32()?, fields.u32()?);
    let (tid, parent_tid) = (fields.u32()?, fields.u32()?);
    Some(ProcessEvent::Fork { pid, tid, parent_pid, parent_tid })
}

fn mmap(mut fields: Fields<'_>, time_ns: u64) -> Option<ProcessEvent> {
    let (pid, tid) = (fields.u32()?, fields.u32()?);
    let (start, len, pgoff) = (fields.u64()?, fields.u64()?, fields.u64()?);
    let identity = fields.take::<24>()?;
    let (prot, _flags) = (fields.u32()?, fields.u32()?);
    Some(ProcessEvent::Mmap(Box::new(Mmap {
        time_ns,
        pid,
        tid,
        start,
        len,
        pgoff,
        prot,
        path: Path::new(OsStr::from_bytes(fields.text())).into(),
        // Whatever the record's bits say: another listener who asks for build ids sets them here.
        file: file(identity),
    })))
}

/// `maj`, `min`, `ino`, `ino_generation`; all zero for what is not a file.
fn file(identity: [u8; 24]) -> Option<FileId> {
    let mut fields = Fields(&identity);
    let file = FileId {
        major: fields.u32()?,
        minor: fields.u32()?,
        inode: fields.u64()?,
        generation: fields.u64()?,
    };
    (file.inode != 0).then_some(file)
}

/// Fields in the machine's byte order, taken from the front.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_ne_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_ne_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_ne_bytes)
    }

    /// The rest, up to its first zero byte.
    fn text(&self) -> &'a [u8] {
        self.0.split(|&byte| byte == 0).next().unwrap_or_default()
    }
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
