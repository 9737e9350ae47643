//! `run.json`: the figures and verdicts of the reports, for programs.

use std::io::{self, Write};

use regatta_types::check::CheckOutcome;
use regatta_types::comparability::ClassFact;
use regatta_types::event::{MissingReason, SkipReason};
use regatta_types::facts::{EngineFacts, HostFacts};
use regatta_types::gpu::GpuInventory;
use regatta_types::ids::{CaseId, HostId, Repetition, RunId};
use regatta_types::margin::Margins;
use regatta_types::reading::Reading;
use regatta_types::record::ExpectedHosts;
use regatta_types::suite::{Case, StartMode};
use regatta_types::time::{ClockOffset, UnixNs};
use regatta_types::units::Bytes;
use regatta_types::validity::{Finding, Validity};
use serde::Serialize;

use super::capacity;
use super::compared::{self, WrittenChanges, WrittenClass, WrittenContention};
use crate::report::Report;
use crate::words::absent::{reading, why};
use crate::words::causes_of;
use regatta_figures::bandwidth::Bandwidth;
use regatta_figures::capacity::HostUsers;
use regatta_figures::compare::{DriftRow, Later, drift};
use regatta_figures::completeness::{Cells, Completeness};
use regatta_figures::hosts::SweepEnd;
use regatta_figures::hosts::{CaseAnalysis, Cell, CellState, HostAnalysis};
use regatta_figures::metrics::{
    ClientOverhead, ColdStart, Distribution, Drift, EnergyFigures, EngineFigures, Figures, Goodput,
    GpuFigures, METRICS_SCHEMA, Requests, Stamps, Steady, Tokens,
};
use regatta_figures::source::Cause;
use regatta_figures::start::StartReport;

/// Version of this file's layout. Fields may be added without a new one.
const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct RunFile<'a> {
    schema: u32,
    metrics_schema: u32,
    run: Run<'a>,
    suite: SuiteFacts<'a>,
    completeness: Completeness,
    cells: Cells,
    hosts: Vec<Host<'a>>,
    absent_hosts: u32,
    classes: Vec<WrittenClass<'a>>,
    later_engines: &'a [Later],
    drift: Vec<DriftRow>,
    capacity: Reading<capacity::Written<'a>>,
    start: &'a StartReport,
    since: Option<WrittenChanges<'a>>,
    contention: Vec<WrittenContention<'a>>,
}

#[derive(Serialize)]
struct Run<'a> {
    id: &'a RunId,
    created_unix_ns: UnixNs,
    sealed_unix_ns: Option<UnixNs>,
    command: &'a str,
    seed: u64,
    start: StartMode,
    stagger_s: Option<f64>,
    expected_hosts: usize,
    expected_names: &'a [HostId],
    coordinator_version: &'a str,
    insecure: bool,
    keep_text: bool,
    redacted: bool,
    assume_equal: &'a [ClassFact],
    tariff: Option<f64>,
    margins: &'a Margins,
}

#[derive(Serialize)]
struct SuiteFacts<'a> {
    name: &'a str,
    description: &'a str,
    hash: String,
    active_weights_bytes: Option<Bytes>,
    cases: Vec<CaseFacts<'a>>,
}

#[derive(Serialize)]
struct CaseFacts<'a> {
    prompt_hash: String,
    #[serde(flatten)]
    case: &'a Case,
}

#[derive(Serialize)]
struct Host<'a> {
    host: &'a HostId,
    simulated: bool,
    refused: Option<&'a str>,
    checks: &'a [CheckOutcome],
    class: Option<&'a str>,
    facts: Option<&'a HostFacts>,
    engine: Option<&'a Reading<EngineFacts>>,
    causes: Vec<String>,
    gpu_inventory: Option<&'a Reading<GpuInventory>>,
    clocks: &'a [ClockOffset],
    settling: Vec<Settling<'a>>,
    cold_start: Option<ColdStart>,
    client_floor: Option<&'a ClientOverhead>,
    stamps: &'a Stamps,
    sweeps: &'a [SweepEnd<'a>],
    requests: &'a Requests,
    tokens: &'a Tokens,
    figures: &'a Figures,
    gpus: Reading<&'a Vec<GpuFigures>>,
    bandwidth: Reading<Bandwidth>,
    users: Option<HostUsers>,
    cases: Vec<CaseResult<'a>>,
    attempts: Vec<Attempt<'a>>,
}

#[derive(Serialize)]
struct Settling<'a> {
    findings: &'a [Finding],
    #[serde(flatten)]
    figures: &'a Figures,
}

#[derive(Serialize)]
struct CaseResult<'a> {
    case: &'a CaseId,
    requests: &'a Requests,
    tokens: &'a Tokens,
    figures: &'a Figures,
    error_rate: Option<f64>,
    output: Reading<&'a Steady>,
    goodput: Option<Goodput>,
    prefill_tps: Reading<&'a Distribution>,
    gpus: Reading<&'a Vec<GpuFigures>>,
    engine: Reading<&'a EngineFigures>,
    energy: Reading<Energy<'a>>,
    tok_per_s_per_w: Option<f64>,
    cells: Vec<CellResult<'a>>,
}

#[derive(Serialize)]
struct Energy<'a> {
    attempts: usize,
    of: usize,
    withheld: Option<String>,
    #[serde(flatten)]
    figures: &'a EnergyFigures,
}

impl<'a> Energy<'a> {
    fn of(figures: &'a EnergyFigures) -> Self {
        let EnergyFigures { attempts, of, ref withheld, .. } = *figures;
        Self { attempts, of, withheld: withheld.as_ref().map(why), figures }
    }
}

#[derive(Serialize)]
struct CellResult<'a> {
    repetition: Repetition,
    state: &'static str,
    missing: Option<&'a MissingReason>,
    skipped: Option<&'a SkipReason>,
    validity: Option<Validity>,
    findings: &'a [Finding],
    figures: Option<&'a Figures>,
    steady: Option<Reading<&'a Steady>>,
    drift: Option<Reading<&'a Drift>>,
    client_cpu_share: Option<f64>,
}

#[derive(Serialize)]
struct Attempt<'a> {
    case: &'a CaseId,
    repetition: Repetition,
    attempt: u32,
    epoch: u64,
    disposition: &'static str,
    outcome: String,
    began_unix_ns: UnixNs,
    finished_unix_ns: UnixNs,
    requests: usize,
    agent_instance: String,
    boot: &'a str,
}

impl<'a> CellResult<'a> {
    fn of(cell: &'a Cell<'a>) -> Self {
        let counted = cell.counted();
        let (state, missing, skipped) = match &cell.state {
            CellState::Counted(_) => ("counted", None, None),
            CellState::Skipped(reason) => ("skipped", None, Some(*reason)),
            CellState::Missing(reason) => ("missing", Some(*reason), None),
            CellState::Open => ("open", None, None),
        };
        Self {
            repetition: cell.repetition,
            state,
            missing,
            skipped,
            validity: counted.map(regatta_figures::hosts::Counted::validity),
            findings: counted.map_or(&[], |c| &c.findings),
            figures: counted.map(|c| &c.figures),
            steady: counted.map(|c| reading(&c.steady)),
            drift: counted.map(|c| reading(&c.drift)),
            client_cpu_share: counted.and_then(|c| c.cpu_share),
        }
    }
}

impl<'a> Host<'a> {
    fn of(analysis: &'a Report<'a>, host: &'a HostAnalysis<'a>) -> Self {
        let record = host.record;
        let case = |c: &'a CaseAnalysis<'a>| CaseResult {
            case: &c.case.id,
            requests: &c.requests,
            tokens: &c.tokens,
            figures: &c.figures,
            error_rate: c.requests.error_rate(),
            output: reading(&c.steady),
            goodput: c.goodput,
            prefill_tps: reading(&c.prefill_tps),
            gpus: reading(&c.gpus),
            engine: reading(&c.engine),
            energy: reading(&c.energy).map(Energy::of),
            tok_per_s_per_w: c.tps_per_watt(),
            cells: c.cells.iter().map(CellResult::of).collect(),
        };
        let attempt = |attempt: &'a regatta_figures::hosts::Attempt| Attempt {
            case: &attempt.cell.case,
            repetition: attempt.cell.repetition,
            attempt: attempt.attempt.0,
            epoch: attempt.epoch.0,
            disposition: attempt.disposition.name(),
            outcome: attempt.outcome.to_string(),
            began_unix_ns: attempt.began,
            finished_unix_ns: attempt.finished,
            requests: attempt.traces,
            agent_instance: attempt.instance.to_string(),
            boot: &attempt.boot.0,
        };
        Self {
            host: host.host,
            simulated: record.is_some_and(|r| r.simulated),
            refused: record.and_then(|r| r.refused.as_deref()),
            checks: record.map_or(&[], |r| &r.checks),
            class: analysis.class_of(host.host).map(|c| c.class.label.as_str()),
            facts: record.and_then(|r| r.facts.as_ref()),
            engine: record.map(|r| &r.engine),
            causes: causes_of(analysis, host.host),
            gpu_inventory: record.map(|r| &r.gpus),
            clocks: record.map_or(&[], |r| &r.clocks),
            settling: host
                .warmups
                .iter()
                .map(|report| Settling { findings: &report.findings, figures: &report.figures })
                .collect(),
            cold_start: host.cold_start,
            client_floor: host.client_overhead.as_ref(),
            stamps: &host.stamps,
            sweeps: &host.sweeps,
            requests: &host.requests,
            tokens: &host.tokens,
            figures: &host.figures,
            gpus: reading(&host.gpus),
            bandwidth: analysis.bandwidth(host).map_err(|absent| why(&absent)).into(),
            users: HostUsers::of(host),
            cases: host.all_cases().map(case).collect(),
            attempts: host.attempts.iter().map(attempt).collect(),
        }
    }
}

/// Writes the whole file: one object on one line.
pub(crate) fn run_json(analysis: &Report<'_>, out: &mut dyn Write) -> Result<(), Cause> {
    let record = analysis.record;
    let header = &record.header;
    let (expected_hosts, expected_names): (usize, &[HostId]) = match &header.expected {
        ExpectedHosts::Count(n) => (usize::try_from(*n).unwrap_or(usize::MAX), &[]),
        ExpectedHosts::Named(names) => (names.len(), names),
    };
    let case = |case| CaseFacts { prompt_hash: Case::prompt_hash(case), case };
    let file = RunFile {
        schema: SCHEMA,
        metrics_schema: METRICS_SCHEMA,
        run: Run {
            id: &header.run,
            created_unix_ns: header.created,
            sealed_unix_ns: record.sealed,
            command: &header.command,
            seed: header.seed,
            start: header.start,
            stagger_s: header.stagger.map(|stagger| stagger.as_secs_f64()),
            expected_hosts,
            expected_names,
            coordinator_version: &header.coordinator_version,
            insecure: header.insecure,
            keep_text: header.keep_text,
            redacted: record.redacted,
            assume_equal: &header.assume_equal,
            tariff: header.tariff,
            margins: &header.margins,
        },
        suite: SuiteFacts {
            name: header.suite.name.as_str(),
            description: &header.suite.description,
            hash: header.suite.hash(),
            active_weights_bytes: header.suite.active_weights,
            cases: header.suite.cases.iter().map(case).collect(),
        },
        completeness: analysis.completeness(),
        cells: analysis.cells,
        hosts: analysis.hosts.iter().map(|host| Host::of(analysis, host)).collect(),
        absent_hosts: record.absent,
        classes: analysis.classes.iter().map(compared::class).collect(),
        later_engines: &analysis.later,
        drift: drift(&analysis.hosts),
        capacity: capacity::written(&analysis.capacity),
        start: &analysis.start,
        since: analysis.since.as_ref().map(compared::changes),
        contention: analysis.contention.iter().map(compared::contention).collect(),
    };
    serde_json::to_writer(&mut *out, &file).map_err(io::Error::from)?;
    Ok(out.write_all(b"\n")?)
}
