//! The store keeps what it acknowledged, exactly once, whatever happens to the process, to its files
//! and to its index.

#[path = "store/crash.rs"]
mod crash;
#[path = "store/damage.rs"]
mod damage;
#[path = "store/folder.rs"]
mod folder;
#[path = "store/golden.rs"]
mod golden;
#[path = "store/model.rs"]
mod model;
#[path = "store/random.rs"]
mod random;
