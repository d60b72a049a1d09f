//! The store keeps what it acknowledged, exactly once, whatever happens to the process, to its files
//! and to its index.

#![expect(clippy::unwrap_used, reason = "a test ends where its own set-up fails")]

#[path = "store/ahead.rs"]
mod ahead;
#[path = "store/asked.rs"]
mod asked;
#[path = "store/conformance/mod.rs"]
mod conformance;
#[path = "store/crash.rs"]
mod crash;
#[path = "store/damage.rs"]
mod damage;
#[path = "store/faults.rs"]
mod faults;
#[path = "store/files.rs"]
mod files;
#[path = "store/folder.rs"]
mod folder;
#[path = "store/golden.rs"]
mod golden;
#[path = "store/hostile.rs"]
mod hostile;
#[path = "store/merging.rs"]
mod merging;
#[path = "store/model.rs"]
mod model;
#[path = "store/newer.rs"]
mod newer;
#[path = "store/random.rs"]
mod random;
#[path = "store/rolling.rs"]
mod rolling;
#[path = "store/rolling_more.rs"]
mod rolling_more;
#[path = "store/room.rs"]
mod room;
#[path = "store/sim_disk.rs"]
mod sim_disk;
#[path = "store/simulation.rs"]
mod simulation;
#[path = "store/slices.rs"]
mod slices;
#[path = "store/upkeep.rs"]
mod upkeep;
