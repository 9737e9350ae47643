//! Watches the engine during an attempt: its facts before and after, and its own metrics once a
//! second. Uses the agent's own threads and separate connections, never the measured ones.

use std::time::Duration;

use regatta_types::engine::{EngineSample, EngineWatch, EngineWindow};
use regatta_types::facts::EngineFacts;
use regatta_types::reading::Reading;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use tokio_util::sync::CancellationToken;

use crate::endpoint::Endpoint;

const PERIOD: Duration = Duration::from_secs(1);
/// [`PERIOD`] in milliseconds.
const PERIOD_MS: u32 = 1_000;
/// Longest that a report waits for the queries after its last request.
const AFTER: Duration = Duration::from_secs(6);
/// Samples to keep: one day. Later ones are dropped, except the last.
const SAMPLES: usize = 86_400;

/// The watch over one attempt; dropped, it ends.
#[derive(Debug)]
pub(super) struct Watch {
    over: CancellationToken,
    task: JoinSet<EngineWatch>,
}

impl Watch {
    /// Begins at once.
    pub(super) fn begin(endpoint: &Endpoint) -> Self {
        let over = CancellationToken::new();
        let mut task = JoinSet::new();
        task.spawn(watch(endpoint.clone(), over.clone()));
        Self { over, task }
    }

    /// The attempt has ended: what was seen. Takes a few milliseconds, with an engine that does not
    /// answer [`AFTER`].
    pub(super) async fn end(mut self) -> EngineWatch {
        self.over.cancel();
        match self.task.join_next().await {
            Some(Ok(watch)) => watch,
            Some(Err(_)) | None => EngineWatch::missing("internal error in the agent"),
        }
    }
}

async fn watch(endpoint: Endpoint, over: CancellationToken) -> EngineWatch {
    let mut metrics = Metrics::default();
    let first = async {
        metrics.ask(&endpoint).await;
        endpoint.facts_now().await
    };
    let before = tokio::select! {
        biased;
        before = first => before,
        () = over.cancelled() => Reading::missing("no answer before the end of the attempt"),
    };
    if metrics.is_told() {
        let mut ticks = interval_at(Instant::now() + PERIOD, PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = over.cancelled() => break,
                _ = ticks.tick() => {}
            }
            metrics.ask(&endpoint).await;
        }
    } else {
        over.cancelled().await;
    }
    let last = async {
        metrics.ask(&endpoint).await;
        endpoint.facts_now().await
    };
    let after: Reading<EngineFacts> = timeout(AFTER, last)
        .await
        .unwrap_or_else(|_| Reading::missing(format!("no answer within {AFTER:?}")));
    EngineWatch { before, after, metrics: metrics.window() }
}

/// What the engine has reported so far.
#[derive(Debug, Default)]
struct Metrics {
    samples: Vec<EngineSample>,
    failed: u32,
    why: Option<String>,
}

impl Metrics {
    async fn ask(&mut self, endpoint: &Endpoint) {
        match endpoint.metrics_now().await {
            Ok(sample) if self.samples.len() < SAMPLES => self.samples.push(sample),
            Ok(sample) => {
                self.samples.pop();
                self.samples.push(sample);
            }
            Err(why) => {
                self.failed = self.failed.saturating_add(1);
                self.why = Some(why);
            }
        }
    }

    /// Whether it is worth asking on.
    fn is_told(&self) -> bool {
        !self.samples.is_empty()
    }

    fn window(self) -> EngineWindow {
        let samples = if self.samples.is_empty() {
            Reading::missing(self.why.unwrap_or_else(|| "not requested from the engine".to_owned()))
        } else {
            Reading::Known(self.samples)
        };
        EngineWindow { samples, period_ms: PERIOD_MS, failed: self.failed }
    }
}
