//! Heartbeats, in a separate task so that nothing delays them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use rand::RngExt as _;
use regatta_types::assignment::Lease;
use regatta_wire::frame::{AgentFrame, AgentPhase, Counters, GpuReading, Heartbeat};
use regatta_wire::v1;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::gpu::GpuHandle;
use crate::work::{Activity, Progress};

/// Averaging window of the output speed.
const SPEED_WINDOW: Duration = Duration::from_secs(3);
/// Relative jitter of the interval, to spread the heartbeats of a fleet.
const JITTER: f64 = 0.2;

/// Content of the heartbeats.
#[derive(Debug, Clone)]
pub(super) struct Now {
    /// The current attempt.
    pub(super) lease: Option<Lease>,
    /// Activity outside of attempts.
    pub(super) phase: AgentPhase,
    pub(super) progress: Option<Arc<Progress>>,
}

/// Sends heartbeats until the session's channel closes.
pub(super) async fn beat(
    up: mpsc::Sender<v1::AgentFrame>,
    interval: Duration,
    now: watch::Receiver<Now>,
    gpu: Arc<GpuHandle>,
) {
    let mut speed = Speed::default();
    let mut attempt = None;
    loop {
        let stretch = rand::rng().random_range(1.0 - JITTER..=1.0 + JITTER);
        tokio::select! {
            () = tokio::time::sleep(interval.mul_f64(stretch)) => {}
            () = up.closed() => return,
        }
        let now = now.borrow().clone();
        if attempt != now.lease {
            // The counters begin again with each attempt.
            attempt = now.lease;
            speed = Speed::default();
        }
        let mut counters = Counters::default();
        let mut phase = now.phase;
        if let Some(seen) = now.progress.as_ref().map(|progress| progress.snapshot()) {
            counters.done = seen.done.saturating_sub(seen.failed);
            counters.failed = seen.failed;
            let chunks = speed.take(Instant::now(), seen.chunks);
            counters.tokens_per_second = chunks.map(|rate| rate * seen.tokens_per_chunk);
            phase = phase_of(seen.activity);
        }
        let gpus =
            gpu.latest().into_iter().map(|(uuid, sample)| GpuReading { uuid, sample }).collect();
        let frame = Heartbeat { counters, phase, gpus };
        if up.send(AgentFrame::Heartbeat(frame).into()).await.is_err() {
            return;
        }
    }
}

fn phase_of(activity: Activity) -> AgentPhase {
    match activity {
        Activity::Idle => AgentPhase::Idle,
        Activity::EngineWarmup => AgentPhase::EngineWarmup,
        Activity::WarmingUp | Activity::Waiting => AgentPhase::Waiting,
        Activity::Measuring => AgentPhase::Measuring,
    }
}

/// Output speed from a running count.
#[derive(Debug, Default)]
struct Speed {
    seen: VecDeque<(Instant, u64)>,
}

impl Speed {
    fn take(&mut self, now: Instant, count: u64) -> Option<f64> {
        self.seen.push_back((now, count));
        while self.seen.len() > 2
            && self.seen.front().is_some_and(|&(at, _)| now - at > SPEED_WINDOW)
        {
            self.seen.pop_front();
        }
        let &(at, first) = self.seen.front()?;
        let seconds = (now - at).as_secs_f64();
        // A count of chunks over seconds: exact far beyond any display.
        (seconds > 0.1).then(|| count.saturating_sub(first) as f64 / seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speed_is_that_of_the_last_seconds() {
        let start = Instant::now();
        let mut speed = Speed::default();
        assert_eq!(speed.take(start, 0), None);
        let at = |s| start + Duration::from_secs(s);
        assert_eq!(speed.take(at(1), 50), Some(50.0));
        speed.take(at(2), 100);
        speed.take(at(3), 200);
        assert_eq!(speed.take(at(4), 350), Some(100.0));
    }
}
