//! What the agent itself adds to the figures: measured at an endpoint in its own process.

use std::time::Duration;

use regatta_types::attempt::AttemptReport;
use regatta_types::trace::{Phase, RequestTrace};
use serde::Serialize;

use super::{Distribution, Figures, Weighted};

/// The null endpoint answers at once and then sends a token each 20 ms.
const GAP_S: f64 = 0.02;

/// More than this share of a host's own figure is a finding.
const NOTABLE: f64 = 0.01;

/// The client overhead of a host, at the highest load of the suite. Nothing is subtracted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClientOverhead {
    /// Streams that were measured with.
    pub streams: u32,
    /// How many requests succeeded.
    pub requests: usize,
    /// Time to first token, seconds; the endpoint's own is zero.
    pub ttft_s: Distribution,
    /// How far the gaps between chunks are from 20 ms, seconds.
    pub gap_error_s: Weighted,
    /// CPU of the measuring thread for each 1,000 tokens, seconds.
    pub cpu_s_per_1000_tokens: Option<f64>,
}

/// A figure of the overhead that is large beside the host's own.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NotableOverhead {
    pub what: &'static str,
    /// The overhead's median, seconds.
    pub overhead_s: f64,
    /// The host's median, seconds.
    pub own_s: f64,
}

impl ClientOverhead {
    /// From the attempt at the null endpoint; `None` if no request of it succeeded.
    pub fn of(report: &AttemptReport) -> Option<Self> {
        let warm = report.traces.iter().any(|trace| trace.phase == Phase::Measured);
        let counts = |t: &&RequestTrace| t.is_ok() && (!warm || t.phase == Phase::Measured);
        let ok = || report.traces.iter().filter(counts);
        let streams = report.traces.iter().map(|trace| trace.stream).max()? + 1;
        let error = |gap: Duration| ((gap.as_secs_f64() - GAP_S).abs(), 1.0);
        let tokens: f64 = report.traces.iter().filter_map(RequestTrace::completion_tokens).sum();
        let cpu = report.client_cpu.filter(|_| tokens > 0.0);
        (ok().count() > 0).then(|| Self {
            streams,
            requests: ok().count(),
            ttft_s: Distribution::new(ok().filter_map(RequestTrace::ttft)),
            gap_error_s: Weighted::of(ok().flat_map(RequestTrace::chunk_gaps).map(error).collect()),
            cpu_s_per_1000_tokens: cpu.map(|cpu| cpu.as_secs_f64() / tokens * 1e3),
        })
    }

    /// What exceeds 1 % of the host's own medians: of the time to first token and of the time
    /// between tokens.
    pub fn notable(&self, own: &Figures) -> impl Iterator<Item = NotableOverhead> + use<> {
        let pairs = [
            ("time to first token", self.ttft_s.median(), own.ttft_s.median()),
            ("time between tokens", self.gap_error_s.p50, own.inter_token_s.p50),
        ];
        pairs.into_iter().filter_map(|(what, floor, own)| {
            let (overhead_s, own_s) = floor.zip(own)?;
            (overhead_s > NOTABLE * own_s).then_some(NotableOverhead { what, overhead_s, own_s })
        })
    }
}
