//! Findings about an attempt, from its traces and readings, in addition to those of its agent.
//!
//! docs/reports.md lists every code, its effect on the attempt and what to do about it.

mod answers;
mod busy;
mod evidence;
mod streams;
#[cfg(test)]
mod tests;

use regatta_types::attempt::AttemptReport;
use regatta_types::gpu::{FOREIGN_HELD, GpuProcess, ProcessOwner};
use regatta_types::suite::{Case, Load, Ramp};
use regatta_types::trace::RequestTrace;
use regatta_types::validity::{FindingCode, Validity};

pub use evidence::{AttemptFinding, FindingEvidence, Fit, Share, SharedBy};

use super::gpu::growth;
use super::{Drift, Figures, count, serving};
use crate::absent::Figure;

/// A load level needs this many requests, or this much time.
const ENOUGH_REQUESTS: u32 = 20;
const ENOUGH_SECONDS: f64 = 30.0;

/// More failures than this share of the requests are a finding.
const ERROR_RATE: f64 = 0.01;

/// A foreign process that takes more than this during an attempt works beside the engine.
const TAKEN: u64 = 64 << 20;

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
    /// The number of these successes, if any.
    fn of_successes(&self, n: u32) -> Option<Share> {
        (n > 0).then_some(Share { n, of: self.figures.requests.ok })
    }

    /// The successes of which something holds, if any.
    fn successes(&self, holds: impl Fn(&RequestTrace) -> bool) -> Option<Share> {
        let holding = self.traces.iter().filter(|trace| trace.is_ok() && holds(trace));
        self.of_successes(count(holding.count()))
    }
}

/// What an attempt says against itself.
pub fn derived_findings(judged: AttemptInput<'_>) -> Vec<AttemptFinding> {
    let checks: [fn(&AttemptInput<'_>) -> Option<AttemptFinding>; 22] = [
        no_ok_request,
        error_rate,
        too_few_samples,
        drifting,
        busy::engine_busy,
        streams::buffered_stream,
        streams::coalesced_stream,
        streams::low_overlap,
        streams::mixed_engines,
        answers::empty_answers,
        answers::truncated,
        answers::length_not_fixed,
        answers::token_mismatch,
        answers::more_chunks_than_tokens,
        answers::cache_hits,
        answers::usage_beyond_limit,
        answers::hidden_tokens,
        answers::inline_reasoning,
        answers::prompt_tokens_off,
        answers::approximate_tokens,
        gpu_lost,
        gpu_shared,
    ];
    checks.into_iter().filter_map(|check| check(&judged)).collect()
}

/// CPU time of the thread that measured over the time it measured for.
pub fn cpu_share(report: &AttemptReport) -> Option<f64> {
    let seconds = report.finished.since(report.began).as_secs_f64();
    report.client_cpu.filter(|_| seconds > 0.0).map(|cpu| cpu.as_secs_f64() / seconds)
}

fn degraded(code: FindingCode, evidence: FindingEvidence) -> AttemptFinding {
    AttemptFinding::new(code, Validity::Degraded, evidence)
}

fn no_ok_request(judged: &AttemptInput<'_>) -> Option<AttemptFinding> {
    let evidence = FindingEvidence::NoOkRequest { requests: judged.traces.len() };
    let finding = AttemptFinding::new(FindingCode::NoOkRequest, Validity::Invalid, evidence);
    (judged.figures.requests.ok == 0).then_some(finding)
}

/// Failures leave the figures of the successes as they are, but those are then the lucky ones.
fn error_rate(judged: &AttemptInput<'_>) -> Option<AttemptFinding> {
    let requests = &judged.figures.requests;
    requests.error_rate().filter(|&rate| rate > ERROR_RATE && requests.ok > 0)?;
    let evidence = FindingEvidence::ErrorRate { failed: requests.failed.clone(), ok: requests.ok };
    Some(degraded(FindingCode::ErrorRate, evidence))
}

fn too_few_samples(judged: &AttemptInput<'_>) -> Option<AttemptFinding> {
    let is_level = match judged.case.load {
        Load::Closed { streams, .. } => streams > 1,
        Load::Open { .. } => true,
    };
    let ok = judged.figures.requests.ok;
    let seconds = judged.report.finished.since(judged.report.began).as_secs_f64();
    let few = is_level && ok > 0 && ok < ENOUGH_REQUESTS && seconds < ENOUGH_SECONDS;
    let evidence = FindingEvidence::TooFewSamples { ok, seconds };
    few.then(|| degraded(FindingCode::TooFewSamples, evidence))
}

fn drifting(judged: &AttemptInput<'_>) -> Option<AttemptFinding> {
    let drift = *judged.drift.as_ref().ok().filter(|drift| drift.is_drifting())?;
    let in_step = in_step(judged.case);
    let validity = if in_step { Validity::Degraded } else { Validity::Invalid };
    let evidence = FindingEvidence::Drifting { drift, in_step };
    Some(AttemptFinding::new(FindingCode::Drifting, validity, evidence))
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

/// A GPU fell off the bus: what it did afterwards is unknown.
fn gpu_lost(judged: &AttemptInput<'_>) -> Option<AttemptFinding> {
    let report = judged.report;
    let series = serving(&report.gpu).find(|s| s.ended.is_some())?;
    let end = series.ended.as_ref()?;
    let after = || end.at.since(report.began).as_secs_f64();
    let evidence = FindingEvidence::GpuLost {
        uuid: series.uuid.clone(),
        reason: end.reason.clone(),
        after_s: (end.at > report.began).then(after),
    };
    Some(degraded(FindingCode::GpuLost, evidence))
}

/// Another process on the engine's GPUs.
fn gpu_shared(judged: &AttemptInput<'_>) -> Option<AttemptFinding> {
    let began = judged.report.began;
    let foreign = || {
        let processes = serving(&judged.report.gpu).flat_map(|series| &series.processes);
        processes.filter(|process| process.owner == ProcessOwner::Foreign)
    };
    let shared = |process: &GpuProcess, memory, taken| {
        let (pid, name) = (process.pid, process.name.clone());
        let validity = if taken { Validity::Invalid } else { Validity::Degraded };
        let evidence = FindingEvidence::GpuShared { pid, name, memory, taken };
        AttemptFinding::new(FindingCode::GpuShared, validity, evidence)
    };
    let took = |process| Some((process, growth(process, began))).filter(|(_, n)| n.0 >= TAKEN);
    if let Some((process, taken)) = foreign().find_map(took) {
        return Some(shared(process, taken, true));
    }
    foreign().find_map(|process| {
        let held = process.memory.iter().filter_map(|memory| memory.used).max();
        Some(shared(process, held.filter(|held| *held >= FOREIGN_HELD)?, false))
    })
}
