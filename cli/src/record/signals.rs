//! Ctrl-C and `kill` end a recording, they do not end us.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use tokio::signal::unix::{SignalKind, signal};

use crate::failure::Failure;

/// What was caught so far, on a thread of its own.
#[derive(Debug, Clone, Default)]
pub struct Signals {
    caught: Arc<AtomicU32>,
    terminated: Arc<AtomicBool>,
}

impl Signals {
    /// Catches SIGINT and SIGTERM from now on.
    pub fn catch() -> Result<Self, Failure> {
        let failed = |error: std::io::Error| Failure::new(format!("cannot start: {error}"), "");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(failed)?;
        let entered = runtime.enter();
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        drop(entered);
        let signals = Self::default();
        let told = signals.clone();
        let listen = async move {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => told.terminated.store(true, Ordering::Release),
                }
                told.caught.fetch_add(1, Ordering::AcqRel);
            }
        };
        let thread = std::thread::Builder::new().name("signals".to_owned());
        thread.spawn(move || runtime.block_on(listen)).map_err(failed)?;
        Ok(signals)
    }

    /// How many signals came.
    pub fn caught(&self) -> u32 {
        self.caught.load(Ordering::Acquire)
    }

    /// Whether one of them was SIGTERM, which a terminal does not send to the command as well.
    pub fn terminated(&self) -> bool {
        self.terminated.load(Ordering::Acquire)
    }
}
