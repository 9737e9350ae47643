//! One run, sorted and worked out: what every file of a report is written from.
//!
//! The main type is [`Analysis`]. It puts the record in order by itself, so that the order of the
//! rows in a store never shows, and computes each figure once. It formats nothing.

use std::collections::{BTreeMap, BTreeSet};

use regatta_types::attempt::AttemptReport;
use regatta_types::event::{Disposition, MissingReason};
use regatta_types::ids::{CaseId, HostId, Repetition};
use regatta_types::reading::Reading;
use regatta_types::record::{AttemptRecord, ExpectedHosts, HostRecord, RunRecord};
use regatta_types::suite::Case;
use regatta_types::trace::{Phase, RequestTrace};
use regatta_types::validity::{Finding, Validity};

use crate::compare::{ClassReport, compare_classes};
use crate::completeness::{Cells, Completeness};
use crate::metrics::{
    Figures, GpuFigures, Rate, Requests, Tokens, derived_findings, gpu_figures, steady_output,
};
use crate::start::{StartReport, start_report};

/// A run, worked out.
#[derive(Debug)]
pub(crate) struct Analysis<'a> {
    pub(crate) record: &'a RunRecord,
    /// Every host that is known by name, sorted.
    pub(crate) hosts: Vec<HostAnalysis<'a>>,
    /// Hosts by comparability class, with the verdicts of each.
    pub(crate) classes: Vec<ClassReport>,
    /// How closely the hosts started.
    pub(crate) start: StartReport,
    /// Cells by what became of them.
    pub(crate) cells: Cells,
}

/// How answers ended. Cut: finish reason `length`, by `max_tokens` or the context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endings {
    /// None was cut, or there is none.
    NoneCut,
    /// Some were and some were not.
    SomeCut { truncated: u64, ok: u64 },
    /// All were, each with as many tokens as its case allows: their lengths are equal.
    AllAtLimit,
    /// All were, but not all at the limit of their case.
    AllCut,
}

/// One host of a run.
#[derive(Debug)]
pub(crate) struct HostAnalysis<'a> {
    pub(crate) host: &'a HostId,
    /// `None` for a host that was expected by name and never joined.
    pub(crate) record: Option<&'a HostRecord>,
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
    /// System output in the steady windows; only with more than one stream.
    pub(crate) output: Reading<Rate>,
    /// Over the usable cells.
    pub(crate) gpus: Reading<Vec<GpuFigures>>,
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
    /// System output in its steady window.
    pub(crate) output: Reading<Rate>,
    /// The agent's remarks and those that follow from the traces.
    pub(crate) findings: Vec<Finding>,
}

impl<'a> Counted<'a> {
    fn new(report: &'a AttemptReport) -> Self {
        let traces: Vec<&RequestTrace> = measured(report).collect();
        let figures = Figures::of(traces.iter().copied());
        let mut findings = report.findings.clone();
        findings.extend(derived_findings(&traces, &figures));
        // Of two remarks with one code, the agent's and ours, the worse stays.
        findings.sort_by(|a, b| {
            (&a.code, b.validity, &a.evidence).cmp(&(&b.code, a.validity, &b.evidence))
        });
        findings.dedup_by(|a, b| a.code == b.code);
        Self { report, figures, output: steady_output(&traces), findings }
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
            CellState::Missing(_) | CellState::Open => None,
        }
    }
}

impl<'a> CaseAnalysis<'a> {
    fn new(case: &'a Case, cells: Vec<Cell<'a>>) -> Self {
        let usable: Vec<&Counted<'a>> = cells.iter().filter_map(Cell::usable).collect();
        let figures = Figures::of(usable.iter().flat_map(|c| measured(c.report)));
        let mut windows: Vec<&AttemptReport> = usable.iter().map(|c| c.report).collect();
        windows.sort_by_key(|report| report.began);
        let windows: Vec<_> = windows.into_iter().map(|report| &report.gpu).collect();
        let output = output_of(case, &usable);
        let gpus = gpu_figures(&windows);
        let counted = || cells.iter().filter_map(Cell::counted).flat_map(|c| measured(c.report));
        let (requests, tokens) = (Requests::of(counted()), Tokens::of(counted()));
        Self { case, cells, requests, tokens, figures, output, gpus }
    }
}

/// The output over the steady windows of all cells that have one.
fn output_of(case: &Case, usable: &[&Counted<'_>]) -> Reading<Rate> {
    if case.in_flight_max() < 2 {
        return Reading::missing("one stream");
    }
    let mut sum = Rate::default();
    for rate in usable.iter().filter_map(|c| c.output.known()) {
        sum.add((rate.tokens, rate.seconds));
    }
    match usable.iter().find_map(|c| c.output.reason()) {
        _ if sum.seconds > 0.0 => Reading::Known(sum),
        Some(reason) => Reading::missing(reason),
        None => Reading::missing("no usable attempt"),
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
        let missing: BTreeMap<(&CaseId, Repetition), &MissingReason> = run
            .missing
            .iter()
            .filter(|(cell, _)| cell.host == *host)
            .map(|(cell, reason)| ((&cell.case, cell.repetition), reason))
            .collect();
        let cases: Vec<CaseAnalysis<'a>> = run
            .header
            .suite
            .cases
            .iter()
            .map(|case| CaseAnalysis::new(case, cells_of(case, &attempts, &missing)))
            .collect();
        let usable = cases.iter().flat_map(|c| &c.cells).filter_map(Cell::usable);
        let figures = Figures::of(usable.clone().flat_map(|c| measured(c.report)));
        let gpus = host_gpus(&attempts, usable.map(|c| c.report).collect());
        let record = run.hosts.iter().find(|h| h.host == *host);
        let counted = || cases.iter().flat_map(|c| &c.cells).filter_map(Cell::counted);
        let requests = Requests::of(counted().flat_map(|c| measured(c.report)));
        let tokens = Tokens::of(counted().flat_map(|c| measured(c.report)));
        Self { host, record, attempts, requests, tokens, figures, gpus, cases }
    }

    /// The attempts of PREPARE, in order of time.
    pub(crate) fn settling(&self) -> Vec<&'a AttemptReport> {
        let mut settling: Vec<&AttemptReport> = self
            .attempts
            .iter()
            .filter(|a| a.disposition == Disposition::Settling)
            .map(|a| &a.report)
            .collect();
        settling.sort_by_key(|report| report.began);
        settling
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
        let outputs =
            self.cases.iter().filter_map(|c| Some((c.case, c.output.known()?.per_second()?)));
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

fn cells_of<'a>(
    case: &'a Case,
    attempts: &[&'a AttemptRecord],
    missing: &BTreeMap<(&CaseId, Repetition), &'a MissingReason>,
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
            let state = match (counted(repetition), missing.get(&(&case.id, repetition))) {
                (Some(attempt), _) => CellState::Counted(Box::new(Counted::new(&attempt.report))),
                (None, Some(reason)) => CellState::Missing(reason),
                (None, None) => CellState::Open,
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
        if let ExpectedHosts::Named(expected) = &record.header.expected {
            names.extend(expected);
        }
        let hosts: Vec<HostAnalysis<'a>> =
            names.into_iter().map(|host| HostAnalysis::new(record, host)).collect();
        let classes = compare_classes(&hosts);
        let start = start_report(&hosts);
        let cells = Cells::of(record, &hosts);
        Self { record, hosts, classes, start, cells }
    }

    pub(crate) fn completeness(&self) -> Completeness {
        self.cells.completeness()
    }

    /// Fewest and most streams of these cases; `None` without any.
    pub(crate) fn streams_of(&self, cases: &[CaseId]) -> Option<(u32, u32)> {
        let cases = cases.iter().filter_map(|id| self.record.header.suite.case(id));
        let streams = || cases.clone().map(|case| case.in_flight_max());
        Some((streams().min()?, streams().max()?))
    }

    /// How the measured answers of all counted attempts ended.
    pub(crate) fn endings(&self) -> Endings {
        let sum = |f: fn(&Requests) -> u32| {
            self.hosts.iter().map(|h| u64::from(f(&h.requests))).sum::<u64>()
        };
        let (ok, truncated) = (sum(|r| r.ok), sum(|r| r.truncated));
        let full = |c: &CaseAnalysis<'_>| {
            let wanted = u64::from(c.requests.ok) * u64::from(c.case.max_tokens);
            c.requests.ok == 0 || c.tokens.completion.known() == Some(wanted)
        };
        if truncated == 0 {
            Endings::NoneCut
        } else if truncated < ok {
            Endings::SomeCut { truncated, ok }
        } else if self.hosts.iter().flat_map(|h| &h.cases).all(full) {
            Endings::AllAtLimit
        } else {
            Endings::AllCut
        }
    }

    /// The class a host is in; `None` if it measured nothing usable.
    pub(crate) fn class_of(&self, host: &HostId) -> Option<&ClassReport> {
        self.classes.iter().find(|class| class.class.hosts.contains(host))
    }
}
