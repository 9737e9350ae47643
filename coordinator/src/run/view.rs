//! View of a run in progress, for display.

use regatta_types::ids::{CaseId, HostId};
use regatta_types::record::ExpectedHosts;

use super::host::{Host, Link, Readiness, Work};
use super::input::{LaunchStep, Progress};
use super::launches::LaunchState;
use super::state::{Phase, RunState};

/// A snapshot of all hosts.
#[derive(Debug, Clone)]
pub struct RunView {
    /// By name.
    pub hosts: Vec<HostView>,
    /// The expected hosts.
    pub expected: ExpectedHosts,
    /// Still waiting for hosts.
    pub gathering: bool,
}

impl RunView {
    /// Hosts whose agents have joined.
    #[must_use]
    pub fn joined(&self) -> usize {
        let absent = |stage: Stage| stage.is_launch() || stage == Stage::NotStarted;
        self.hosts.iter().filter(|host| !absent(host.stage)).count()
    }
}

/// A snapshot of one host.
#[derive(Debug, Clone)]
pub struct HostView {
    /// Its name.
    pub host: HostId,
    /// Its stage.
    pub stage: Stage,
    /// Its current case.
    pub case: Option<CaseId>,
    /// Completed cells.
    pub done: usize,
    /// Total cells.
    pub total: usize,
    /// Its last heartbeat.
    pub progress: Progress,
}

/// Stage of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The launch connects to the host.
    Connecting,
    /// The launch copies the agent.
    Copying,
    /// The launch starts the agent.
    Starting,
    /// The launch failed.
    NotStarted,
    /// Checking and warming up its engine.
    Preparing,
    /// Waiting for other hosts.
    Waiting,
    /// A case runs.
    Measuring,
    /// Writing a report to disk.
    Storing,
    /// All cells are completed.
    Done,
    /// No heartbeat for a while.
    Silent,
    /// May reconnect.
    Disconnected,
    /// Declared lost.
    Lost,
    /// Excluded from the run.
    Refused,
}

impl Stage {
    /// The display name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Copying => "copying",
            Self::Starting => "starting",
            Self::NotStarted => "not started",
            Self::Preparing => "warming up",
            Self::Waiting => "waiting",
            Self::Measuring => "measuring",
            Self::Storing => "storing",
            Self::Done => "done",
            Self::Silent => "silent",
            Self::Disconnected => "disconnected",
            Self::Lost => "lost",
            Self::Refused => "refused",
        }
    }

    /// Whether the launch is in progress.
    #[must_use]
    pub fn is_launch(self) -> bool {
        matches!(self, Self::Connecting | Self::Copying | Self::Starting)
    }
}

impl RunState {
    /// A snapshot of the run for the progress display.
    #[must_use]
    pub fn view(&self) -> RunView {
        let blocks = self.plan.blocks().len();
        let launches = self.launches.iter().filter(|(name, _)| !self.hosts.contains_key(name));
        let launches = launches.map(|(name, launch)| HostView {
            host: name.clone(),
            stage: match launch {
                LaunchState::At(LaunchStep::Connect) => Stage::Connecting,
                LaunchState::At(LaunchStep::Copy) => Stage::Copying,
                LaunchState::At(LaunchStep::Start) => Stage::Starting,
                LaunchState::Ended(_) => Stage::NotStarted,
            },
            case: None,
            done: 0,
            total: blocks,
            progress: Progress::default(),
        });
        let hosts = self.hosts.iter().map(|(name, host)| HostView {
            host: name.clone(),
            stage: self.stage(host, blocks),
            case: self
                .plan
                .blocks()
                .get(host.cursor)
                .and_then(|block| self.header.suite.cases.get(block.case))
                .map(|case| case.id.clone()),
            done: if host.link.is_lost() || host.readiness == Readiness::Out {
                host.counted
            } else {
                host.cursor.min(blocks)
            },
            total: blocks,
            progress: host.progress.clone(),
        });
        let mut hosts: Vec<HostView> = hosts.chain(launches).collect();
        hosts.sort_by(|a, b| a.host.cmp(&b.host));
        RunView {
            hosts,
            expected: self.header.expected.clone(),
            gathering: matches!(self.phase, Phase::Gathering { .. }),
        }
    }

    fn stage(&self, host: &Host, blocks: usize) -> Stage {
        match (host.link, host.readiness, &host.work) {
            (Link::Lost(_), _, _) => Stage::Lost,
            (Link::Disconnected(_), _, _) => Stage::Disconnected,
            (_, Readiness::Out, _) => Stage::Refused,
            (_, Readiness::Preparing, _) => Stage::Preparing,
            (Link::Suspect(_), _, _) => Stage::Silent,
            _ if host.cursor >= blocks => Stage::Done,
            (_, _, Work::Leased { .. }) => Stage::Measuring,
            (_, _, Work::Storing { .. }) => Stage::Storing,
            (_, _, Work::Syncing | Work::Waiting(_)) => Stage::Waiting,
        }
    }
}
