//! What can happen to a run and what it wants done: the closed vocabulary of the state machine.

use std::time::Duration;

use regatta_figures::sweep::SweepLevel;
use regatta_types::assignment::{Assignment, Lease, Preparation};
use regatta_types::attempt::AttemptReport;
use regatta_types::check::CheckOutcome;
use regatta_types::event::{Disposition, EventKind, MissingReason};
use regatta_types::facts::{EngineFacts, HostFacts};
use regatta_types::gpu::{GpuInventory, GpuSample};
use regatta_types::ids::{AttemptKey, BootId, CellKey, HostId, InstanceId};
use regatta_types::reading::Reading;
use regatta_types::record::HostRecord;
use regatta_types::time::{ClockOffset, MonoNs};
use tokio::time::Instant;

use crate::store::Stored;

/// The moment an input is applied, on both clocks the machine needs.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// For timers.
    pub instant: Instant,
    /// For start instants: the coordinator's monotonic clock.
    pub mono: MonoNs,
}

/// One connection of an agent, numbered by the coordinator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// An agent's introduction.
#[derive(Debug, Clone)]
pub struct Joining {
    /// The name it measures under.
    pub host: HostId,
    /// This start of the agent.
    pub instance: InstanceId,
    /// This boot of the host.
    pub boot: BootId,
    /// The machine.
    pub facts: HostFacts,
    /// Its GPUs.
    pub gpus: Reading<GpuInventory>,
    /// Its engine.
    pub engine: Reading<EngineFacts>,
    /// A simulated host.
    pub simulated: bool,
    /// Leases it still works on.
    pub held: Vec<Lease>,
    /// Results it still has to hand over.
    pub pending: Vec<Lease>,
}

/// How far an agent is, from its last heartbeat.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Progress {
    /// Requests of the current attempt that ended well.
    pub requests_done: u64,
    /// Requests that failed.
    pub requests_failed: u64,
    /// Tokens per second lately; for the display only.
    pub tokens_per_second: f64,
    /// The last reading of each GPU.
    pub gpus: Vec<(String, GpuSample)>,
}

/// One thing that happened.
#[derive(Debug)]
pub enum Input {
    /// An agent introduced itself.
    Joined {
        /// Its connection.
        session: SessionId,
        /// Who it is.
        joining: Box<Joining>,
    },
    /// A connection ended.
    Left {
        /// The connection.
        session: SessionId,
        /// How.
        disconnect: Disconnect,
    },
    /// A heartbeat.
    Beat {
        /// The connection.
        session: SessionId,
        /// Its counters.
        progress: Progress,
    },
    /// Any other sign of life, such as a chunk of a report.
    Contact {
        /// The connection.
        session: SessionId,
    },
    /// A burst of clock pings ended; `None`: not one came back in time.
    Clock {
        /// The connection.
        session: SessionId,
        /// The estimate.
        offset: Option<ClockOffset>,
    },
    /// The host is ready, or says why it can't take part.
    Prepared {
        /// The connection.
        session: SessionId,
        /// Its engine as found now.
        engine: Box<Reading<EngineFacts>>,
        /// Its GPUs as found now.
        gpus: Reading<GpuInventory>,
        /// Why it cannot take part.
        refused: Option<String>,
        /// Results of its preflight checks.
        checks: Vec<CheckOutcome>,
    },
    /// The agent began an attempt (its marker is on disk).
    Started {
        /// The connection.
        session: SessionId,
        /// The attempt.
        attempt: AttemptKey,
    },
    /// A whole report arrived and was checked.
    Report {
        /// The connection.
        session: SessionId,
        /// The report.
        report: Box<AttemptReport>,
        /// Its bytes, as they are stored.
        bytes: Vec<u8>,
    },
    /// A report is on disk.
    Stored {
        /// The connection it came over.
        session: SessionId,
        /// What it is.
        stored: StoredAttempt,
    },
    /// A host on which this program starts the agent itself has come so far.
    Launching {
        /// The host.
        host: HostId,
        /// How far.
        step: LaunchStep,
    },
    /// The agent that this program started, or was about to, is gone and will not come back.
    LaunchEnded {
        /// Its host.
        host: HostId,
        /// What was seen.
        why: String,
    },
    /// The user asked to stop.
    Cancel,
    /// A deadline passed.
    Tick,
}

/// How far the start of an agent has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LaunchStep {
    /// Connect to the host and inspect it.
    Connect,
    /// Copy the program.
    Copy,
    /// The agent is started.
    Start,
}

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disconnect {
    /// The agent said goodbye, and why.
    Goodbye(String),
    /// It just ended; what was seen.
    Lost(String),
}

/// The summary of a report that goes with it to the store and back.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredAttempt {
    /// Which attempt.
    pub lease: Lease,
    /// What the run made of it.
    pub disposition: Disposition,
    /// Why it did not complete, if it did not.
    pub incomplete: Option<String>,
    /// Requests that ended well.
    pub ok: u32,
    /// Requests that failed.
    pub failed: u32,
    /// What the store made of it; `New` until it has spoken.
    pub stored: Stored,
    /// What it says of its sweep, if it is a level of one.
    pub level: Option<Box<SweepLevel>>,
}

/// One thing to do.
#[derive(Debug)]
pub enum Effect {
    /// Let the agent in; abort the leases it holds that are not in `keep`.
    Accept {
        /// The connection.
        session: SessionId,
        /// Leases to go on with.
        keep: Vec<Lease>,
    },
    /// Turn the agent away.
    Refuse {
        /// The connection.
        session: SessionId,
        /// Why.
        refusal: Refusal,
    },
    /// Get ready.
    Prepare {
        /// The connection.
        session: SessionId,
        /// For what.
        preparation: Preparation,
    },
    /// The run begins.
    Go {
        /// The connection.
        session: SessionId,
    },
    /// Run a cell.
    Assign {
        /// The connection.
        session: SessionId,
        /// The cell.
        assignment: Box<Assignment>,
    },
    /// Begin no further request, hand over what there is.
    CancelAttempt {
        /// The connection.
        session: SessionId,
        /// Which.
        lease: Lease,
    },
    /// The report is safe.
    Acknowledge {
        /// The connection.
        session: SessionId,
        /// Which.
        lease: Lease,
    },
    /// Estimate the agent's clock; answered by [`Input::Clock`].
    MeasureClock {
        /// The connection.
        session: SessionId,
    },
    /// Nothing more to do: the agent may leave, or wait for the next run.
    Drain {
        /// The connection.
        session: SessionId,
        /// For people.
        reason: String,
    },
    /// Remember what is known of a host.
    StoreHost(Box<HostRecord>),
    /// Remember a report; answered by [`Input::Stored`].
    StoreAttempt {
        /// The connection.
        session: SessionId,
        /// Its summary.
        stored: StoredAttempt,
        /// Its bytes.
        bytes: Vec<u8>,
    },
    /// Remember why a cell has no result.
    StoreMissing(CellKey, MissingReason),
    /// Tell the world.
    Event(EventKind),
}

/// Why an agent is turned away, with one sentence for the person at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Another agent has its name: trying again is no use.
    NameTaken(String),
    /// It has no part in this run; it may have one in the next.
    NotInRun(String),
}

/// Timers and policies of a run.
#[derive(Debug, Clone)]
pub struct RunPolicy {
    /// How long to wait for hosts that have not become ready.
    pub wait: Duration,
    /// What to do with hosts that are late.
    pub late: LatePolicy,
    /// Time between heartbeats of an agent.
    pub beat: Duration,
    /// An agent is declared lost after this long without contact.
    pub lost_after: Duration,
    /// Longest wait of a ready host for the others at each (case, repetition).
    pub barrier: Duration,
    /// Least time between the order and the first start.
    pub first_lead: Duration,
    /// Least time between the order and each later start.
    pub lead: Duration,
    /// Tries at a cell, the first included.
    pub max_attempts: u32,
    /// Exclude hosts that never join; the report names them.
    pub allow_missing: bool,
}

impl Default for RunPolicy {
    fn default() -> Self {
        Self {
            wait: Duration::from_secs(300),
            late: LatePolicy::Drop,
            beat: Duration::from_secs(1),
            lost_after: Duration::from_secs(120),
            barrier: Duration::from_secs(10),
            first_lead: Duration::from_secs(1),
            lead: Duration::from_millis(200),
            max_attempts: 2,
            allow_missing: false,
        }
    }
}

/// What happens to hosts that are not ready when the wait ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum LatePolicy {
    /// Start without them; their cells are missing.
    #[default]
    Drop,
    /// Go on waiting.
    Wait,
    /// Measure nothing.
    Abort,
}
