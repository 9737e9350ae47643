//! One run, sorted and worked out: what every file of a report is written from.
//!
//! The main type is [`Analysis`]. It puts the record in order by itself, so that the order of the
//! rows in a store never shows, and computes each figure once. It formats nothing.

mod endings;

use std::collections::{BTreeMap, BTreeSet};

use regatta_types::attempt::AttemptReport;
use regatta_types::event::{Disposition, MissingReason, SkipReason};
use regatta_types::facts::EngineFacts;
use regatta_types::ids::{AttemptKey, CaseId, CellKey, HostId, Repetition};
use regatta_types::reading::Reading;
use regatta_types::record::{AttemptRecord, ExpectedHosts, HostRecord, RunRecord};
use regatta_types::suite::{Case, Load};
use regatta_types::trace::{Phase, RequestTrace};
use regatta_types::validity::{Finding, Validity};

use crate::compare::{ClassReport, Later, compare_classes, engine_changed, first_engine, later};
use crate::completeness::{Cells, Completeness, left_out};
use crate::levels::{SweepEnd, sweeps};
use crate::metrics::{
    ColdStart, Distribution, Drift, EnergyFigures, Figures, Floor, Goodput, GpuFigures, Idle,
    Judged, Notable, Requests, Stamps, Steady, Tokens, cold_first_attempt, derived_findings,
    gpu_figures, is_streamed,
};
use crate::start::{StartReport, start_report};

pub(crate) use endings::Endings;

/// A run, worked out.
#[derive(Debug)]
pub(crate) struct Analysis<'a> {
    pub(crate) record: &'a RunRecord,
    /// Every host that is known by name, sorted.
    pub(crate) hosts: Vec<HostAnalysis<'a>>,
    /// Hosts by comparability class, with the verdicts of each.
    pub(crate) classes: Vec<ClassReport>,
    /// Cells of another class than their host, as its engine was changed during the run.
    pub(crate) later: Vec<Later>,
    /// How closely the hosts started.
    pub(crate) start: StartReport,
    /// Cells by what became of them.
    pub(crate) cells: Cells,
}

/// One host of a run.
#[derive(Debug)]
pub(crate) struct HostAnalysis<'a> {
    pub(crate) host: &'a HostId,
    /// `None` for a host that was expected by name and never joined.
    pub(crate) record: Option<&'a HostRecord>,
    /// What its engine was at the beginning of the run.
    pub(crate) engine: Option<&'a EngineFacts>,
    /// Every stored attempt, settling included, sorted.
    pub(crate) attempts: Vec<&'a AttemptRecord>,
    /// One entry per case, in the order of the suite.
    pub(crate) cases: Vec<CaseAnalysis<'a>>,
    /// How the measured requests of all counted attempts ended, invalid ones included.
    pub(crate) requests: Requests,
    /// Tokens of the same requests.
    pub(crate) tokens: Tokens,
    /// Over all usable cells.
    pub(crate) figures: Figures,
    /// Over all usable cells; the baseline is from before the host's first attempt.
    pub(crate) gpus: Reading<Vec<GpuFigures>>,
    /// Power of the endpoint's GPUs at rest.
    pub(crate) idle: Reading<Idle>,
    /// The first request of the run.
    pub(crate) cold_start: Option<ColdStart>,
    /// How well its stamps are known, over all usable cells.
    pub(crate) stamps: Stamps,
    /// What its agent adds; `None` where that was not measured.
    pub(crate) floor: Option<Floor>,
    /// Where its sweeps ended.
    pub(crate) sweeps: Vec<SweepEnd<'a>>,
}

/// One case on one host.
#[derive(Debug)]
pub(crate) struct CaseAnalysis<'a> {
    pub(crate) case: &'a Case,
    /// One entry per planned repetition, in order.
    pub(crate) cells: Vec<Cell<'a>>,
    /// How the measured requests of its counted attempts ended, invalid ones included.
    pub(crate) requests: Requests,
    /// Tokens of the same requests.
    pub(crate) tokens: Tokens,
    /// Over the usable cells.
    pub(crate) figures: Figures,
    /// The steady windows; only of loads.
    pub(crate) steady: Reading<Steady>,
    /// Requests that kept every limit; `None` where the case has none.
    pub(crate) goodput: Option<Goodput>,
    /// Prefill speed of each request, tokens per second; only with one stream.
    pub(crate) prefill_tps: Reading<Distribution>,
    /// Over the usable cells.
    pub(crate) gpus: Reading<Vec<GpuFigures>>,
    /// Over the usable cells that have it.
    pub(crate) energy: Reading<EnergyFigures>,
}

/// One planned cell.
#[derive(Debug)]
pub(crate) struct Cell<'a> {
    pub(crate) repetition: Repetition,
    pub(crate) state: CellState<'a>,
}

/// What became of a cell.
#[derive(Debug)]
pub(crate) enum CellState<'a> {
    /// It has its counted attempt.
    Counted(Box<Counted<'a>>),
    /// It was left out, as the suite wants it.
    Skipped(&'a SkipReason),
    /// It ended without one.
    Missing(&'a MissingReason),
    /// It never ended: the run is still open or was abandoned.
    Open,
}

/// A counted attempt.
#[derive(Debug)]
pub(crate) struct Counted<'a> {
    pub(crate) report: &'a AttemptReport,
    /// Over its measured requests.
    pub(crate) figures: Figures,
    /// Its steady window.
    pub(crate) steady: Reading<Steady>,
    /// How its decode speed changed.
    pub(crate) drift: Reading<Drift>,
    /// Energy of the endpoint's GPUs per output token, joules.
    pub(crate) j_per_out_tok: Option<f64>,
    /// The agent's remarks and those that follow from the traces.
    pub(crate) findings: Vec<Finding>,
}

impl<'a> Counted<'a> {
    fn new(case: &Case, report: &'a AttemptReport, host: &Without<'_>) -> Self {
        let traces: Vec<&RequestTrace> = measured(report).collect();
        let figures = Figures::of(traces.iter().copied());
        let drift = Drift::of(&traces);
        let mut findings = report.findings.clone();
        let judged = Judged { case, report, traces: &traces, figures: &figures, drift: &drift };
        findings.extend(derived_findings(judged));
        findings.extend(engine_changed(host.engine, report));
        let cold = host.cold.as_ref().filter(|(key, _)| **key == report.key);
        findings.extend(cold.map(|(_, finding)| finding.clone()));
        // Of two remarks with one code, the agent's and ours, the worse stays.
        findings.sort_by(|a, b| {
            (&a.code, b.validity, &a.evidence).cmp(&(&b.code, a.validity, &b.evidence))
        });
        findings.dedup_by(|a, b| a.code == b.code);
        // What an idle host takes is no part of it.
        let energy = EnergyFigures::of(&[(report, &figures.tokens)], &Reading::missing("apart"));
        let j_per_out_tok = energy.known().and_then(|energy| energy.j_per_out_tok);
        let steady = Steady::of(&traces, &case.slo);
        Self { report, steady, figures, drift, j_per_out_tok, findings }
    }

    pub(crate) fn validity(&self) -> Validity {
        self.findings.iter().map(|f| f.validity).max().unwrap_or(Validity::Valid)
    }

    /// Whether its figures may be used: valid or degraded.
    pub(crate) fn is_usable(&self) -> bool {
        self.validity() < Validity::Invalid
    }
}

impl<'a> Cell<'a> {
    /// The counted attempt, unless it is invalid.
    pub(crate) fn usable(&self) -> Option<&Counted<'a>> {
        self.counted().filter(|counted| counted.is_usable())
    }

    pub(crate) fn counted(&self) -> Option<&Counted<'a>> {
        match &self.state {
            CellState::Counted(counted) => Some(counted),
            CellState::Skipped(_) | CellState::Missing(_) | CellState::Open => None,
        }
    }
}

impl<'a> CaseAnalysis<'a> {
    fn new(case: &'a Case, cells: Vec<Cell<'a>>, idle: &Reading<Idle>) -> Self {
        let usable: Vec<&Counted<'a>> = cells.iter().filter_map(Cell::usable).collect();
        let figures = Figures::sum(&usable.iter().map(|c| &c.figures).collect::<Vec<_>>());
        let mut windows: Vec<&AttemptReport> = usable.iter().map(|c| c.report).collect();
        windows.sort_by_key(|report| report.began);
        let windows: Vec<_> = windows.into_iter().map(|report| &report.gpu).collect();
        let steady = steady_of(case, &usable);
        let prefill_tps = prefill_of(case, &usable);
        let gpus = gpu_figures(&windows);
        let energy: Vec<_> = usable.iter().map(|c| (c.report, &c.figures.tokens)).collect();
        let energy = EnergyFigures::of(&energy, idle);
        let counted = || cells.iter().filter_map(Cell::counted).map(|c| &c.figures);
        let requests = Requests::sum(counted().map(|figures| &figures.requests));
        let tokens = Tokens::sum(counted().map(|figures| &figures.tokens));
        let goodput = Goodput::of(&case.slo, usable.iter().flat_map(|c| measured(c.report)));
        Self { case, requests, tokens, figures, steady, goodput, prefill_tps, gpus, energy, cells }
    }

    /// Why the first of its skipped cells was.
    pub(crate) fn skipped(&self) -> Option<&'a SkipReason> {
        self.cells.iter().find_map(|cell| match cell.state {
            CellState::Skipped(reason) => Some(reason),
            CellState::Counted(_) | CellState::Missing(_) | CellState::Open => None,
        })
    }
}

/// Whether a case is one of load: several requests at once, or a level of a sweep.
pub(crate) fn is_load(case: &Case) -> bool {
    case.in_flight_max() > 1 || case.sweep.is_some()
}

/// The steady windows of all cells that have one.
fn steady_of(case: &Case, usable: &[&Counted<'_>]) -> Reading<Steady> {
    if !is_load(case) {
        return Reading::missing("one stream");
    }
    let mut sum: Option<Steady> = None;
    for steady in usable.iter().filter_map(|c| c.steady.known()) {
        sum.get_or_insert_default().add(steady);
    }
    let why = || usable.iter().find_map(|c| c.steady.reason()).unwrap_or("no usable attempt");
    sum.map_or_else(|| Reading::missing(why()), Reading::Known)
}

/// Prefill speeds: with several requests at once they would hold the time in the queue.
fn prefill_of(case: &Case, usable: &[&Counted<'_>]) -> Reading<Distribution> {
    if case.concurrency() != Some(1) {
        return Reading::missing("several requests at once");
    }
    let streamed = usable.iter().flat_map(|c| measured(c.report)).filter(|t| is_streamed(t));
    let speeds = Distribution::new(streamed.filter_map(RequestTrace::prefill_tps));
    if speeds.n() > 0 {
        Reading::Known(speeds)
    } else {
        Reading::missing("fewer than 256 uncached prompt tokens, or the engine does not count them")
    }
}

/// The measured requests of an attempt, in order.
pub(crate) fn measured(report: &AttemptReport) -> impl Iterator<Item = &RequestTrace> {
    report.traces.iter().filter(|trace| trace.phase == Phase::Measured)
}

/// The figures of a settling attempt, all of whose requests are warm-up.
pub(crate) fn settling_figures(report: &AttemptReport) -> Figures {
    Figures::of(&report.traces)
}

impl<'a> HostAnalysis<'a> {
    fn new(run: &'a RunRecord, host: &'a HostId) -> Self {
        let mut attempts: Vec<&AttemptRecord> =
            run.attempts.iter().filter(|a| a.report.key.cell.host == *host).collect();
        attempts.sort_by(|a, b| {
            let order = |r: &'a AttemptRecord| (&r.report.key, r.report.epoch, r.report.began);
            order(a).cmp(&order(b))
        });
        let (missing, skipped) = (of_host(&run.missing, host), of_host(&run.skipped, host));
        let record = run.hosts.iter().find(|h| h.host == *host);
        let engine = first_engine(record, &attempts);
        let cold = cold_first_attempt(&attempts);
        let without = Without { missing, skipped, engine, cold };
        let idle = Idle::of(&attempts.iter().map(|a| &a.report).collect::<Vec<_>>());
        let mut cases: Vec<CaseAnalysis<'a>> = run
            .header
            .suite
            .cases
            .iter()
            .map(|case| CaseAnalysis::new(case, cells_of(case, &attempts, &without), &idle))
            .collect();
        let usable: Vec<&Counted<'a>> =
            cases.iter().flat_map(|c| &c.cells).filter_map(Cell::usable).collect();
        let figures = Figures::sum(&usable.iter().map(|c| &c.figures).collect::<Vec<_>>());
        let stamps = Stamps::of(usable.iter().flat_map(|c| measured(c.report)));
        let gpus = host_gpus(&attempts, usable.iter().map(|c| c.report).collect());
        let requests = Requests::sum(cases.iter().map(|c| &c.requests));
        let tokens = Tokens::sum(cases.iter().map(|c| &c.tokens));
        for cell in cases.iter_mut().flat_map(|c| &mut c.cells) {
            if let CellState::Counted(counted) = &mut cell.state {
                counted.figures.let_go();
            }
        }
        let first_settling = settling(&attempts).into_iter().next();
        let cold_start = first_settling.and_then(|report| ColdStart::of(&report.traces));
        let floor = attempts.iter().find(|a| a.disposition == Disposition::Floor);
        let floor = floor.and_then(|a| Floor::of(&a.report));
        Self {
            host,
            record,
            engine,
            attempts,
            requests,
            tokens,
            figures,
            gpus,
            idle,
            cold_start,
            stamps,
            floor,
            sweeps: sweeps(&cases),
            cases,
        }
    }

    /// The attempts of PREPARE, in order of time.
    pub(crate) fn settling(&self) -> Vec<&'a AttemptReport> {
        settling(&self.attempts)
    }

    /// What of its client floor is large beside its own figures.
    pub(crate) fn notable_floor(&self) -> impl Iterator<Item = Notable> {
        let own = (self.figures.ttft_s.median(), self.figures.inter_token_s.p50);
        self.floor.iter().flat_map(move |floor| floor.notable(own.0, own.1))
    }

    /// What its agent remarked while settling.
    pub(crate) fn settling_findings(&self) -> impl Iterator<Item = &'a Finding> {
        self.settling().into_iter().flat_map(|report| &report.findings)
    }

    /// From the first request to the end of the last, summed over the counted attempts.
    pub(crate) fn measured_seconds(&self) -> f64 {
        let counted = self.cells().filter_map(|(_, cell)| cell.counted());
        counted.map(|c| c.report.finished.since(c.report.began).as_secs_f64()).sum()
    }

    /// The case with the highest system output, tokens per second.
    pub(crate) fn peak_output(&self) -> Option<(&'a Case, f64)> {
        let outputs = self
            .cases
            .iter()
            .filter_map(|c| Some((c.case, c.steady.known()?.output.per_second()?)));
        outputs.max_by(|a, b| a.1.total_cmp(&b.1))
    }

    pub(crate) fn cells(&self) -> impl Iterator<Item = (&'a Case, &Cell<'a>)> {
        self.cases.iter().flat_map(|c| c.cells.iter().map(|cell| (c.case, cell)))
    }

    /// Whether anything of this host can be compared.
    pub(crate) fn has_usable(&self) -> bool {
        self.cells().any(|(_, cell)| cell.usable().is_some())
    }
}

/// The reasons of one host's cells.
fn of_host<'a, R>(
    reasons: &'a [(CellKey, R)],
    host: &HostId,
) -> BTreeMap<(&'a CaseId, Repetition), &'a R> {
    let own = reasons.iter().filter(|(cell, _)| cell.host == *host);
    own.map(|(cell, reason)| ((&cell.case, cell.repetition), reason)).collect()
}

fn settling<'a>(attempts: &[&'a AttemptRecord]) -> Vec<&'a AttemptReport> {
    let settling = attempts.iter().filter(|a| a.disposition == Disposition::Settling);
    let mut settling: Vec<&AttemptReport> = settling.map(|a| &a.report).collect();
    settling.sort_by_key(|report| report.began);
    settling
}

/// What is known of the cells of one host beside their attempts.
struct Without<'a> {
    missing: BTreeMap<(&'a CaseId, Repetition), &'a MissingReason>,
    skipped: BTreeMap<(&'a CaseId, Repetition), &'a SkipReason>,
    /// What the engine was at first.
    engine: Option<&'a EngineFacts>,
    /// The first attempt, with the remark that it is warm-up.
    cold: Option<(&'a AttemptKey, Finding)>,
}

fn cells_of<'a>(
    case: &'a Case,
    attempts: &[&'a AttemptRecord],
    without: &Without<'a>,
) -> Vec<Cell<'a>> {
    let counted = |repetition: Repetition| {
        attempts.iter().find(|a| {
            let cell = &a.report.key.cell;
            a.disposition == Disposition::Counted
                && cell.case == case.id
                && cell.repetition == repetition
        })
    };
    (1..=case.repetitions)
        .map(Repetition)
        .map(|repetition| {
            let key = (&case.id, repetition);
            let state = if let Some(attempt) = counted(repetition) {
                CellState::Counted(Box::new(Counted::new(case, &attempt.report, without)))
            } else if let Some(reason) = without.skipped.get(&key) {
                CellState::Skipped(reason)
            } else if let Some(reason) = without.missing.get(&key) {
                CellState::Missing(reason)
            } else {
                CellState::Open
            };
            Cell { repetition, state }
        })
        .collect()
}

/// Peaks over the usable cells; the baseline from before anything was sent.
fn host_gpus(
    attempts: &[&AttemptRecord],
    mut usable: Vec<&AttemptReport>,
) -> Reading<Vec<GpuFigures>> {
    usable.sort_by_key(|report| report.began);
    let windows: Vec<_> = usable.iter().map(|report| &report.gpu).collect();
    let mut all: Vec<&AttemptReport> = attempts.iter().map(|a| &a.report).collect();
    all.sort_by_key(|report| report.began);
    let everything: Vec<_> = all.iter().map(|report| &report.gpu).collect();
    let first = gpu_figures(&everything);
    gpu_figures(&windows).map(|mut gpus| {
        for gpu in &mut gpus {
            let same = first.known().into_iter().flatten().find(|g| g.uuid == gpu.uuid);
            gpu.memory_baseline = same.and_then(|g| g.memory_baseline);
        }
        gpus
    })
}

impl<'a> Analysis<'a> {
    pub(crate) fn new(record: &'a RunRecord) -> Self {
        let mut names: BTreeSet<&HostId> = record.hosts.iter().map(|h| &h.host).collect();
        names.extend(record.attempts.iter().map(|a| &a.report.key.cell.host));
        names.extend(record.missing.iter().map(|(cell, _)| &cell.host));
        names.extend(record.skipped.iter().map(|(cell, _)| &cell.host));
        if let ExpectedHosts::Named(expected) = &record.header.expected {
            let takes_part = |host: &&HostId| left_out(record).all(|(left, _)| left != *host);
            names.extend(expected.iter().filter(takes_part));
        }
        let hosts: Vec<HostAnalysis<'a>> =
            names.into_iter().map(|host| HostAnalysis::new(record, host)).collect();
        let classes = compare_classes(&hosts, &record.header);
        let later = later(&hosts, &classes.iter().map(|c| &c.class).collect::<Vec<_>>());
        let start = start_report(&hosts);
        let cells = Cells::of(record, &hosts);
        Self { record, hosts, classes, later, start, cells }
    }

    pub(crate) fn completeness(&self) -> Completeness {
        self.cells.completeness()
    }

    /// Fewest and most streams of these cases; `None` without any, or with an open loop.
    pub(crate) fn streams_of(&self, cases: &[CaseId]) -> Option<(u32, u32)> {
        let streams: Option<Vec<u32>> = self.cases(cases).map(Case::concurrency).collect();
        let streams = streams?;
        Some((streams.iter().copied().min()?, streams.into_iter().max()?))
    }

    /// Lowest and highest rate of these cases, a second; `None` without any, or with a closed loop.
    pub(crate) fn rates_of(&self, cases: &[CaseId]) -> Option<(f64, f64)> {
        let rate = |case: &Case| match case.load {
            Load::Open { rate, .. } => Some(rate),
            Load::Closed { .. } => None,
        };
        let rates: Option<Vec<f64>> = self.cases(cases).map(rate).collect();
        let rates = Distribution::new(rates?);
        rates.min().zip(rates.max())
    }

    fn cases(&self, ids: &[CaseId]) -> impl Iterator<Item = &'a Case> {
        ids.iter().filter_map(|id| self.record.header.suite.case(id))
    }

    /// The class a host is in; `None` if it measured nothing usable.
    pub(crate) fn class_of(&self, host: &HostId) -> Option<&ClassReport> {
        self.classes.iter().find(|class| class.class.hosts.contains(host))
    }
}
