//! What keeps the agent from harming its host: budgets, a kill switch, and as few rights as work.
//!
//! A profiler that runs everywhere must cost little on the worst day of a machine, not on the
//! average one. So the agent measures itself each second, and when it exceeds what it was given it
//! gives up, in this order, names (they can come later), memory that is only convenient, sampling
//! frequency, and sampling itself. Each step is logged, counted and reported to the server, and
//! taken back slowly. The arithmetic ([`Governor`]) is pure: it is fed readings and returns a plan.

mod allocator;
mod budget;
mod cpu_share;
mod governor;
mod kill_switch;
mod memory;
mod naming_allowance;
mod usage;

pub use allocator::give_memory_back;
pub use budget::{Budget, DEFAULT_MAX_CPU_PERCENT, DEFAULT_MAX_MEMORY_MIB};
pub use governor::{FrequencyStep, Governor, Plan};
pub use kill_switch::{KILL_SWITCH_FILE, KillSwitch};
pub use usage::{Meter, Usage};
