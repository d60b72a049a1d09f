//! The ring in which a perf event leaves its records, shared memory with the kernel.
//!
//! Layout and rules: `perf_event_open(2)`, section "MMAP layout", and `perf_mmap` in
//! tools/lib/perf/mmap.c. One page of control data, then the ring. The kernel moves `data_head`
//! forward behind what it has written; the reader moves `data_tail` behind what it has read, and the
//! kernel does not write past it: what finds no room is counted in a LOST record.

use std::{
    io,
    os::fd::AsRawFd as _,
    ptr,
    sync::atomic::{AtomicU64, Ordering},
};

use memmap2::{MmapOptions, MmapRaw};
use perf_event_open_sys::bindings::perf_event_mmap_page;

use super::{perf::PerfEvent, record};

/// A mapped ring and the event that writes to it.
pub struct Ring {
    map: MmapRaw,
    control_bytes: usize,
    data_bytes: usize,
    record: Vec<u8>,
    event: PerfEvent,
}

impl Ring {
    /// Maps a ring of `data_bytes`, which must be a power of two and at least a page.
    /// Where that fails the event comes back, for another try with less.
    pub fn new(event: PerfEvent, data_bytes: usize) -> Result<Self, (PerfEvent, io::Error)> {
        let control_bytes = rustix::param::page_size();
        if !data_bytes.is_power_of_two() || data_bytes < control_bytes {
            return Err((event, io::Error::from(io::ErrorKind::InvalidInput)));
        }
        let whole = control_bytes + data_bytes;
        match MmapOptions::new().len(whole).map_raw(event_fd(&event)) {
            Ok(map) => Ok(Self { map, control_bytes, data_bytes, record: Vec::new(), event }),
            Err(error) => Err((event, error)),
        }
    }

    /// The event that writes here.
    pub fn event(&self) -> &PerfEvent {
        &self.event
    }

    /// Hands out every record that is in the ring now and makes room. Returns how many bytes had to
    /// be skipped because they did not hang together as records.
    pub fn drain(&mut self, sink: &mut dyn FnMut(&[u8])) -> u64 {
        let head = self.head().load(Ordering::Acquire);
        let mut tail = self.tail().load(Ordering::Relaxed);
        let mut skipped = 0;
        while tail != head {
            let Some(len) = self.read_record(tail, head) else {
                skipped += head.wrapping_sub(tail);
                tail = head;
                break;
            };
            sink(&self.record);
            tail = tail.wrapping_add(len);
        }
        self.tail().store(tail, Ordering::Release);
        skipped
    }

    /// Copies the record at `tail` out of the ring and returns its length; `None` where its length
    /// cannot be right.
    fn read_record(&mut self, tail: u64, head: u64) -> Option<u64> {
        let mut header = [0; record::HEADER_BYTES];
        if head.wrapping_sub(tail) < record::HEADER_BYTES as u64 {
            return None;
        }
        self.copy(tail, &mut header);
        let len = record::record_len(header)?;
        if len as u64 > head.wrapping_sub(tail) || len > self.data_bytes {
            return None;
        }
        let mut record = std::mem::take(&mut self.record);
        record.resize(len, 0);
        self.copy(tail, &mut record);
        self.record = record;
        Some(len as u64)
    }

    /// Copies bytes out of the ring, around its end where need be. `to` is no longer than the ring.
    fn copy(&self, position: u64, to: &mut [u8]) {
        let mask = self.data_bytes as u64 - 1;
        let start = usize::try_from(position & mask).unwrap_or(0);
        let (first, second) = to.split_at_mut(to.len().min(self.data_bytes - start));
        self.copy_straight(start, first);
        self.copy_straight(0, second);
    }

    fn copy_straight(&self, start: usize, to: &mut [u8]) {
        assert!(start + to.len() <= self.data_bytes, "outside the ring");
        let from = self.map.as_ptr().wrapping_add(self.control_bytes + start);
        // SAFETY: the assertion keeps the source inside the mapping, which lives as long as `self`;
        // the kernel does not write between tail and head, where all callers read.
        unsafe { ptr::copy_nonoverlapping(from, to.as_mut_ptr(), to.len()) };
    }

    fn head(&self) -> &AtomicU64 {
        self.control(std::mem::offset_of!(perf_event_mmap_page, data_head))
    }

    fn tail(&self) -> &AtomicU64 {
        self.control(std::mem::offset_of!(perf_event_mmap_page, data_tail))
    }

    /// One of the 64-bit fields of the control page.
    fn control(&self, offset: usize) -> &AtomicU64 {
        let field = self.map.as_mut_ptr().wrapping_add(offset).cast::<u64>();
        // SAFETY: both fields lie aligned inside the first page of the mapping, which lives as long
        // as `self` and is only ever accessed atomically there.
        unsafe { AtomicU64::from_ptr(field) }
    }
}

fn event_fd(event: &PerfEvent) -> std::os::fd::RawFd {
    std::os::fd::AsFd::as_fd(event).as_raw_fd()
}
