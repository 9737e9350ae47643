//! What a report shows of the engine warm-up before a run.

use itertools::Itertools as _;
use regatta_types::attempt::AttemptReport;
use regatta_types::event::Disposition;
use regatta_types::ids::AttemptNo;
use regatta_types::record::AttemptRecord;
use regatta_types::trace::{Outcome, RequestTrace};

use crate::metrics::{AttemptFinding, ColdStart, Figures, completion_tokens};

/// One engine warm-up, without its traces and readings.
#[derive(Debug)]
pub struct EngineWarmup {
    pub attempt: AttemptNo,
    pub findings: Vec<AttemptFinding>,
    /// Over its requests, all of which are warm-up.
    pub figures: Figures,
    /// In order.
    pub requests: Vec<EngineWarmupRequest>,
}

/// One request of an engine warm-up.
#[derive(Debug)]
pub struct EngineWarmupRequest {
    pub seq: u32,
    pub outcome: Outcome,
    pub ttft_s: Option<f64>,
    pub decode_tps: Option<f64>,
    pub e2e_s: Option<f64>,
    pub completion_tokens: Option<u64>,
}

/// The engine warm-ups of a host, in order of time, and what its first request cost.
pub(super) fn engine_warmups(attempts: &[AttemptRecord]) -> (Vec<EngineWarmup>, Option<ColdStart>) {
    let warmups = attempts.iter().filter(|a| a.disposition == Disposition::EngineWarmup);
    let mut reports = warmups.map(|a| &a.report).sorted_by_key(|report| report.began).peekable();
    let cold_start = reports.peek().and_then(|report| ColdStart::of(&report.traces));
    (reports.map(EngineWarmup::of).collect(), cold_start)
}

impl EngineWarmup {
    fn of(report: &AttemptReport) -> Self {
        let request = |trace: &RequestTrace| EngineWarmupRequest {
            seq: trace.seq,
            outcome: trace.outcome.clone(),
            ttft_s: trace.ttft(),
            decode_tps: trace.decode_tps(),
            e2e_s: trace.e2e(),
            completion_tokens: completion_tokens(trace),
        };
        let mut figures = Figures::of(&report.traces);
        figures.release();
        Self {
            attempt: report.key.attempt,
            findings: report.findings.iter().map(AttemptFinding::from).collect(),
            figures,
            requests: report.traces.iter().map(request).collect(),
        }
    }
}
