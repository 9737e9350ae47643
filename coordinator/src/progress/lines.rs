//! Plain lines for logs, pipes and CI: changes and a periodic summary.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use regatta_types::event::{Disposition, EventKind, RunEvent};
use regatta_types::ids::HostId;
use regatta_types::units::quantity;
use tokio::time::Instant;

use super::{Screen, short};
use crate::run::{RunView, Stage};

/// Time between summaries.
const SUMMARY: Duration = Duration::from_secs(10);

/// Time between checks for changes.
const LOOK: Duration = Duration::from_secs(1);

pub(super) struct Lines {
    began: Instant,
    /// Time of the next summary.
    summary: Instant,
    /// Last printed stage of hosts whose agents are starting.
    launches: BTreeMap<HostId, Stage>,
    joined: BTreeSet<HostId>,
}

impl Lines {
    pub(super) fn new() -> Self {
        let began = Instant::now();
        Self { began, summary: began + SUMMARY, launches: BTreeMap::new(), joined: BTreeSet::new() }
    }
}

#[expect(clippy::print_stderr, reason = "progress goes to stderr")]
fn say(line: &str) {
    eprintln!("{line}");
}

/// The line for an event; `None` for events that only change a counter.
pub(super) fn describe(kind: &EventKind) -> Option<String> {
    match kind {
        EventKind::RunStarted { run, cells } => {
            Some(format!("run {run}: {} per host", quantity(*cells, "cell")))
        }
        EventKind::AgentJoined { host, again: false } => Some(format!("{host} joined")),
        EventKind::AgentJoined { host, again: true } => Some(format!("{host} reconnected")),
        EventKind::AgentDisconnected { host, reason } => {
            Some(format!("{host} disconnected ({reason}), may reconnect"))
        }
        EventKind::AgentLost { host, reason } => Some(format!("{host} declared lost ({reason})")),
        EventKind::HostPrepared { host, refused: None } => Some(format!("{host} is ready")),
        EventKind::HostPrepared { host, refused: Some(why) } => {
            Some(format!("{host} refused: {why}"))
        }
        EventKind::AttemptFinished { attempt, disposition, ok, failed } => match disposition {
            Disposition::Counted | Disposition::EngineWarmup | Disposition::ClientOverhead
                if *failed == 0 =>
            {
                None
            }
            Disposition::Counted | Disposition::EngineWarmup | Disposition::ClientOverhead => {
                Some(format!("{attempt}: {failed} of {} requests failed", ok + failed))
            }
            Disposition::Superseded | Disposition::Late | Disposition::Partial => {
                Some(format!("{attempt} not counted: {}", disposition.name()))
            }
        },
        EventKind::CellMissing { .. }
        | EventKind::AssignmentLeased { .. }
        | EventKind::AttemptStarted { .. } => None,
        EventKind::Warning { text } => Some(format!("warning: {text}")),
        EventKind::HostLeftOut { host, why } => Some(format!("{host} excluded: {why}")),
        EventKind::RunCancelled => Some(
            "stopping: current requests finish, then the report is written (Ctrl-C again to exit \
             now)"
                .to_owned(),
        ),
        EventKind::CellSkipped { cell, reason } => Some(format!("{cell} skipped: {reason}")),
        EventKind::RunFinished { counted, skipped, missing } => {
            let counted = quantity(*counted, "cell");
            Some(format!("finished: {counted} counted, {skipped} skipped, {missing} missing"))
        }
    }
}

impl Screen for Lines {
    fn period(&self) -> Duration {
        LOOK
    }

    fn event(&mut self, event: &RunEvent) {
        if let EventKind::AgentJoined { host, .. } = &event.kind {
            self.joined.insert(host.clone());
        }
        if let Some(line) = describe(&event.kind) {
            say(&format!("[{:>6}] {line}", short(event.elapsed)));
        }
    }

    fn view(&mut self, view: &RunView) {
        let now = short(self.began.elapsed());
        for host in view.hosts.iter().filter(|host| host.stage.is_launch()) {
            // The view can lag behind the events.
            let is_news = !self.joined.contains(&host.host)
                && self.launches.insert(host.host.clone(), host.stage) != Some(host.stage);
            if is_news {
                say(&format!("[{now:>6}] {}: {}", host.host, host.stage.name()));
            }
        }
        if Instant::now() < self.summary || view.hosts.is_empty() {
            return;
        }
        self.summary += SUMMARY;
        let hosts: Vec<String> = view
            .hosts
            .iter()
            .map(|host| format!("{} {}/{} {}", host.host, host.done, host.total, host.stage.name()))
            .collect();
        say(&format!("[{now:>6}] {}", hosts.join(", ")));
    }

    fn close(&mut self) {}
}
