//! Perf events: opening them, attaching a program, switching them on and off.
//!
//! By hand and not through aya, because sampling has to start on all CPUs together, the events'
//! running time is wanted for the number of samples to expect, and process events need attributes
//! that aya does not offer. Closing the file descriptor, by whatever end of the process, detaches
//! the program and frees the event.

use std::{
    fs::File,
    io::{self, Read as _},
    mem,
    os::fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd},
};

use perf_event_open_sys::{self as sys, bindings as perf};

use super::event::SampleSource;

/// A perf event that counts on one CPU, for every process that runs there or for one thread and what
/// descends from it.
pub struct PerfEvent {
    fd: OwnedFd,
}

impl PerfEvent {
    /// An event that fires `frequency_hz` times per second, switched off.
    pub fn sampling(source: SampleSource, cpu: u32, frequency_hz: u32) -> io::Result<Self> {
        let (kind, config) = match source {
            SampleSource::HardwareCycles => {
                (perf::PERF_TYPE_HARDWARE, perf::PERF_COUNT_HW_CPU_CYCLES)
            }
            SampleSource::CpuClock => (perf::PERF_TYPE_SOFTWARE, perf::PERF_COUNT_SW_CPU_CLOCK),
        };
        let mut attr = attributes(kind, config);
        attr.set_freq(1);
        attr.__bindgen_anon_1.sample_freq = u64::from(frequency_hz);
        attr.read_format = u64::from(perf::PERF_FORMAT_TOTAL_TIME_RUNNING);
        open(&mut attr, EVERY_PROCESS, cpu)
    }

    /// An event that never fires and reports what processes do: executable mappings with build
    /// ids, names, forks, exits. Switched off.
    pub fn process_events(cpu: u32) -> io::Result<Self> {
        let mut attr = attributes(perf::PERF_TYPE_SOFTWARE, perf::PERF_COUNT_SW_DUMMY);
        attr.sample_type = u64::from(perf::PERF_SAMPLE_TIME);
        report_processes(&mut attr);
        open(&mut attr, EVERY_PROCESS, cpu)
    }

    /// An event of one thread and all that descends from it, while they run on `cpu`: samples by the
    /// kernel's clock, stacks by frame pointers, and what the processes do, all in one ring. Switched
    /// off; needs no privilege where the process is one's own and the sysctl allows it.
    pub fn of_thread(tid: u32, cpu: u32, wanted: &ThreadSampling) -> io::Result<Self> {
        let mut attr = attributes(perf::PERF_TYPE_SOFTWARE, perf::PERF_COUNT_SW_CPU_CLOCK);
        attr.__bindgen_anon_1.sample_period = wanted.period_ns;
        attr.sample_type =
            u64::from(perf::PERF_SAMPLE_TID | perf::PERF_SAMPLE_TIME | perf::PERF_SAMPLE_CALLCHAIN);
        attr.sample_max_stack = wanted.frames_limit;
        report_processes(&mut attr);
        attr.set_inherit(1);
        attr.set_exclude_hv(1);
        attr.set_exclude_kernel(u64::from(!wanted.kernel_time));
        attr.set_exclude_callchain_kernel(u64::from(!wanted.kernel_stacks));
        attr.set_enable_on_exec(u64::from(wanted.from_exec));
        let tid = libc::pid_t::try_from(tid).map_err(io::Error::other)?;
        open(&mut attr, tid, cpu)
    }

    /// Writes its records to the ring of `other`, which is of the same CPU and has one.
    pub fn write_to(&self, other: &Self) -> io::Result<()> {
        // SAFETY: both descriptors are open perf events; the call has no memory argument.
        check(unsafe { sys::ioctls::SET_OUTPUT(self.raw(), other.raw()) })
    }

    /// Makes the event run a program each time it fires.
    pub fn attach(&self, program: BorrowedFd<'_>) -> io::Result<()> {
        let program = u32::try_from(program.as_raw_fd()).map_err(io::Error::other)?;
        // SAFETY: both descriptors are open; the kernel takes its own reference to the program.
        check(unsafe { sys::ioctls::SET_BPF(self.raw(), program) })
    }

    /// Switches the event on.
    pub fn enable(&self) -> io::Result<()> {
        // SAFETY: the descriptor is an open perf event; the call has no memory argument.
        check(unsafe { sys::ioctls::ENABLE(self.raw(), 0) })
    }

    /// Switches the event off.
    pub fn disable(&self) -> io::Result<()> {
        // SAFETY: the descriptor is an open perf event; the call has no memory argument.
        check(unsafe { sys::ioctls::DISABLE(self.raw(), 0) })
    }

    /// Fires `frequency_hz` times per second from now on.
    ///
    /// The kernel makes a frequency of the clock's timer a fixed period when the event is opened
    /// (`perf_swevent_init_hrtimer` in kernel/events/core.c), so there the new value is nanoseconds.
    pub fn set_frequency(&self, source: SampleSource, frequency_hz: u32) -> io::Result<()> {
        let frequency_hz = u64::from(frequency_hz.max(1));
        let value = match source {
            SampleSource::HardwareCycles => frequency_hz,
            SampleSource::CpuClock => 1_000_000_000 / frequency_hz,
        };
        // The kernel wants the value's address (`_perf_ioctl`), which the wrapper takes as a number.
        let address = (&raw const value).expose_provenance() as u64;
        // SAFETY: the descriptor is an open perf event, and the value outlives the call, which
        // only reads it.
        check(unsafe { sys::ioctls::PERIOD(self.raw(), address) })
    }

    /// For how many nanoseconds a sampling event has been running.
    pub fn running_ns(&self) -> io::Result<u64> {
        let mut counted = [0; 16];
        File::from(self.fd.try_clone()?).read_exact(&mut counted)?;
        let [_, _, _, _, _, _, _, _, running @ ..] = counted;
        Ok(u64::from_ne_bytes(running))
    }

    fn raw(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

/// How a thread is sampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadSampling {
    /// CPU time between two samples.
    pub period_ns: u64,
    /// Most frames of both stacks together; no more than the sysctl allows.
    pub frames_limit: u16,
    /// Takes samples while the kernel works for the thread, too.
    pub kernel_time: bool,
    /// Takes the kernel's frames of those samples.
    pub kernel_stacks: bool,
    /// The thread's next `exec` switches it on.
    pub from_exec: bool,
}

impl AsFd for PerfEvent {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn attributes(kind: u32, config: u32) -> perf::perf_event_attr {
    // SAFETY: the type is plain old data from C, for which all bytes zero is the documented start.
    let mut attr: perf::perf_event_attr = unsafe { mem::zeroed() };
    attr.size = u32::try_from(size_of_val(&attr)).unwrap_or(perf::PERF_ATTR_SIZE_VER0);
    attr.type_ = kind;
    attr.config = u64::from(config);
    attr.set_disabled(1);
    attr
}

/// Makes an event report executable mappings with device and inode, names, forks and exits. The time
/// is the last that each record says.
///
/// It does not ask for build ids: the kernel then marks the mapping records of every other listener as
/// holding one, and `perf record` runs crash of it (`docs/kernel.md`, trap 10).
fn report_processes(attr: &mut perf::perf_event_attr) {
    attr.set_sample_id_all(1);
    attr.set_use_clockid(1);
    attr.clockid = libc::CLOCK_MONOTONIC;
    attr.set_mmap(1);
    attr.set_mmap2(1);
    attr.set_comm(1);
    attr.set_comm_exec(1);
    attr.set_task(1);
    // Nobody polls: wake up for a full ring only, which is to say never in time.
    attr.set_watermark(1);
    attr.__bindgen_anon_2.wakeup_watermark = u32::MAX;
}

/// What the kernel takes for "whoever runs".
const EVERY_PROCESS: libc::pid_t = -1;

fn open(attr: &mut perf::perf_event_attr, process: libc::pid_t, cpu: u32) -> io::Result<PerfEvent> {
    const NO_GROUP: libc::c_int = -1;
    let cpu = libc::c_int::try_from(cpu).map_err(io::Error::other)?;
    let flags = libc::c_ulong::from(perf::PERF_FLAG_FD_CLOEXEC);
    // SAFETY: `attr` is initialised, names its own size, and outlives the call.
    let fd = unsafe { sys::perf_event_open(attr, process, cpu, NO_GROUP, flags) };
    check(fd)?;
    // SAFETY: the kernel has just given this descriptor, and nobody else knows it.
    Ok(PerfEvent { fd: unsafe { OwnedFd::from_raw_fd(fd) } })
}

fn check(returned: libc::c_int) -> io::Result<()> {
    if returned < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
