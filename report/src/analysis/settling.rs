//! What is told of the warm-up of an engine before a run.

use regatta_types::attempt::AttemptReport;
use regatta_types::event::Disposition;
use regatta_types::ids::AttemptNo;
use regatta_types::record::AttemptRecord;
use regatta_types::trace::{Outcome, RequestTrace};
use regatta_types::validity::Finding;

use crate::metrics::{ColdStart, Figures, completion_tokens};

/// One settling, without its traces and readings.
#[derive(Debug)]
pub(crate) struct Settling {
    pub(crate) attempt: AttemptNo,
    pub(crate) findings: Vec<Finding>,
    /// Over its requests, all of which are warm-up.
    pub(crate) figures: Figures,
    /// In order.
    pub(crate) requests: Vec<SettlingRequest>,
}

/// One request of a settling.
#[derive(Debug)]
pub(crate) struct SettlingRequest {
    pub(crate) seq: u32,
    pub(crate) outcome: Outcome,
    pub(crate) ttft_s: Option<f64>,
    pub(crate) decode_tps: Option<f64>,
    pub(crate) e2e_s: Option<f64>,
    pub(crate) completion_tokens: Option<u64>,
}

/// The settlings of a host, in order of time, and what its first request cost.
pub(super) fn settlings(attempts: &[AttemptRecord]) -> (Vec<Settling>, Option<ColdStart>) {
    let settling = attempts.iter().filter(|a| a.disposition == Disposition::EngineWarmup);
    let mut reports: Vec<&AttemptReport> = settling.map(|a| &a.report).collect();
    reports.sort_by_key(|report| report.began);
    let cold_start = reports.first().and_then(|report| ColdStart::of(&report.traces));
    (reports.into_iter().map(Settling::of).collect(), cold_start)
}

impl Settling {
    fn of(report: &AttemptReport) -> Self {
        let mut figures = Figures::of(&report.traces);
        figures.let_go();
        Self {
            attempt: report.key.attempt,
            findings: report.findings.clone(),
            figures,
            requests: report.traces.iter().map(SettlingRequest::of).collect(),
        }
    }
}

impl SettlingRequest {
    fn of(trace: &RequestTrace) -> Self {
        Self {
            seq: trace.seq,
            outcome: trace.outcome.clone(),
            ttft_s: trace.ttft(),
            decode_tps: trace.decode_tps(),
            e2e_s: trace.e2e(),
            completion_tokens: completion_tokens(trace),
        }
    }
}
