//! `run.json`: the figures and verdicts of the reports, for programs.

use std::collections::BTreeMap;
use std::io::{self, Write};

use regatta_figures::capacity::{Capacity, HostUsers};
use regatta_figures::compare::drift;
use regatta_figures::hosts::{Attempt, CaseAnalysis, Cell, CellState, Counted, HostAnalysis};
use regatta_figures::metrics::{EnergyFigures, Figures, METRICS_SCHEMA};
use regatta_figures::source::Cause;
use regatta_types::reading::Reading;
use regatta_types::record::{ExpectedHosts, RunRecord};
use regatta_types::suite::{Case, Suite};
use regatta_types::validity::Finding;
use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};

use super::compared::{Written, each};
use crate::report::Report;
use crate::words::absent::{reading, why};
use crate::words::capacity::{lacking, member, why_left_out, why_none};
use crate::words::causes_of;
use crate::words::finding::finding;

/// Version of this file's layout. Fields may be added without a new one.
const SCHEMA: u32 = 1;

/// Writes the whole file: one object on one line.
pub(crate) fn run_json(report: &Report<'_>, out: &mut dyn Write) -> Result<(), Cause> {
    serde_json::to_writer(&mut *out, &Written(report)).map_err(io::Error::from)?;
    Ok(out.write_all(b"\n")?)
}

impl Serialize for Written<'_, Report<'_>> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let report = self.0;
        let mut object = serializer.serialize_map(None)?;
        object.serialize_entry("schema", &SCHEMA)?;
        object.serialize_entry("metrics_schema", &METRICS_SCHEMA)?;
        object.serialize_entry("run", &Written(report.record))?;
        object.serialize_entry("suite", &Written(&report.record.header.suite))?;
        object.serialize_entry("completeness", &report.completeness())?;
        object.serialize_entry("cells", &report.cells)?;
        let hosts = report.hosts.iter().map(|host| HostResult { report, host });
        object.serialize_entry("hosts", &hosts.collect::<Vec<_>>())?;
        object.serialize_entry("absent_hosts", &report.record.absent)?;
        object.serialize_entry("classes", &each(&report.classes))?;
        object.serialize_entry("later_engines", &each(&report.later))?;
        object.serialize_entry("drift", &each(&drift(&report.hosts)))?;
        let capacity = report.capacity.as_ref();
        let capacity = capacity.map_or_else(
            |why| Reading::missing(why_none(*why)),
            |capacity| Reading::Known(Written(capacity)),
        );
        object.serialize_entry("capacity", &capacity)?;
        object.serialize_entry("start", &report.start)?;
        object.serialize_entry("since", &report.since.as_ref().map(Written))?;
        object.serialize_entry("contention", &each(&report.contention))?;
        object.end()
    }
}

impl Serialize for Written<'_, RunRecord> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let header = &self.0.header;
        let (expected_hosts, expected_names) = match &header.expected {
            ExpectedHosts::Count(n) => (usize::try_from(*n).unwrap_or(usize::MAX), &[][..]),
            ExpectedHosts::Named(names) => (names.len(), &names[..]),
        };
        let mut object = serializer.serialize_map(None)?;
        object.serialize_entry("id", &header.run)?;
        object.serialize_entry("created_unix_ns", &header.created)?;
        object.serialize_entry("sealed_unix_ns", &self.0.sealed)?;
        object.serialize_entry("command", &header.command)?;
        object.serialize_entry("seed", &header.seed)?;
        object.serialize_entry("start", &header.start)?;
        object
            .serialize_entry("stagger_s", &header.stagger.map(|stagger| stagger.as_secs_f64()))?;
        object.serialize_entry("expected_hosts", &expected_hosts)?;
        object.serialize_entry("expected_names", expected_names)?;
        object.serialize_entry("coordinator_version", &header.coordinator_version)?;
        object.serialize_entry("insecure", &header.insecure)?;
        object.serialize_entry("keep_text", &header.keep_text)?;
        object.serialize_entry("redacted", &self.0.redacted)?;
        object.serialize_entry("assume_equal", &header.assume_equal)?;
        object.serialize_entry("tariff", &header.tariff)?;
        object.serialize_entry("margins", &header.margins)?;
        object.end()
    }
}

#[derive(Serialize)]
struct CaseFacts<'a> {
    prompt_hash: String,
    #[serde(flatten)]
    case: &'a Case,
}

impl Serialize for Written<'_, Suite> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Suite { name, description, cases, active_weights } = self.0;
        let case = |case| CaseFacts { prompt_hash: Case::prompt_hash(case), case };
        let mut object = serializer.serialize_map(None)?;
        object.serialize_entry("name", name.as_str())?;
        object.serialize_entry("description", description)?;
        object.serialize_entry("hash", &self.0.hash())?;
        object.serialize_entry("active_weights_bytes", active_weights)?;
        object.serialize_entry("cases", &cases.iter().map(case).collect::<Vec<_>>())?;
        object.end()
    }
}

struct HostResult<'a> {
    report: &'a Report<'a>,
    host: &'a HostAnalysis<'a>,
}

#[derive(Serialize)]
struct Warmup<'a> {
    findings: Vec<Finding>,
    #[serde(flatten)]
    figures: &'a Figures,
}

impl Serialize for HostResult<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { report, host } = *self;
        let record = host.record;
        let warmups = host.warmups.iter().map(|warmup| Warmup {
            findings: warmup.findings.iter().map(finding).collect(),
            figures: &warmup.figures,
        });
        let class = report.class_of(host.host);
        let mut object = serializer.serialize_map(None)?;
        object.serialize_entry("host", host.host)?;
        object.serialize_entry("simulated", &record.is_some_and(|r| r.simulated))?;
        object.serialize_entry("refused", &record.and_then(|r| r.refused.as_deref()))?;
        object.serialize_entry("checks", record.map_or(&[][..], |r| &r.checks))?;
        object.serialize_entry("class", &class.map(|c| c.class.label.as_str()))?;
        object.serialize_entry("facts", &record.and_then(|r| r.facts.as_ref()))?;
        object.serialize_entry("engine", &record.map(|r| &r.engine))?;
        object.serialize_entry("causes", &causes_of(report, host.host))?;
        object.serialize_entry("gpu_inventory", &record.map(|r| &r.gpus))?;
        object.serialize_entry("clocks", record.map_or(&[][..], |r| &r.clocks))?;
        object.serialize_entry("settling", &warmups.collect::<Vec<_>>())?;
        object.serialize_entry("cold_start", &host.cold_start)?;
        object.serialize_entry("client_floor", &host.client_overhead)?;
        object.serialize_entry("stamps", &host.stamps)?;
        object.serialize_entry("sweeps", &host.sweeps)?;
        object.serialize_entry("requests", &host.requests)?;
        object.serialize_entry("tokens", &host.tokens)?;
        object.serialize_entry("figures", &host.figures)?;
        object.serialize_entry("gpus", &reading(&host.gpus))?;
        object.serialize_entry("bandwidth", &reading(&report.bandwidth(host)))?;
        object.serialize_entry("users", &HostUsers::of(host))?;
        object.serialize_entry("cases", &host.all_cases().map(Written).collect::<Vec<_>>())?;
        object.serialize_entry("attempts", &each(&host.attempts))?;
        object.end()
    }
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

impl Serialize for Written<'_, CaseAnalysis<'_>> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let case = self.0;
        let mut object = serializer.serialize_map(None)?;
        object.serialize_entry("case", &case.case.id)?;
        object.serialize_entry("requests", &case.requests)?;
        object.serialize_entry("tokens", &case.tokens)?;
        object.serialize_entry("figures", &case.figures)?;
        object.serialize_entry("error_rate", &case.requests.error_rate())?;
        object.serialize_entry("output", &reading(&case.steady))?;
        object.serialize_entry("goodput", &case.goodput)?;
        object.serialize_entry("prefill_tps", &reading(&case.prefill_tps))?;
        object.serialize_entry("gpus", &reading(&case.gpus))?;
        object.serialize_entry("engine", &reading(&case.engine))?;
        object.serialize_entry("energy", &reading(&case.energy).map(Energy::of))?;
        object.serialize_entry("tok_per_s_per_w", &case.tps_per_watt())?;
        object.serialize_entry("cells", &each(&case.cells))?;
        object.end()
    }
}

impl Serialize for Written<'_, Cell<'_>> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let counted = self.0.counted();
        let (state, missing, skipped) = match &self.0.state {
            CellState::Counted(_) => ("counted", None, None),
            CellState::Skipped(reason) => ("skipped", None, Some(*reason)),
            CellState::Missing(reason) => ("missing", Some(*reason), None),
            CellState::Open => ("open", None, None),
        };
        let mut object = serializer.serialize_map(None)?;
        object.serialize_entry("repetition", &self.0.repetition)?;
        object.serialize_entry("state", state)?;
        object.serialize_entry("missing", &missing)?;
        object.serialize_entry("skipped", &skipped)?;
        object.serialize_entry("validity", &counted.map(Counted::validity))?;
        let findings = counted.iter().flat_map(|counted| &counted.findings).map(finding);
        object.serialize_entry("findings", &findings.collect::<Vec<_>>())?;
        object.serialize_entry("figures", &counted.map(|c| &c.figures))?;
        object.serialize_entry("steady", &counted.map(|c| reading(&c.steady)))?;
        object.serialize_entry("drift", &counted.map(|c| reading(&c.drift)))?;
        object.serialize_entry("client_cpu_share", &counted.and_then(|c| c.cpu_share))?;
        object.end()
    }
}

impl Serialize for Written<'_, Attempt> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let attempt = self.0;
        let mut object = serializer.serialize_map(None)?;
        object.serialize_entry("case", &attempt.key.cell.case)?;
        object.serialize_entry("repetition", &attempt.key.cell.repetition)?;
        object.serialize_entry("attempt", &attempt.key.attempt.0)?;
        object.serialize_entry("epoch", &attempt.epoch.0)?;
        object.serialize_entry("disposition", attempt.disposition.name())?;
        object.serialize_entry("outcome", &attempt.outcome.to_string())?;
        object.serialize_entry("began_unix_ns", &attempt.began)?;
        object.serialize_entry("finished_unix_ns", &attempt.finished)?;
        object.serialize_entry("requests", &attempt.traces)?;
        object.serialize_entry("agent_instance", &attempt.instance.to_string())?;
        object.serialize_entry("boot", &attempt.boot.0)?;
        object.end()
    }
}

impl Serialize for Written<'_, Capacity> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let capacity = self.0;
        let left_out = capacity.left_out.iter().map(|(host, why)| {
            BTreeMap::from([("host", member(host)), ("why", why_left_out(why))])
        });
        let lacking = capacity.not_available.iter().map(lacking);
        let mut object = serializer.serialize_map(None)?;
        object.serialize_entry("hosts", &capacity.hosts)?;
        object.serialize_entry("left_out", &left_out.collect::<Vec<_>>())?;
        object.serialize_entry("not_available", &lacking.collect::<Vec<_>>())?;
        object.serialize_entry("decode", &capacity.decode)?;
        object.serialize_entry("peak_output_tps", &capacity.peak_output_tps)?;
        object.serialize_entry("users", &capacity.users)?;
        object.serialize_entry("power_w", &capacity.power_w)?;
        object.serialize_entry("power_unattributed", &capacity.power_unattributed)?;
        object.serialize_entry("price_per_million", &capacity.price_per_million)?;
        object.end()
    }
}
