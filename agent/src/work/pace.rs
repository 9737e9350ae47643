//! How fast an engine answers one request at a time, as its warm-up has shown.

use std::time::Duration;

use regatta_types::suite::Case;
use regatta_types::trace::RequestTrace;

/// Requests at the end of the engine warm-up that it is taken from.
const LAST: usize = 3;

/// Steers how streams begin; never a result.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pace {
    /// Seconds to the first token.
    ttft: f64,
    /// Seconds for each further one.
    token: f64,
}

impl Pace {
    /// The mean of the last requests that succeeded, at most three; `None` without any.
    pub(super) fn of(traces: &[RequestTrace]) -> Option<Self> {
        let paces = traces.iter().rev().filter(|trace| trace.is_ok()).filter_map(|trace| {
            let (ttft, e2e, tokens) = (trace.ttft()?, trace.e2e()?, trace.completion_tokens()?);
            let token = if tokens > 1.0 { (e2e - ttft) / (tokens - 1.0) } else { 0.0 };
            Some(Self { ttft, token })
        });
        let last: Vec<Self> = paces.take(LAST).collect();
        let n = last.len() as f64;
        (!last.is_empty()).then(|| Self {
            ttft: last.iter().map(|pace| pace.ttft).sum::<f64>() / n,
            token: last.iter().map(|pace| pace.token).sum::<f64>() / n,
        })
    }

    /// How long one answer of a case takes at this pace, with as many tokens as it may have on
    /// average. Never longer than a request may take.
    pub(super) fn answer(&self, case: &Case) -> Duration {
        let tokens = f64::midpoint(case.min_max_tokens.into(), case.max_tokens.into());
        let seconds = self.ttft + self.token * (tokens - 1.0).max(0.0);
        Duration::try_from_secs_f64(seconds).unwrap_or_default().min(case.timeouts.request)
    }
}
