//! What an agent sends back for one attempt.

use std::fmt;
use std::time::Duration;

use crate::assignment::Lease;
use crate::engine::EngineWatch;
use crate::gpu::GpuWindow;
use crate::ids::{AttemptKey, BootId, Epoch, InstanceId};
use crate::time::{ClockAnchor, MonoNs};
use crate::trace::RequestTrace;
use crate::validity::Finding;

/// An attempt that is about to send its first request; on disk before it does.
#[derive(Debug, Clone, PartialEq)]
pub struct Started {
    /// The attempt and its lease.
    pub lease: Lease,
    /// The agent process.
    pub instance: InstanceId,
    /// The boot of the host.
    pub boot: BootId,
    /// Both clocks at the start.
    pub anchor: ClockAnchor,
    /// The instant the coordinator asked for, on the agent's clock; `None` for the engine warm-up.
    pub planned_start: Option<MonoNs>,
}

/// The raw result of one attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct AttemptReport {
    /// Which attempt.
    pub key: AttemptKey,
    /// The lease it ran under.
    pub epoch: Epoch,
    /// The agent process.
    pub instance: InstanceId,
    /// The boot of the host: monotonic stamps of two boots never meet.
    pub boot: BootId,
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// Moves this attempt's monotonic stamps to wall time.
    pub anchor: ClockAnchor,
    /// The instant the coordinator asked for, on the agent's clock; `None` for the engine warm-up
    /// and the client overhead.
    pub planned_start: Option<MonoNs>,
    /// When the agent let the first measured request go.
    pub began: MonoNs,
    /// When the last response ended.
    pub finished: MonoNs,
    /// Every request, in order of `seq`.
    pub traces: Vec<RequestTrace>,
    /// GPU telemetry.
    pub gpu: GpuWindow,
    /// What was seen of the engine beside the requests.
    pub engine: EngineWatch,
    /// The agent's self-checks that had something to say.
    pub findings: Vec<Finding>,
    /// CPU time of the thread that measured, from `began` to `finished`; `None` if it was not
    /// measured.
    pub client_cpu: Option<Duration>,
}

/// How an attempt ended. Only a completed one can be counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// All requests were made; some may have failed.
    Completed,
    /// Stopped on request; the traces up to then are kept.
    Cancelled,
    /// The agent died during it; found after a restart.
    Interrupted,
    /// It could not be carried out.
    Failed(String),
}

impl AttemptOutcome {
    /// The name used in reports.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
            Self::Failed(_) => "failed",
        }
    }
}

impl fmt::Display for AttemptOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(reason) => write!(f, "failed: {reason}"),
            Self::Completed | Self::Cancelled | Self::Interrupted => f.pad(self.name()),
        }
    }
}
