//! State of one host in a run: its link, its readiness and its current cell.

use std::collections::BTreeMap;

use regatta_types::ids::{AttemptKey, BootId, CaseId, Epoch, InstanceId};
use regatta_types::record::HostRecord;
use regatta_types::time::ClockOffset;
use tokio::time::Instant;

use super::input::{Progress, SessionId};
use super::sweeps::SweepState;

/// The state of one host.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) record: HostRecord,
    pub(super) instance: InstanceId,
    pub(super) boot: BootId,
    pub(super) link: Link,
    pub(super) last_contact: Instant,
    pub(super) readiness: Readiness,
    /// It was refused after its warm-up, whose report is still pending.
    pub(super) owes: bool,
    pub(super) work: Work,
    /// Index of its current block in the plan.
    pub(super) cursor: usize,
    /// Number of the last attempt at the current cell.
    pub(super) attempts: u32,
    /// Number of these attempts that are known to have started.
    pub(super) tries: u32,
    /// Cells with a counted attempt.
    pub(super) counted: usize,
    /// State of its sweeps, by sweep id.
    pub(super) sweeps: BTreeMap<CaseId, SweepState>,
    /// Number of requested engine warm-ups.
    pub(super) warmups: u32,
    /// Incremented with every lease and loss, so that no lease is granted twice.
    pub(super) epoch: Epoch,
    pub(super) clock: Option<ClockOffset>,
    pub(super) progress: Progress,
}

/// The connection to a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    Connected(SessionId),
    /// Connected, but silent for some heartbeats.
    Suspect(SessionId),
    /// May reconnect. It gets no new work and no host waits for it. With a session: the connection
    /// is open but silent.
    Disconnected(Option<SessionId>),
    /// Declared lost: its cells are closed. With a session: it reconnected to deliver pending
    /// results.
    Lost(Option<SessionId>),
}

/// Whether a host takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readiness {
    Preparing,
    Ready,
    /// Refused before the run, or not ready in time.
    Out,
}

/// What a host is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Work {
    /// Its clock is synchronized before the next start.
    Syncing,
    /// Waiting for the other hosts since this time.
    Waiting(Instant),
    /// Working on a lease.
    Leased { attempt: AttemptKey, started: bool },
    /// Its report is being written to disk.
    Storing { attempt: AttemptKey },
}

impl Link {
    /// Whether messages of this session belong to the host.
    pub(super) fn is_over(self, session: SessionId) -> bool {
        match self {
            Self::Connected(own) | Self::Suspect(own) | Self::Disconnected(Some(own)) => {
                own == session
            }
            Self::Disconnected(None) | Self::Lost(_) => false,
        }
    }

    /// The open connection, in any state.
    pub(super) fn open(self) -> Option<SessionId> {
        match self {
            Self::Connected(session) | Self::Suspect(session) => Some(session),
            Self::Disconnected(session) | Self::Lost(session) => session,
        }
    }

    pub(super) fn is_lost(self) -> bool {
        match self {
            Self::Lost(_) => true,
            Self::Connected(_) | Self::Suspect(_) | Self::Disconnected(_) => false,
        }
    }
}

impl Host {
    /// The active connection, if any.
    pub(super) fn session(&self) -> Option<SessionId> {
        match self.link {
            Link::Connected(session) | Link::Suspect(session) => Some(session),
            Link::Disconnected(_) | Link::Lost(_) => None,
        }
    }

    /// Whether other hosts wait for this one at a start.
    pub(super) fn is_active(&self, blocks: usize) -> bool {
        self.session().is_some() && self.readiness == Readiness::Ready && self.cursor < blocks
    }

    /// Whether it can start its next cell now.
    pub(super) fn is_waiting(&self, blocks: usize) -> bool {
        self.is_active(blocks) && self.clock.is_some() && matches!(self.work, Work::Waiting(_))
    }

    /// The attempt it runs or has delivered, if any.
    pub(super) fn attempt(&self) -> Option<&AttemptKey> {
        match &self.work {
            Work::Leased { attempt, .. } | Work::Storing { attempt } => Some(attempt),
            Work::Syncing | Work::Waiting(_) => None,
        }
    }

    /// Advances to the next block.
    pub(super) fn next_cell(&mut self) {
        self.cursor += 1;
        self.attempts = 0;
        self.tries = 0;
    }

    /// Last known progress, for the reason of a lost cell.
    pub(super) fn last_progress(&self) -> String {
        match &self.work {
            Work::Syncing | Work::Waiting(_) | Work::Leased { started: false, .. } => {
                "not started".to_owned()
            }
            Work::Leased { started: true, .. } => format!(
                "after {} completed and {} failed requests at the last heartbeat",
                self.progress.requests_done, self.progress.requests_failed
            ),
            Work::Storing { .. } => "while storing its report".to_owned(),
        }
    }
}
