//! From addresses to frames: which file, and which place in it, a sampled address belongs to.
//!
//! A sample says "process 4711 was at 0x7f3a…". That number means nothing a second later and
//! nothing on another host. This module turns it into a [`Frame`](stoker_dag::Frame) which does:
//! the build id of the file that was mapped there and the virtual offset inside it. It also knows
//! what the process is: service, version, container.
//!
//! Promises: what cannot be told is a special frame with its reason and is counted, never a guess;
//! every table is bounded; hostile files and paths cost bounded time and cannot make us open a
//! device, leave a container's root, or panic. Parsers are pure and stand apart from what reads
//! files. Nothing here names the kernel interface that delivers events.
//!
//! Refuses: unwinding (that happens in the kernel) and naming functions (that is
//! [`symbolize`](crate::symbolize)'s).

mod binary;
mod cgroup;
mod code;
mod counters;
mod entry;
mod event;
mod file_keeper;
mod host;
mod jit;
mod kernel_map;
mod ksyms;
mod labels;
mod maps;
mod meta;
mod module_name;
mod open;
mod perf_map;
mod proc_maps;
mod resolve;
mod roots;
mod status;
mod table;
mod vdso;

pub use binary::{BINARIES_MAX, Binary, BinaryCounters};
pub use cgroup::CgroupPlace;
pub use code::{CodeMapping, ProcessCode};
pub use counters::ProcessCounters;
pub use event::{Inode, MmapEvent, ProcessEvent};
pub use host::{CgroupMounts, HostCpu, host_cpu};
pub use kernel_map::{BPF_RUNTIME, KERNEL_MODULE, KernelCounters, KernelMap};
pub use maps::{Backing, Inserted, MAPPINGS_PER_PROCESS_MAX, MappedFile, Mapping, MapsTable};
pub use meta::{KERNEL_SERVICE, OtelNames, ProcessMeta};
pub use perf_map::PerfMap;
pub use proc_maps::{device_number, parse_maps};
pub use roots::Whereabouts;
pub use stoker_symbols::elf::{CONTENT_HASH_BYTES_MAX, CodeSegment, ElfError, ElfInfo, ReadAt};
pub use stoker_symbols::elf::{code_sections, virtual_offset};
pub use stoker_symbols::vdso_image;
pub use table::{EXIT_GRACE, PROCESSES_MAX, ProcessTable};
pub use vdso::VDSO_MODULE;
