//! Once a second: what the agent uses, what it may use, and what follows.

use super::config::LiveConfig;
use super::sampling::{Off, Rate};
use super::status::Guarded;
use crate::guard::{Governor, KillSwitch, Meter, Plan, Usage};

/// Readings, budgets and the kill switch.
#[derive(Debug)]
pub(super) struct Governing {
    governor: Governor,
    meter: Meter,
    kill_switch: Option<KillSwitch>,
    killed: bool,
    asked_hz: u32,
    pub(super) usage: Usage,
    pub(super) plan: Option<Plan>,
    pub(super) guarded: Guarded,
}

impl Governing {
    pub(super) fn new(live: &LiveConfig, kill_switch: Option<KillSwitch>) -> Self {
        let killed = kill_switch.as_ref().is_some_and(KillSwitch::is_on);
        Self {
            governor: Governor::new(live.budget, live.frequency_hz),
            meter: Meter::default(),
            kill_switch,
            killed,
            asked_hz: live.frequency_hz,
            usage: Usage::default(),
            plan: None,
            guarded: Guarded { kill_switch_offs: u64::from(killed), ..Guarded::default() },
        }
    }

    /// Starts anew with other settings.
    pub(super) fn reload(&mut self, live: &LiveConfig) {
        self.governor = Governor::new(live.budget, live.frequency_hz);
        self.asked_hz = live.frequency_hz;
        self.plan = None;
        self.guarded.reloads += 1;
    }

    pub(super) fn governor(&self) -> &Governor {
        &self.governor
    }

    /// How often to sample now.
    pub(super) fn rate(&self) -> Rate {
        match self.plan {
            _ if self.killed => Rate::Off(Off::KillSwitch),
            Some(plan) if plan.rest => Rate::Off(Off::Budget),
            Some(plan) => Rate::Hz(plan.step.of(self.asked_hz)),
            None => Rate::Hz(self.asked_hz),
        }
    }

    pub(super) fn asked_hz(&self) -> u32 {
        self.asked_hz
    }

    /// Looks at everything; the plan is that of this second.
    pub(super) fn look(&mut self, worker: Option<u32>, kernel: (Option<u64>, u64)) -> Plan {
        let before = std::mem::replace(
            &mut self.killed,
            self.kill_switch.as_ref().is_some_and(KillSwitch::is_on),
        );
        self.guarded.kill_switch_offs += u64::from(self.killed && !before);
        self.usage = self.meter.read(worker, kernel.0, kernel.1);
        let plan = self.governor.decide(now_ns(), &self.usage);
        let last = self.plan.replace(plan);
        self.note(last, plan);
        plan
    }

    fn note(&mut self, last: Option<Plan>, plan: Plan) {
        let guarded = &mut self.guarded;
        let last = last.unwrap_or(Plan { naming: true, rest: false, ..plan });
        guarded.frequency_lowered += u64::from(plan.step.0 > last.step.0);
        guarded.frequency_raised += u64::from(plan.step.0 < last.step.0);
        guarded.caches_dropped += u64::from(plan.drop_caches);
        guarded.rests += u64::from(plan.rest && !last.rest);
        if plan.naming != last.naming {
            guarded.naming_paused += u64::from(!plan.naming);
            let memory_mib = self.usage.memory_bytes() >> 20;
            tracing::info!(naming = plan.naming, memory_mib, "names wait while over budget");
        }
    }
}

fn now_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    seconds * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}
