//! What an engine says of itself around and during an attempt.

use serde::{Deserialize, Serialize};

use crate::facts::EngineFacts;
use crate::reading::Reading;
use crate::time::MonoNs;

/// What was seen of the engine around and during one attempt. The default is an agent that did not
/// look.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EngineWatch {
    /// What it was when the attempt began.
    pub before: Reading<EngineFacts>,
    /// What it was when the attempt had ended.
    pub after: Reading<EngineFacts>,
    /// Its own metrics.
    pub metrics: EngineWindow,
}

impl Default for EngineWatch {
    fn default() -> Self {
        Self {
            before: Reading::untold(),
            after: Reading::untold(),
            metrics: EngineWindow { samples: Reading::untold(), period_ms: 0, failed: 0 },
        }
    }
}

impl EngineWatch {
    /// Not watched, with the reason.
    #[must_use]
    pub fn missing(reason: &str) -> Self {
        Self {
            before: Reading::missing(reason),
            after: Reading::missing(reason),
            metrics: EngineWindow::missing(reason),
        }
    }
}

/// An engine's own metrics over one attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EngineWindow {
    /// In order of time: the first as the attempt began, the last after its last request, or why
    /// there are none.
    pub samples: Reading<Vec<EngineSample>>,
    /// Nominal time between samples, milliseconds.
    pub period_ms: u32,
    /// Times that the engine was asked and did not answer.
    pub failed: u32,
}

impl EngineWindow {
    /// No metrics, with the reason.
    #[must_use]
    pub fn missing(reason: impl Into<String>) -> Self {
        Self { samples: Reading::missing(reason), period_ms: 0, failed: 0 }
    }
}

/// One reading of an engine's metrics. `None`: not reported by the engine.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct EngineSample {
    /// When the answer was there, agent's clock.
    pub at: MonoNs,
    /// Requests it works on.
    pub running: Option<f64>,
    /// Requests that wait for their turn.
    pub waiting: Option<f64>,
    /// Share of the KV cache in use, 0 to 1; of several engines behind one endpoint the highest.
    pub kv_use: Option<f64>,
    /// Prompt tokens that were looked up in the prefix cache, since the engine's start.
    pub prefix_queries: Option<f64>,
    /// Those that were found there.
    pub prefix_hits: Option<f64>,
    /// Requests that were put back to make room, since the engine's start.
    pub preemptions: Option<f64>,
    /// Seconds that requests waited for their turn, summed since the engine's start.
    pub queue_s: Option<f64>,
    /// Requests in that sum.
    pub queued: Option<f64>,
    /// Tokens drafted ahead, since the engine's start.
    pub drafted: Option<f64>,
    /// Those that were accepted.
    pub accepted: Option<f64>,
}
