//! A host under load and at rest, second by second.

use super::*;

const SECOND: u64 = 1_000_000_000;

/// An agent whose CPU time follows from its frequency and from what the host does.
struct Host {
    governor: Governor,
    asked_hz: u32,
    second: u64,
    used_ns: u64,
    plan: Plan,
}

impl Host {
    fn new(budget: Budget, asked_hz: u32) -> Self {
        let plan = Plan { step: FrequencyStep(0), naming: true, rest: false, drop_caches: false };
        Self { governor: Governor::new(budget, asked_hz), asked_hz, second: 0, used_ns: 0, plan }
    }

    /// Runs for some seconds with this cost per sample and per second.
    fn run(&mut self, seconds: u64, ns_per_sample: u64, ns_per_second: u64) -> Vec<u32> {
        let mut frequencies = Vec::new();
        for _ in 0..seconds {
            let hz = if self.plan.rest { 0 } else { self.plan.step.of(self.asked_hz) };
            let other = if self.plan.rest { 0 } else { ns_per_second };
            self.used_ns += u64::from(hz) * ns_per_sample + other;
            let usage = Usage { agent_ns: self.used_ns, ..Usage::default() };
            self.second += 1;
            self.plan = self.governor.decide(self.second * SECOND, &usage);
            if frequencies.last() != Some(&hz) {
                frequencies.push(hz);
            }
        }
        frequencies
    }
}

fn cpu(percent: u32) -> Budget {
    Budget { cpu_percent: Some(percent), memory_bytes: None }
}

#[test]
fn expensive_samples_lower_the_frequency_and_calm_brings_it_back() {
    let mut host = Host::new(cpu(5), 99);
    // 2 ms a sample: 20 % of a core at 99 Hz, within 5 % at 24.
    assert_eq!(host.run(60, 2_000_000, 0), [99, 49, 24]);
    let calm = host.run(120, 100_000, 0);
    assert_eq!(calm, [24, 49, 99]);
}

#[test]
fn going_up_too_early_takes_longer_each_time() {
    let mut host = Host::new(cpu(5), 99);
    // Just calm enough at the lower step to try again, and too much at the higher one.
    host.run(30, 1_000_000, 0);
    let mut ups = 0;
    let mut before = host.plan.step;
    for _ in 0..600 {
        host.run(1, if host.plan.step.0 == 0 { 1_000_000 } else { 400_000 }, 0);
        ups += u32::from(host.plan.step.0 < before.0);
        before = host.plan.step;
    }
    assert!((2..=8).contains(&ups), "{ups}");
}

#[test]
fn what_no_frequency_helps_against_makes_sampling_rest() {
    let mut host = Host::new(cpu(5), 4);
    let steps = host.run(60, 0, SECOND / 2);
    assert_eq!(steps[..4], [4, 2, 1, 0]);
    let used = host.used_ns;
    host.run(1800, 0, SECOND / 2);
    let share = (host.used_ns - used) * 100 / (1800 * SECOND);
    assert!(share < 5, "{share} %");
}

#[test]
fn without_budgets_nothing_changes() {
    let mut host = Host::new(Budget::default(), 99);
    assert_eq!(host.run(100, 10_000_000, SECOND), [99]);
    assert!(host.plan.naming);
}

#[test]
fn memory_that_does_not_shrink_makes_sampling_rest() {
    let budget = Budget { cpu_percent: None, memory_bytes: Some(100) };
    let mut governor = Governor::new(budget, 19);
    let usage = Usage { resident_bytes: 101, ..Usage::default() };
    let plans: Vec<Plan> = (0..40).map(|at| governor.decide(at * SECOND, &usage)).collect();
    assert!(plans[0].drop_caches && !plans[0].naming && !plans[0].rest);
    assert!(plans[39].rest);
}

#[test]
fn steps_end_at_one_hertz() {
    assert_eq!(FrequencyStep(3).of(19), 2);
    assert_eq!(FrequencyStep(40).of(19), 1);
}
