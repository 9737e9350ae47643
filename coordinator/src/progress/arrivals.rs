//! Arrival of hosts as plain lines, for preflight checks without a run.

use std::time::Duration;

use regatta_types::event::{EventKind, RunEvent};
use tokio::time::Instant;

use super::{Screen, lines, short};
use crate::output::say;
use crate::run::{RunView, Stage};

/// Time between reminders of pending hosts.
const REMINDER: Duration = Duration::from_secs(10);

pub(super) struct Arrivals {
    began: Instant,
}

impl Arrivals {
    pub(super) fn new() -> Self {
        Self { began: Instant::now() }
    }
}

impl Screen for Arrivals {
    fn period(&self) -> Duration {
        REMINDER
    }

    fn event(&mut self, event: &RunEvent) {
        let line = match &event.kind {
            EventKind::HostPrepared { host, refused: None } => Some(format!("{host} checked")),
            EventKind::HostPrepared { refused: Some(_), .. }
            | EventKind::HostLeftOut { .. }
            | EventKind::AgentJoined { .. }
            | EventKind::AgentDisconnected { .. }
            | EventKind::AgentLost { .. }
            | EventKind::Warning { .. } => lines::describe(&event.kind),
            EventKind::RunCancelled => Some("stopping".to_owned()),
            EventKind::RunStarted { .. }
            | EventKind::AssignmentLeased { .. }
            | EventKind::AttemptStarted { .. }
            | EventKind::AttemptFinished { .. }
            | EventKind::CellMissing { .. }
            | EventKind::CellSkipped { .. }
            | EventKind::RunFinished { .. } => None,
        };
        if let Some(line) = line {
            say(&format!("[{:>6}] {line}", short(event.elapsed)));
        }
    }

    fn view(&mut self, view: &RunView) {
        let waits = view.gathering && self.began.elapsed() >= REMINDER;
        let busy = view.hosts.iter().filter(|host| host.stage == Stage::Preparing);
        let busy: Vec<&str> = busy.map(|host| host.host.as_str()).collect();
        if waits && !busy.is_empty() {
            say(&format!("[{:>6}] checking {}", short(self.began.elapsed()), busy.join(", ")));
        }
    }

    fn close(&mut self) {}
}
