//! One host of a run.

use std::collections::BTreeMap;

use regatta_types::attempt::AttemptReport;
use regatta_types::event::{Disposition, MissingReason, SkipReason};
use regatta_types::facts::EngineFacts;
use regatta_types::failure::FailureKind;
use regatta_types::ids::{AttemptKey, CaseId, CellKey, HostId, Repetition};
use regatta_types::record::{AttemptRecord, HostRecord, RunRecord};
use regatta_types::suite::Case;

use super::attempt::{Attempt, FailureGroup, failed};
use super::case::{CaseAnalysis, Cell, CellState, Counted, Reported, gpus_over};
use super::engine_warmup::{EngineWarmup, engine_warmups};
use super::events::HostEvents;
use super::machine::SharedMachine;
use super::sweeps::{SweepEnd, sweeps};
use super::telemetry::Telemetry;
use crate::absent::Figure;
use crate::facts::first_engine;
use crate::metrics::{
    AttemptFinding, ClientOverhead, ColdStart, Distribution, EngineFigures, Figures, GapHistogram,
    Goodput, GpuFigures, Idle, NotableOverhead, Requests, SlowRequest, Stamps, Thermals, Timeline,
    Tokens, cold_attempts, engine_figures, measured, slowest,
};

#[derive(Debug)]
pub struct HostAnalysis<'a> {
    pub host: &'a HostId,
    /// `None` for a host that was expected by name and never joined.
    pub record: Option<&'a HostRecord>,
    /// What its engine was at the beginning of the run.
    pub engine: Option<EngineFacts>,
    /// Set if other hosts of the run are the same machine.
    pub machine: Option<SharedMachine>,
    /// Every stored attempt, engine warm-up included, sorted by key.
    pub attempts: Vec<Attempt>,
    /// The warm-up before the run, in order of time.
    pub warmups: Vec<EngineWarmup>,
    /// The failed requests of all attempts, warm-up included.
    pub failed: BTreeMap<FailureKind, FailureGroup>,
    /// One entry per compared case, in the order of the suite.
    pub cases: Vec<CaseAnalysis<'a>>,
    /// The solo counterparts of the cases, measured on this host while the others rested; in no figure
    /// of the host.
    pub solo: Vec<CaseAnalysis<'a>>,
    /// How the measured requests of all counted attempts ended, invalid ones included.
    pub requests: Requests,
    /// Tokens of the same requests.
    pub tokens: Tokens,
    /// Over all usable cells.
    pub figures: Figures,
    /// Times to first token over all usable cells as reported, case by case: of an open loop
    /// from the scheduled instant.
    pub first_token: Distribution,
    /// The gaps between chunks over all usable cells.
    pub gaps: GapHistogram,
    /// Over all usable cells; the baseline is from before the host's first attempt.
    pub gpus: Figure<Vec<GpuFigures>>,
    /// What the engine said over all usable cells.
    pub engine_metrics: Figure<EngineFigures>,
    /// Power of the endpoint's GPUs at rest.
    pub idle: Figure<Idle>,
    pub telemetry: Telemetry,
    /// What it did over the time of its counted attempts; `None` without any.
    pub timeline: Option<Timeline>,
    pub events: HostEvents,
    /// Its slowest requests beside the others of their cases, over all usable cells.
    pub slowest: Vec<SlowRequest>,
    /// The first request of the run.
    pub cold_start: Option<ColdStart>,
    /// How well its stamps are known, over all usable cells.
    pub stamps: Stamps,
    /// What its agent adds; `None` where that was not measured.
    pub client_overhead: Option<ClientOverhead>,
    pub sweeps: Vec<SweepEnd<'a>>,
}

/// What a host's cells and their attempts are worked out with.
pub(super) struct Context<'a, 'r> {
    /// What the engine was at first.
    pub(super) engine: Option<&'r EngineFacts>,
    /// The attempts that hold a start of the engine or its model.
    pub(super) cold: BTreeMap<&'r AttemptKey, AttemptFinding>,
    /// The reports that count.
    counted: ByCell<'r, &'r AttemptReport>,
    /// Why cells have none.
    missing: ByCell<'a, &'a MissingReason>,
    skipped: ByCell<'a, &'a SkipReason>,
}

type ByCell<'k, T> = BTreeMap<(&'k CaseId, Repetition), T>;

impl<'a> HostAnalysis<'a> {
    /// Of its attempts, sorted by key.
    pub fn new(run: &'a RunRecord, host: &'a HostId, attempts: Vec<AttemptRecord>) -> Self {
        let record = run.hosts.iter().find(|h| h.host == *host);
        let engine = first_engine(record, &attempts).cloned();
        let all: Vec<&AttemptReport> = attempts.iter().map(|a| &a.report).collect();
        let idle = Idle::of(&all);
        let context = Context {
            engine: engine.as_ref(),
            cold: cold_attempts(&run.header.suite.cases, &attempts),
            counted: counted_of(&attempts),
            missing: of_host(&run.missing, host),
            skipped: of_host(&run.skipped, host),
        };
        let suite = run.header.suite.cases.iter();
        let (solo, cases): (Vec<CaseAnalysis<'a>>, Vec<CaseAnalysis<'a>>) = suite
            .map(|case| CaseAnalysis::new(case, cells_of(case, &context), idle.as_ref().ok()))
            .partition(|case| case.case.solo_of.is_some());
        let counted = context.counted.values().copied();
        let usable: Vec<(&CaseAnalysis<'a>, &Counted, &AttemptReport)> = cases
            .iter()
            .flat_map(|case| case.cells.iter().map(move |cell| (case, cell)))
            .filter_map(|(case, cell)| {
                let report = context.counted.get(&(&case.case.id, cell.repetition))?;
                Some((case, cell.usable()?, *report))
            })
            .collect();
        let reports = || usable.iter().map(|(_, _, report)| *report);
        let overhead = attempts.iter().find(|a| a.disposition == Disposition::ClientOverhead);
        let told = |record: &AttemptRecord| {
            let case = &record.report.key.cell.case;
            Attempt::of(record, cases.iter().chain(&solo).find(|c| c.case.id == *case))
        };
        let (warmups, cold_start) = engine_warmups(&attempts);
        Self {
            host,
            record,
            machine: None,
            requests: Requests::sum(cases.iter().map(|c| &c.requests)),
            tokens: Tokens::sum(cases.iter().map(|c| &c.tokens)),
            figures: Figures::sum(&usable.iter().map(|(_, c, _)| &c.figures).collect::<Vec<_>>()),
            first_token: Distribution::sum(
                cases.iter().map(|c| c.figures.first_token(&c.case.load)),
            ),
            gaps: GapHistogram::of(
                usable.iter().flat_map(|(_, c, _)| c.figures.chunk_gap_s.values()),
            ),
            gpus: host_gpus(&all, reports()),
            engine_metrics: engine_figures(reports().map(|report| &report.engine.metrics)),
            telemetry: Telemetry::of(&attempts),
            timeline: Timeline::of(counted.clone()),
            events: HostEvents::of(run, host, engine.as_ref(), counted.collect()),
            slowest: slowest(usable.iter().map(|(c, _, report)| {
                (c.case, c.figures.end_to_end(&c.case.load).median(), *report)
            })),
            stamps: Stamps::of(reports().flat_map(|report| measured(&report.traces))),
            client_overhead: overhead.and_then(|a| ClientOverhead::of(&a.report)),
            sweeps: sweeps(&cases),
            attempts: attempts.iter().map(told).collect(),
            failed: failed(&attempts),
            cold_start,
            warmups,
            cases: released(cases),
            solo: released(solo),
            idle,
            engine,
        }
    }

    /// What of its client overhead is large beside its own figures.
    pub fn notable_overhead(&self) -> impl Iterator<Item = NotableOverhead> {
        self.client_overhead.iter().flat_map(|overhead| overhead.notable(&self.figures))
    }

    /// The agent's findings about the engine warm-up.
    pub fn warmup_findings(&self) -> impl Iterator<Item = &AttemptFinding> {
        self.warmups.iter().flat_map(|report| &report.findings)
    }

    /// From the first request to the end of the last, summed over the counted attempts of the
    /// compared cases.
    pub fn measured_seconds(&self) -> f64 {
        self.compared().filter_map(Cell::counted).map(|counted| counted.seconds).sum()
    }

    /// The case with the highest system output, tokens per second.
    pub fn peak_output(&self) -> Option<(&'a Case, f64)> {
        let output =
            |c: &CaseAnalysis<'a>| Some((c.case, c.steady.as_ref().ok()?.output.per_second()?));
        self.cases.iter().filter_map(output).max_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// The compared cases, and after them those that were measured solo beside them.
    pub fn all_cases(&self) -> impl Iterator<Item = &CaseAnalysis<'a>> {
        self.cases.iter().chain(&self.solo)
    }

    /// Of all cases.
    pub fn cells(&self) -> impl Iterator<Item = (&'a Case, &Cell<'a>)> {
        self.all_cases().flat_map(|c| c.cells.iter().map(|cell| (c.case, cell)))
    }

    /// The cells of the cases that hosts are compared by: those that were measured solo are apart.
    pub fn compared(&self) -> impl Iterator<Item = &Cell<'a>> {
        self.cases.iter().flat_map(|case| &case.cells)
    }

    /// Requests that kept every limit of their case; `None` where no case has limits.
    pub fn goodput(&self) -> Option<Goodput> {
        self.cases.iter().filter_map(|case| case.goodput).reduce(Goodput::and)
    }

    /// How fast and how warm the endpoint's GPUs were in the usable cells of these repetitions.
    pub fn thermals(&self, repetitions: &[u32]) -> Thermals {
        let cells = self.compared().filter(|cell| repetitions.contains(&cell.repetition.0));
        let usable = cells.filter_map(Cell::usable);
        usable.map(|counted| counted.thermals).fold(Thermals::default(), Thermals::and)
    }

    /// Cells that were to be measured: all but those that a sweep skipped.
    pub fn due(&self) -> usize {
        self.cells().filter(|(_, cell)| !matches!(cell.state, CellState::Skipped(_))).count()
    }

    /// Cells without a counted attempt that were to have one.
    pub fn missing(&self) -> usize {
        let is_missing = |cell: &Cell<'_>| match cell.state {
            CellState::Missing(_) | CellState::Open => true,
            CellState::Counted(_) | CellState::Skipped(_) => false,
        };
        self.cells().filter(|(_, cell)| is_missing(cell)).count()
    }

    /// Whether anything of this host can be compared.
    pub fn has_usable(&self) -> bool {
        self.compared().any(|cell| cell.usable().is_some())
    }
}

/// Frees what only the figures over all cells of a host need.
fn released(mut cases: Vec<CaseAnalysis<'_>>) -> Vec<CaseAnalysis<'_>> {
    for cell in cases.iter_mut().flat_map(|case| &mut case.cells) {
        if let CellState::Counted(counted) = &mut cell.state {
            counted.figures.release();
        }
    }
    cases
}

/// The reasons of one host's cells.
fn of_host<'a, R>(reasons: &'a [(CellKey, R)], host: &HostId) -> ByCell<'a, &'a R> {
    let own = reasons.iter().filter(|(cell, _)| cell.host == *host);
    own.map(|(cell, reason)| ((&cell.case, cell.repetition), reason)).collect()
}

fn counted_of(attempts: &[AttemptRecord]) -> ByCell<'_, &AttemptReport> {
    let mut out = BTreeMap::new();
    for record in attempts.iter().filter(|a| a.disposition == Disposition::Counted) {
        let cell = &record.report.key.cell;
        // At most one counts; of a store that says otherwise, the first.
        out.entry((&cell.case, cell.repetition)).or_insert(&record.report);
    }
    out
}

fn cells_of<'a, 'r>(case: &'a Case, context: &Context<'a, 'r>) -> Vec<Reported<'a, 'r>> {
    let cell = |repetition: Repetition| {
        let key = (&case.id, repetition);
        let report = context.counted.get(&key).copied();
        let state = if let Some(report) = report {
            CellState::Counted(Box::new(Counted::new(case, report, context)))
        } else if let Some(reason) = context.skipped.get(&key) {
            CellState::Skipped(reason)
        } else if let Some(reason) = context.missing.get(&key) {
            CellState::Missing(reason)
        } else {
            CellState::Open
        };
        (Cell { repetition, state }, report)
    };
    (1..=case.repetitions).map(Repetition).map(cell).collect()
}

/// Peaks over the usable cells; the baseline from before anything was sent.
fn host_gpus<'r>(
    all: &[&AttemptReport],
    usable: impl Iterator<Item = &'r AttemptReport>,
) -> Figure<Vec<GpuFigures>> {
    let first = gpus_over(all.iter().copied());
    let mut gpus = gpus_over(usable)?;
    for gpu in &mut gpus {
        let same = first.iter().flatten().find(|g| g.uuid == gpu.uuid);
        gpu.memory_baseline = same.and_then(|g| g.memory_baseline);
    }
    Ok(gpus)
}
