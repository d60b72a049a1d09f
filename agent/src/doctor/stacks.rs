//! How well stacks are followed and named here: what a running agent has counted, or, where none can
//! be asked, a few seconds of sampling.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::Finding;
use super::rates::{COUNT_MIN, Rates};
use crate::guard::KillSwitch;
use crate::kernel::{OwnStart, preflight};
use crate::run::{AgentConfig, Recorder, RecorderConfig};

/// How long the running agent may take for each step of its answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// Bytes of its answer that are read.
const ANSWER_MAX: u64 = 1 << 20;
/// How long is sampled at least; the first second goes into compiling tables.
const SAMPLE_MIN: Duration = Duration::from_secs(3);
/// How long is sampled at most, where few stacks come: an idle host, or one so busy that the compiler
/// of tables, which gives way to everybody, does not get on.
const SAMPLE_MAX: Duration = Duration::from_secs(10);
/// How often: enough for a few hundred stacks on two busy CPUs.
const SAMPLE_HZ: u32 = 99;
/// Between two drains.
const STEP_EVERY: Duration = Duration::from_millis(100);
/// How long names are waited for.
const NAMES_PATIENCE: Duration = Duration::from_secs(2);

/// `running` is where the agent's metrics would be.
pub(super) fn examine(config: &AgentConfig, running: Option<SocketAddr>) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(address) = running {
        match ask(address) {
            Ok(metrics) => {
                let source = format!("the agent at {address}, since its start");
                return Rates::read(&metrics).findings(&source);
            }
            Err(error) => {
                findings.push(Finding::info("running agent", format!("{address}: {error}")));
            }
        }
    }
    findings.extend(sample(config));
    findings
}

/// The metrics of the agent that answers there.
fn ask(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_TIMEOUT)?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    stream.set_write_timeout(Some(ANSWER_TIMEOUT))?;
    let head = format!("GET /metrics HTTP/1.0\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(ANSWER_MAX).read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    match answer.split_once("\r\n\r\n") {
        Some((head, body)) if head.contains(" 200 ") && body.contains("stoker_agent_info") => {
            Ok(body.to_owned())
        }
        _ => Err(std::io::Error::other("what answers there is no agent")),
    }
}

fn sample(config: &AgentConfig) -> Vec<Finding> {
    let off = config.kill_switch.clone().is_some_and(|path| KillSwitch::at(path).is_on());
    // Why it cannot run has been said already.
    let cannot = preflight().into_iter().any(|check| check.outcome.is_err());
    if off || cannot {
        return vec![Finding::info("whole stacks", "unknown: sampling is off or cannot run here")];
    }
    let start = OwnStart::Now;
    let recording =
        RecorderConfig { frequency_hz: SAMPLE_HZ, pids: Vec::new(), start, detailed: false };
    let mut recorder = match Recorder::start(&recording) {
        Ok(recorder) => recorder,
        Err(error) => return vec![Finding::info("whole stacks", format!("unknown: {error}"))],
    };
    let start = Instant::now();
    loop {
        std::thread::sleep(STEP_EVERY);
        let enough = recorder.step().by_tables >= 2 * COUNT_MIN;
        if start.elapsed() >= SAMPLE_MAX || (enough && start.elapsed() >= SAMPLE_MIN) {
            break;
        }
    }
    let patience = Instant::now() + NAMES_PATIENCE;
    let recorded = recorder.finish(|| Instant::now() < patience);
    let source = format!("{} s of this whole host, just now", recorded.duration.as_secs());
    Rates::of(&recorded.unwind, &recorded.names).findings(&source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_agent_is_asked() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let answering = std::thread::spawn(move || {
            for body in ["stoker_agent_info 1\n", "hello"] {
                let (mut peer, _) = listener.accept().expect("a caller");
                let _ = peer.read(&mut [0; 512]);
                let _ = write!(peer, "HTTP/1.0 200 OK\r\n\r\n{body}");
            }
        });
        assert_eq!(ask(address).ok().as_deref(), Some("stoker_agent_info 1\n"));
        assert!(ask(address).is_err_and(|error| error.to_string().contains("no agent")));
        answering.join().expect("it answered");
        assert!(ask(address).is_err());
    }
}
