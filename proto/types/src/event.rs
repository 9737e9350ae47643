//! What happened in a run, for the store, `--json` and the progress display alike.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::{AttemptKey, CaseId, CellKey, Epoch, HostId, RunId};
use crate::time::UnixNs;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunEvent {
    /// From 0, without gaps.
    pub seq: u64,
    /// Coordinator's wall clock.
    pub at: UnixNs,
    /// Since the run began, by the coordinator's monotonic clock.
    pub elapsed: Duration,
    /// What.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// The kinds of event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum EventKind {
    /// The run exists; agents may join.
    RunStarted {
        /// The run.
        run: RunId,
        /// Cells per host.
        cells: u32,
    },
    /// An agent said hello.
    AgentJoined {
        /// Its host.
        host: HostId,
        /// Whether it had been connected to this run before.
        again: bool,
    },
    /// A connection ended, or an agent was silent too long; it may come back.
    AgentDisconnected {
        /// Its host.
        host: HostId,
        /// What was seen.
        reason: String,
    },
    /// Silent beyond recovery; its open cells are closed.
    AgentLost {
        /// Its host.
        host: HostId,
        /// What was seen.
        reason: String,
    },
    /// The host is ready, or cannot take part.
    HostPrepared {
        /// Its host.
        host: HostId,
        /// `None`: ready.
        refused: Option<String>,
    },
    /// The host never joined, and the run continues without it.
    HostLeftOut {
        /// The host.
        host: HostId,
        /// Why it did not join.
        why: String,
    },
    /// A cell was given to its host.
    AssignmentLeased {
        /// The attempt.
        attempt: AttemptKey,
        /// The lease.
        epoch: Epoch,
    },
    /// The agent began it.
    AttemptStarted {
        /// The attempt.
        attempt: AttemptKey,
    },
    /// Its report is stored.
    AttemptFinished {
        /// The attempt.
        attempt: AttemptKey,
        /// Its outcome.
        disposition: Disposition,
        /// Requests that succeeded and that failed.
        ok: u32,
        /// Failed requests.
        failed: u32,
    },
    /// A cell ended without a counted attempt.
    CellMissing {
        /// The cell.
        cell: CellKey,
        /// Why.
        reason: MissingReason,
    },
    /// A cell is not measured, as the suite wants it.
    CellSkipped {
        /// The cell.
        cell: CellKey,
        /// Why.
        reason: SkipReason,
    },
    /// Something the user should know.
    Warning {
        /// The text.
        text: String,
    },
    /// The user asked to stop.
    RunCancelled,
    /// Nothing more will be measured.
    RunFinished {
        /// Cells with a counted attempt.
        counted: u32,
        /// Cells skipped with a reason.
        skipped: u32,
        /// Cells without.
        missing: u32,
    },
}

/// What the coordinator made of an attempt report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Disposition {
    /// The cell's one counted attempt.
    Counted,
    /// Completed, but the cell already had a counted attempt.
    Superseded,
    /// From an older lease, or after the run was sealed.
    Late,
    /// Did not complete.
    Partial,
    /// Requests of the engine warm-up: belong to no cell.
    #[serde(rename = "settling")]
    EngineWarmup,
    /// The agent measured itself at its own endpoint: belongs to no cell.
    #[serde(rename = "floor")]
    ClientOverhead,
}

impl Disposition {
    /// The name used in reports and in the store.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Counted => "counted",
            Self::Superseded => "superseded",
            Self::Late => "late",
            Self::Partial => "partial",
            Self::EngineWarmup => "settling",
            Self::ClientOverhead => "floor",
        }
    }

    /// Reads [`Disposition::name`].
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let all = [
            Self::Counted,
            Self::Superseded,
            Self::Late,
            Self::Partial,
            Self::EngineWarmup,
            Self::ClientOverhead,
        ];
        all.into_iter().find(|d| d.name() == name)
    }
}

/// Why a cell is not measured though nothing went wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum SkipReason {
    /// A lower level of its sweep has shown that the endpoint gives no more.
    Saturated {
        /// The level that showed it: the last one measured.
        at: CaseId,
        /// The figures it rests on: the text of a [`Saturation`](crate::saturation::Saturation).
        evidence: String,
    },
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Saturated { at, evidence } => write!(f, "saturated at {at}: {evidence}"),
        }
    }
}

/// Why a cell has no counted attempt.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum MissingReason {
    /// The host never joined, or never became ready before the wait ended.
    NeverJoined,
    /// The host was refused before the run.
    Refused {
        /// In the host's words.
        why: String,
    },
    /// The agent was lost.
    AgentLost {
        /// What it was doing: `not started`, or the last counters before the loss.
        progress: String,
    },
    /// The agent left of its own accord.
    AgentLeft {
        /// In its own words.
        why: String,
    },
    /// The attempt ended without completing.
    AttemptFailed {
        /// Its outcome.
        why: String,
    },
    /// The user stopped the run.
    Cancelled,
}

impl fmt::Display for MissingReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeverJoined => f.write_str("the host never joined"),
            Self::Refused { why } => write!(f, "the host could not take part: {why}"),
            Self::AgentLost { progress } => write!(f, "the agent was lost ({progress})"),
            Self::AgentLeft { why } => write!(f, "the agent left ({why})"),
            Self::AttemptFailed { why } => write!(f, "the attempt did not complete: {why}"),
            Self::Cancelled => f.write_str("the run was stopped"),
        }
    }
}
