//! `cargo xtask crash`: the server is killed under load a thousand times, then lives go by in the
//! thousands on the store's simulated disk. Both check that what was acknowledged is there once.

use std::process::Command;

use anyhow::Result;

use crate::host;

#[derive(clap::Args)]
pub struct Args {
    /// How often the real server is killed
    #[arg(long, default_value_t = 1000)]
    kills: u32,
    /// Lives on the simulated disk
    #[arg(long, default_value_t = 10_000)]
    lives: u32,
    /// The first seed of the lives
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Runs both.
pub fn run(args: &Args) -> Result<()> {
    let root = host::root()?;
    let test = |test: &str, filter: &str| {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(&root).args(["test", "--release", "--locked", "-p", "stoker-server"]);
        cargo.args(["--test", test, filter, "--", "--nocapture"]);
        cargo
    };
    host::say(&format!("crash: {} kills, about a second each", args.kills));
    host::run(test("killed", "survives_kill_9").env("STOKER_CRASHES", args.kills.to_string()))?;
    host::say(&format!("crash: {} lives on the simulated disk", args.lives));
    let mut lives = test("store", "survives_any_life");
    lives.env("STOKER_SIM_LIVES", args.lives.to_string());
    lives.env("STOKER_SIM_SEED", args.seed.to_string());
    host::run(&mut lives)
}
