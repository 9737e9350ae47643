//! What the run knows of one host: its link, its readiness and the cell it works on.

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
    /// It was refused for what its warm-up shows, and the report of that is still to come.
    pub(super) owes: bool,
    pub(super) work: Work,
    /// Index of the plan's block this host is at.
    pub(super) cursor: usize,
    /// Number of the last attempt at the cell of `cursor`.
    pub(super) attempts: u32,
    /// Those of them that were begun, as far as is known.
    pub(super) tries: u32,
    /// Cells with a counted attempt.
    pub(super) counted: usize,
    /// What its sweeps have shown so far, by the id that their levels share.
    pub(super) sweeps: BTreeMap<CaseId, SweepState>,
    /// Engine warm-ups asked of it.
    pub(super) warmups: u32,
    /// Grows with every lease and with every loss, so that no lease is ever granted twice.
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
    /// May come back; nothing new is given to it and nobody waits for it. With a session: the
    /// connection is still open but silent.
    Disconnected(Option<SessionId>),
    /// Given up: its cells are closed and it takes no further part. With a session: it came back
    /// to hand over what it still had.
    Lost(Option<SessionId>),
}

/// Whether a host takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readiness {
    Preparing,
    Ready,
    /// Refused before the run, or late.
    Out,
}

/// What a host is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Work {
    /// Its clock is being compared before the next start.
    Syncing,
    /// Waiting for the others since then.
    Waiting(Instant),
    /// Working on a lease.
    Leased { attempt: AttemptKey, started: bool },
    /// Its report is on the way to the disk.
    Storing { attempt: AttemptKey },
}

impl Link {
    /// Whether frames of this session belong to the host.
    pub(super) fn is_over(self, session: SessionId) -> bool {
        match self {
            Self::Connected(own) | Self::Suspect(own) | Self::Disconnected(Some(own)) => {
                own == session
            }
            Self::Disconnected(None) | Self::Lost(_) => false,
        }
    }

    /// The connection that is still open, whether anything is expected of it or not.
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
    /// The connection, while there is one.
    pub(super) fn session(&self) -> Option<SessionId> {
        match self.link {
            Link::Connected(session) | Link::Suspect(session) => Some(session),
            Link::Disconnected(_) | Link::Lost(_) => None,
        }
    }

    /// Whether others wait for this host at a start.
    pub(super) fn is_active(&self, blocks: usize) -> bool {
        self.session().is_some() && self.readiness == Readiness::Ready && self.cursor < blocks
    }

    /// Whether it could begin its next cell now.
    pub(super) fn is_waiting(&self, blocks: usize) -> bool {
        self.is_active(blocks) && self.clock.is_some() && matches!(self.work, Work::Waiting(_))
    }

    /// The attempt it holds or has handed over, if any.
    pub(super) fn attempt(&self) -> Option<&AttemptKey> {
        match &self.work {
            Work::Leased { attempt, .. } | Work::Storing { attempt } => Some(attempt),
            Work::Syncing | Work::Waiting(_) => None,
        }
    }

    /// Moves on to the next block.
    pub(super) fn next_cell(&mut self) {
        self.cursor += 1;
        self.attempts = 0;
        self.tries = 0;
    }

    /// What was last known of the work in hand, for the reason of a lost cell.
    pub(super) fn last_words(&self) -> String {
        match &self.work {
            Work::Syncing | Work::Waiting(_) | Work::Leased { started: false, .. } => {
                "not started".to_owned()
            }
            Work::Leased { started: true, .. } => format!(
                "after {} finished and {} failed requests by its last heartbeat",
                self.progress.requests_done, self.progress.requests_failed
            ),
            Work::Storing { .. } => "while its report was being stored".to_owned(),
        }
    }
}
