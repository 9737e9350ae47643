//! One case on one host, and its cells.

use itertools::Itertools as _;
use regatta_types::attempt::AttemptReport;
use regatta_types::event::{MissingReason, SkipReason};
use regatta_types::facts::EngineFacts;
use regatta_types::ids::{AttemptNo, Repetition};
use regatta_types::suite::{Case, Length};
use regatta_types::time::MonoNs;
use regatta_types::trace::{Phase, RequestTrace};
use regatta_types::validity::{FindingCode, Validity};
use unicode_segmentation::UnicodeSegmentation as _;

use super::answers::Answers;
use super::host::Context;
use crate::absent::{Absent, Figure};
use crate::facts::{FactChange, engine_seen};
use crate::metrics::{
    AttemptFinding, AttemptInput, Distribution, Drift, EnergyFigures, EngineFigures, Figures,
    FindingEvidence, Goodput, GpuFigures, GpuSum, Idle, Requests, Steady, Thermals, Tokens,
    cpu_share, derived_findings, engine_figures, gpu_figures, is_streamed, measured,
};
use crate::sweep::SweepLevel;

/// Longest preview of an answer, in grapheme clusters.
const PREVIEW_MAX: usize = 400;

#[derive(Debug)]
pub struct CaseAnalysis<'a> {
    pub case: &'a Case,
    /// One entry per planned repetition, in order.
    pub cells: Vec<Cell<'a>>,
    /// How the measured requests of its counted attempts ended, invalid ones included.
    pub requests: Requests,
    /// Tokens of the same requests.
    pub tokens: Tokens,
    /// Over the usable cells.
    pub figures: Figures,
    /// The steady windows; only of loads.
    pub steady: Figure<Steady>,
    /// Requests that kept every limit; `None` where the case has none.
    pub goodput: Option<Goodput>,
    /// Prefill speed of each request, tokens per second; only with one stream.
    pub prefill_tps: Figure<Distribution>,
    /// Over the usable cells.
    pub gpus: Figure<Vec<GpuFigures>>,
    /// What the engine said over the usable cells.
    pub engine: Figure<EngineFigures>,
    /// Over the usable cells that have it.
    pub energy: Figure<EnergyFigures>,
    /// The warm-up requests of its counted attempts.
    pub warmup: Warmup,
    /// The hashes of its first answers.
    pub answers: Answers,
    /// The beginning of its first answer, if texts were kept.
    pub preview: Option<String>,
}

/// Warm-up requests of a case.
#[derive(Debug)]
pub struct Warmup {
    pub requests: usize,
    pub ok: usize,
    /// Median, seconds.
    pub ttft_s: Option<f64>,
}

#[derive(Debug)]
pub struct Cell<'a> {
    pub repetition: Repetition,
    pub state: CellState<'a>,
}

#[derive(Debug)]
pub enum CellState<'a> {
    Counted(Box<Counted>),
    /// Skipped, as the suite specifies.
    Skipped(&'a SkipReason),
    /// It ended without a counted attempt.
    Missing(&'a MissingReason),
    /// It never ended: the run is still open or was abandoned.
    Open,
}

/// A counted attempt.
#[derive(Debug)]
pub struct Counted {
    pub attempt: AttemptNo,
    /// The requested start, on the host's clock.
    pub planned_start: Option<MonoNs>,
    /// When its first measured request was released, on the same clock.
    pub began: MonoNs,
    /// From then to the end of its last response.
    pub seconds: f64,
    /// CPU time of the thread that measured, as a share of that time.
    pub cpu_share: Option<f64>,
    /// Over its measured requests.
    pub figures: Figures,
    pub steady: Figure<Steady>,
    /// How its decode speed changed.
    pub drift: Figure<Drift>,
    /// What the engine was, where that was not what it was at first, with the difference.
    pub other_engine: Option<Box<(EngineFacts, Vec<FactChange>)>>,
    /// What it says about saturation; only of the levels of a sweep, unless it decides nothing.
    pub level: Option<Box<SweepLevel>>,
    /// Energy of the endpoint's GPUs per output token, joules.
    pub j_per_out_tok: Option<f64>,
    /// How fast and how warm the endpoint's GPUs were.
    pub thermals: Thermals,
    /// The agent's findings and those derived from the traces.
    pub findings: Vec<AttemptFinding>,
}

impl Counted {
    pub(super) fn new(case: &Case, report: &AttemptReport, host: &Context<'_, '_>) -> Self {
        let traces: Vec<&RequestTrace> = measured(&report.traces).collect();
        let figures = Figures::of(traces.iter().copied());
        let drift = Drift::of(&traces);
        let mut findings: Vec<AttemptFinding> =
            report.findings.iter().map(AttemptFinding::from).collect();
        let judged =
            AttemptInput { case, report, traces: &traces, figures: &figures, drift: &drift };
        findings.extend(derived_findings(judged));
        let other_engine = engine_seen(host.engine, report);
        findings.extend(other_engine.as_ref().map(|(_, changes)| {
            let evidence = FindingEvidence::EngineChanged(changes.clone());
            AttemptFinding::new(FindingCode::EngineChanged, Validity::Invalid, evidence)
        }));
        findings.extend(host.cold.get(&report.key).cloned());
        // If the agent and this analysis report the same code, keep the worse finding.
        findings
            .sort_by(|a, b| (&a.code, b.validity, a.told()).cmp(&(&b.code, a.validity, b.told())));
        findings.dedup_by(|a, b| a.code == b.code);
        // What an idle host takes is no part of it.
        let energy = EnergyFigures::of(&[(report, &figures.tokens)], None);
        let invalid = findings.iter().filter(|f| f.validity == Validity::Invalid).map(|f| &f.code);
        let level = case.sweep.is_some().then(|| SweepLevel::of(&report.traces, invalid));
        Self {
            attempt: report.key.attempt,
            planned_start: report.planned_start,
            began: report.began,
            seconds: report.finished.since(report.began).as_secs_f64(),
            cpu_share: cpu_share(report),
            steady: Steady::of(&traces, &case.slo),
            other_engine: other_engine.map(|(engine, change)| Box::new((engine.clone(), change))),
            level: level.flatten().map(Box::new),
            thermals: Thermals::of(&report.gpu),
            j_per_out_tok: energy.ok().and_then(|energy| energy.j_per_out_tok),
            figures,
            drift,
            findings,
        }
    }

    pub fn validity(&self) -> Validity {
        self.findings.iter().map(|f| f.validity).max().unwrap_or(Validity::Valid)
    }

    /// Whether its figures may be used: valid or degraded.
    pub fn is_usable(&self) -> bool {
        self.validity() < Validity::Invalid
    }
}

impl Cell<'_> {
    /// The counted attempt, unless it is invalid.
    pub fn usable(&self) -> Option<&Counted> {
        self.counted().filter(|counted| counted.is_usable())
    }

    pub fn counted(&self) -> Option<&Counted> {
        match &self.state {
            CellState::Counted(counted) => Some(counted),
            CellState::Skipped(_) | CellState::Missing(_) | CellState::Open => None,
        }
    }
}

/// A cell with the report of its counted attempt.
pub(super) type Reported<'a, 'r> = (Cell<'a>, Option<&'r AttemptReport>);

impl<'a> CaseAnalysis<'a> {
    pub(super) fn new(case: &'a Case, cells: Vec<Reported<'a, '_>>, idle: Option<&Idle>) -> Self {
        let usable = cells.iter().filter_map(|(cell, report)| Some((cell.usable()?, (*report)?)));
        let usable: Vec<(&Counted, &AttemptReport)> = usable.collect();
        let energy: Vec<_> = usable.iter().map(|(c, r)| (*r, &c.figures.tokens)).collect();
        let counted = || cells.iter().filter_map(|(cell, _)| cell.counted()).map(|c| &c.figures);
        let of_usable = || usable.iter().flat_map(|(_, report)| measured(&report.traces));
        let preview = of_usable().find_map(|trace| trace.answer.text.as_deref());
        Self {
            case,
            requests: Requests::sum(counted().map(|figures| &figures.requests)),
            tokens: Tokens::sum(counted().map(|figures| &figures.tokens)),
            figures: Figures::sum(&usable.iter().map(|(c, _)| &c.figures).collect::<Vec<_>>()),
            steady: steady_of(case, &usable),
            goodput: Goodput::of(&case.slo, of_usable()),
            prefill_tps: prefill_of(case, of_usable()),
            gpus: gpus_over(usable.iter().map(|(_, report)| *report)),
            engine: engine_figures(usable.iter().map(|(_, report)| &report.engine.metrics)),
            energy: EnergyFigures::of(&energy, idle),
            warmup: Warmup::of(cells.iter().filter_map(|(_, report)| *report)),
            answers: Answers::of(&cells),
            preview: preview.map(shortened),
            cells: cells.into_iter().map(|(cell, _)| cell).collect(),
        }
    }

    /// System output for a watt of the endpoint's GPUs, tokens a second; only of loads.
    pub fn tps_per_watt(&self) -> Option<f64> {
        GpuSum::of(self.gpus.as_ref().ok()?).tps_per_watt(self.steady.as_ref().ok()?.output)
    }

    /// Whether `max_tokens` or the context cut answers that the model was to end (C7).
    pub fn is_cut(&self) -> bool {
        self.case.length == Length::Natural && self.figures.requests.truncated > 0
    }

    /// Why the first of its skipped cells was.
    pub fn skipped(&self) -> Option<&'a SkipReason> {
        self.cells.iter().find_map(|cell| match cell.state {
            CellState::Skipped(reason) => Some(reason),
            CellState::Counted(_) | CellState::Missing(_) | CellState::Open => None,
        })
    }
}

impl Warmup {
    fn of<'r>(reports: impl Iterator<Item = &'r AttemptReport>) -> Self {
        let traces = reports.flat_map(|report| &report.traces);
        let traces: Vec<&RequestTrace> = traces.filter(|t| t.phase == Phase::Warmup).collect();
        Self {
            requests: traces.len(),
            ok: traces.iter().filter(|trace| trace.is_ok()).count(),
            ttft_s: Distribution::new(traces.iter().filter_map(|t| t.ttft())).median(),
        }
    }
}

fn shortened(text: &str) -> String {
    let mut preview: String = text.graphemes(true).take(PREVIEW_MAX).collect();
    if preview.len() < text.len() {
        preview.push('…');
    }
    preview
}

/// Whether a case is one of load: several requests at once, or a level of a sweep.
pub fn is_load(case: &Case) -> bool {
    case.in_flight_max() > 1 || case.sweep.is_some()
}

/// The steady windows of all cells that have one.
fn steady_of(case: &Case, usable: &[(&Counted, &AttemptReport)]) -> Figure<Steady> {
    if !is_load(case) {
        return Err(Absent::OneStream);
    }
    let known = usable.iter().filter_map(|(c, _)| c.steady.clone().ok()).reduce(Steady::and);
    let absent = || usable.iter().find_map(|(c, _)| c.steady.clone().err());
    known.ok_or_else(|| absent().unwrap_or(Absent::NoUsableAttempt))
}

/// Prefill speeds: with several requests at once they would hold the time in the queue.
fn prefill_of<'r>(
    case: &Case,
    traces: impl Iterator<Item = &'r RequestTrace>,
) -> Figure<Distribution> {
    if case.concurrency() != Some(1) {
        return Err(Absent::SeveralRequestsAtOnce);
    }
    let streamed = traces.filter(|trace| is_streamed(trace));
    let speeds = Distribution::new(streamed.filter_map(RequestTrace::prefill_tps));
    if speeds.n() > 0 { Ok(speeds) } else { Err(Absent::ShortPrompts) }
}

/// The GPUs over attempts that may be in any order.
pub(super) fn gpus_over<'r>(
    reports: impl Iterator<Item = &'r AttemptReport>,
) -> Figure<Vec<GpuFigures>> {
    let reports = reports.sorted_by_key(|report| report.began);
    gpu_figures(&reports.map(|report| &report.gpu).collect::<Vec<_>>())
}
