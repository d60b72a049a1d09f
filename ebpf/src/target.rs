//! Whether the interrupted task is one that the agent wants.

use aya_ebpf::helpers::generated::bpf_get_current_ancestor_cgroup_id;
use stoker_ebpf_abi::{CGROUP_DEPTH_MAX, Config, target};

use crate::maps::TARGET_PIDS;

/// True where `config` asks for the task that runs now, which belongs to process `tgid`.
#[inline(always)]
pub fn wanted(config: &Config, tgid: u32) -> bool {
    match config.target {
        target::PIDS => TARGET_PIDS.get_ptr(tgid).is_some(),
        target::CGROUP => below(config.cgroup_id),
        _ => true,
    }
}

/// True where the cgroup `wanted` is the task's own or one above it.
///
/// Looks from the root downwards instead of at a known depth, because an agent inside a cgroup
/// namespace cannot tell how deep its own root lies.
#[inline(always)]
fn below(wanted: u64) -> bool {
    for depth in 0..CGROUP_DEPTH_MAX {
        // SAFETY: the helper takes a number and reads the current task.
        let id = unsafe { bpf_get_current_ancestor_cgroup_id(depth as i32) };
        if id == wanted {
            return true;
        }
        if id == 0 {
            return false;
        }
    }
    false
}
