//! One run as the store remembers it: with its attempts, the whole input of a report.

use std::time::Duration;

use crate::attempt::AttemptReport;
use crate::check::CheckOutcome;
use crate::comparability::ClassFact;
use crate::event::{Disposition, MissingReason, RunEvent, SkipReason};
use crate::facts::{EngineFacts, HostFacts};
use crate::gpu::GpuInventory;
use crate::ids::{CellKey, HostId, RunId};
use crate::margin::Margins;
use crate::reading::Reading;
use crate::suite::{StartMode, Suite};
use crate::time::{ClockOffset, UnixNs};

/// Everything known about a run but its attempts, which are many times larger and read host by
/// host. Reports are a pure function of both.
#[derive(Debug, Clone, PartialEq)]
pub struct RunRecord {
    /// What was asked for.
    pub header: RunHeader,
    /// When the run was sealed; `None` while it is open or if it never was.
    pub sealed: Option<UnixNs>,
    /// The hosts, sorted by name.
    pub hosts: Vec<HostRecord>,
    /// Expected hosts that never joined and whose names are unknown.
    pub absent: u32,
    /// Cells that were skipped with a reason, sorted by key.
    pub skipped: Vec<(CellKey, SkipReason)>,
    /// Cells that ended without a counted attempt, sorted by key. One that was filled later, when the
    /// run was resumed, may still be here: its counted attempt decides.
    pub missing: Vec<(CellKey, MissingReason)>,
    /// The events, by number.
    pub events: Vec<RunEvent>,
    /// Names and addresses were replaced, to publish reports. Never set in a store.
    pub redacted: bool,
}

/// What was asked for, fixed before the first agent joins.
#[derive(Debug, Clone, PartialEq)]
pub struct RunHeader {
    /// The run.
    pub run: RunId,
    /// The whole suite.
    pub suite: Suite,
    /// Seeds the order of the cases.
    pub seed: u64,
    /// When the run was created.
    pub created: UnixNs,
    /// How hosts are started.
    pub start: StartMode,
    /// Time from one host's start to the next one's; of [`StartMode::Staggered`] only.
    pub stagger: Option<Duration>,
    /// Hosts expected by number or by name.
    pub expected: ExpectedHosts,
    /// Version of the coordinator.
    pub coordinator_version: String,
    /// Plain text beyond loopback was allowed.
    pub insecure: bool,
    /// Answers' text is kept.
    pub keep_text: bool,
    /// The command line, without secrets, for "Reproduce".
    pub command: String,
    /// Facts that are taken as equal on hosts where they are not known.
    pub assume_equal: Vec<ClassFact>,
    /// Price of a kWh, above 0, in a currency of the user's.
    pub tariff: Option<f64>,
    /// From which size on a difference is of account, where the user has set it.
    pub margins: Margins,
}

/// Who is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExpectedHosts {
    /// Any hosts, this many.
    Count(u32),
    /// These and no others.
    Named(Vec<HostId>),
}

/// One host in a run.
#[derive(Debug, Clone, PartialEq)]
pub struct HostRecord {
    /// Its name.
    pub host: HostId,
    /// The machine.
    pub facts: Option<HostFacts>,
    /// Its GPUs.
    pub gpus: Reading<GpuInventory>,
    /// Its engine.
    pub engine: Reading<EngineFacts>,
    /// Clock estimates, in order of time (before the run, after it).
    pub clocks: Vec<ClockOffset>,
    /// Why it took no part, if it was refused.
    pub refused: Option<String>,
    /// Simulated, so that no report passes it off as a machine.
    pub simulated: bool,
    /// Preflight checks; empty if there were none, or if the agent has an earlier version.
    pub checks: Vec<CheckOutcome>,
}

/// One stored attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct AttemptRecord {
    /// Its outcome.
    pub disposition: Disposition,
    /// The agent's report.
    pub report: AttemptReport,
}
