//! Remarks on an attempt that follow from its traces and readings, beside those its agent made of itself.
//!
//! Every code is in docs/reports.md, with what it does to the attempt and what to do about it.

mod answers;
mod gpus;
#[cfg(test)]
mod tests;

use regatta_types::attempt::AttemptReport;
use regatta_types::suite::{Case, Load, Ramp};
use regatta_types::trace::RequestTrace;
use regatta_types::units::grouped;
use regatta_types::validity::{Finding, FindingCode, Validity};

use super::{Drift, Figures};
use crate::absent::Figure;

/// A load level needs so many requests, or so much time.
const ENOUGH_REQUESTS: u32 = 20;
const ENOUGH_SECONDS: f64 = 30.0;

/// More failures than this share of the requests deserve a remark.
const ERROR_RATE: f64 = 0.01;

/// A counted attempt with what was made of it.
#[derive(Debug, Clone, Copy)]
pub struct AttemptInput<'a> {
    pub case: &'a Case,
    pub report: &'a AttemptReport,
    /// Its measured requests.
    pub traces: &'a [&'a RequestTrace],
    pub figures: &'a Figures,
    pub drift: &'a Figure<Drift>,
}

impl AttemptInput<'_> {
    /// Successes among its requests of which something holds.
    fn successes(&self, holds: impl Fn(&RequestTrace) -> bool) -> usize {
        self.traces.iter().filter(|trace| trace.is_ok() && holds(trace)).count()
    }
}

/// What an attempt says against itself.
pub fn derived_findings(judged: AttemptInput<'_>) -> Vec<Finding> {
    let checks: [fn(&AttemptInput<'_>) -> Option<Finding>; 14] = [
        no_ok_request,
        error_rate,
        too_few_samples,
        drifting,
        answers::buffered_stream,
        answers::empty_answers,
        answers::truncated,
        answers::length_not_fixed,
        answers::token_mismatch,
        answers::more_chunks_than_tokens,
        answers::cache_hits,
        answers::approximate_tokens,
        gpus::gpu_lost,
        gpus::gpu_shared,
    ];
    checks.into_iter().filter_map(|check| check(&judged)).collect()
}

/// CPU time of the thread that measured over the time it measured for.
pub fn cpu_share(report: &AttemptReport) -> Option<f64> {
    let seconds = report.finished.since(report.began).as_secs_f64();
    report.client_cpu.filter(|_| seconds > 0.0).map(|cpu| cpu.as_secs_f64() / seconds)
}

fn remark(code: FindingCode, validity: Validity, evidence: String, advice: &str) -> Finding {
    Finding { code, validity, evidence, advice: advice.to_owned() }
}

fn no_ok_request(judged: &AttemptInput<'_>) -> Option<Finding> {
    (judged.figures.requests.ok == 0).then(|| {
        let evidence = format!("0 of {} requests succeeded", judged.traces.len());
        remark(
            FindingCode::NoOkRequest,
            Validity::Invalid,
            evidence,
            "see the failures of this attempt",
        )
    })
}

/// Failures leave the figures of the successes as they are, but those are then the lucky ones.
fn error_rate(judged: &AttemptInput<'_>) -> Option<Finding> {
    let requests = &judged.figures.requests;
    let rate = requests.error_rate().filter(|&rate| rate > ERROR_RATE && requests.ok > 0)?;
    let kinds: Vec<String> = requests
        .failed
        .iter()
        .map(|(kind, n)| format!("{} {kind}", grouped(u64::from(*n))))
        .collect();
    let evidence = format!(
        "{} of {} requests failed ({:.1} %, bound 1 %): {}",
        grouped(u64::from(requests.failures())),
        grouped(u64::from(requests.failures() + requests.ok)),
        rate * 100.0,
        kinds.join(", ")
    );
    let advice = "see the failures; with less load they may go away";
    Some(remark(FindingCode::ErrorRate, Validity::Degraded, evidence, advice))
}

fn too_few_samples(judged: &AttemptInput<'_>) -> Option<Finding> {
    let is_level = match judged.case.load {
        Load::Closed { streams, .. } => streams > 1,
        Load::Open { .. } => true,
    };
    let ok = judged.figures.requests.ok;
    let seconds = judged.report.finished.since(judged.report.began).as_secs_f64();
    (is_level && ok > 0 && ok < ENOUGH_REQUESTS && seconds < ENOUGH_SECONDS).then(|| {
        let evidence = format!("{ok} requests in {seconds:.1} s");
        let advice = "give a load level at least 20 requests or 30 s (--requests, --duration)";
        remark(FindingCode::TooFewSamples, Validity::Degraded, evidence, advice)
    })
}

fn drifting(judged: &AttemptInput<'_>) -> Option<Finding> {
    let drift = judged.drift.as_ref().ok().filter(|drift| drift.is_drifting())?;
    let percent = |share: f64| share * 100.0;
    let evidence = format!(
        "decode speed changed by {:+.1} % from the first to the last quarter (99 % CI {:+.1} to {:+.1}), {:+.2} % a minute over {} requests",
        percent(drift.change),
        percent(drift.change_ci99.0),
        percent(drift.change_ci99.1),
        percent(drift.slope_per_minute),
        drift.requests
    );
    let (validity, advice) = if in_step(judged.case) {
        let advice = "streams that begin together and ask for equal lengths fall out of step: begin them one after another (--ramp), or let lengths vary";
        (Validity::Degraded, advice)
    } else {
        (
            Validity::Invalid,
            "look for heat, a power limit or other work on the host; warm up longer",
        )
    };
    Some(remark(FindingCode::Drifting, validity, evidence, advice))
}

/// Whether the load itself has no steady state: several streams begin at once and their answers are
/// equally long, so that all are read and all are written at the same time, until they no longer
/// are. Their speed changes with that, whatever the host does.
fn in_step(case: &Case) -> bool {
    match case.load {
        Load::Closed { streams, ramp: Ramp::None } => {
            streams > 1 && case.min_max_tokens == case.max_tokens
        }
        Load::Closed { ramp: Ramp::Service, .. } | Load::Open { .. } => false,
    }
}
