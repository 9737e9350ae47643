//! What happened to a host while it measured: its connection, its engine, its GPUs, and answers that
//! stalled.

use regatta_types::attempt::AttemptReport;
use regatta_types::engine::EngineSample;
use regatta_types::event::EventKind;
use regatta_types::facts::EngineFacts;
use regatta_types::failure::FailureKind;
use regatta_types::ids::HostId;
use regatta_types::record::RunRecord;
use regatta_types::time::{MonoNs, UnixNs};
use regatta_types::trace::{Outcome, RequestTrace};

use crate::facts::{FactChange, engine_seen};
use crate::metrics::{measured, restarts, serving, stalls_of};

/// Most stalls that are listed: the longest.
const STALLS: usize = 10;
/// Nanoseconds by which the start of one process may be read differently.
const SAME_START: u64 = 2_000_000_000;

/// The events of a host, in order of time.
#[derive(Debug, Default)]
pub struct HostEvents {
    pub events: Vec<HostEvent>,
    /// Shorter stalls that are not among them.
    pub more_stalls: usize,
    /// Whether the engine's process or counters are known, so that a restart would be among them.
    pub restarts_seen: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct HostEvent {
    /// By the coordinator's clock for what befell a connection, else by the host's.
    pub at: UnixNs,
    pub what: Happened,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Happened {
    /// The agent was connected again.
    JoinedAgain,
    /// Its connection ended, or it was silent.
    Disconnected(String),
    /// It was declared lost.
    Lost(String),
    /// An attempt found a different engine than at the start.
    EngineChanged(Vec<FactChange>),
    EngineRestarted(RestartSign),
    /// Requests that found no engine: consecutive attempts are one event.
    EngineAway {
        requests: usize,
    },
    /// The telemetry of a GPU ended.
    GpuEnded(String),
    /// A token came after over a second without one.
    Stall {
        /// How long there was none.
        seconds: f64,
        request_id: String,
    },
}

/// What shows that an engine restarted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestartSign {
    /// Its process is not that of before.
    Process,
    /// One of its counters ran backwards.
    Counter,
}

impl HostEvents {
    /// `counted` are the host's counted attempts.
    pub(super) fn of(
        run: &RunRecord,
        host: &HostId,
        first: Option<&EngineFacts>,
        mut counted: Vec<&AttemptReport>,
    ) -> Self {
        counted.sort_by_key(|report| report.began);
        let mut events: Vec<HostEvent> = connections(run, host).collect();
        let mut before: Option<Vec<FactChange>> = None;
        let mut engine = EngineState::new(first);
        for report in &counted {
            let wall = |at: MonoNs| report.anchor.to_unix(at);
            let change = engine_seen(first, report).map(|(_, change)| change);
            if let Some(what) = change.clone().filter(|_| change != before) {
                let what = Happened::EngineChanged(what);
                events.push(HostEvent { at: wall(report.began), what });
            }
            before = change;
            engine.follow(report, &mut events);
            let ended = serving(&report.gpu).filter_map(|series| series.ended.as_ref());
            events.extend(ended.map(|end| {
                let what = Happened::GpuEnded(end.reason.clone());
                HostEvent { at: wall(end.at), what }
            }));
        }
        let mut stalls: Vec<(UnixNs, f64, String)> =
            counted.iter().flat_map(|r| stalls(r)).collect();
        stalls.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| (a.0, &a.2).cmp(&(b.0, &b.2))));
        let more_stalls = stalls.len().saturating_sub(STALLS);
        events.extend(stalls.into_iter().take(STALLS).map(|(at, seconds, request_id)| HostEvent {
            at,
            what: Happened::Stall { seconds, request_id },
        }));
        events.sort_by_key(|event| event.at);
        Self { events, more_stalls, restarts_seen: engine.is_seen() }
    }
}

/// An engine as the attempts so far have seen it.
struct EngineState {
    started: Option<UnixNs>,
    last: Option<EngineSample>,
    /// The event of the last attempt that did not find it.
    away: Option<usize>,
}

impl EngineState {
    fn new(first: Option<&EngineFacts>) -> Self {
        Self { started: first.and_then(|first| first.process.started), last: None, away: None }
    }

    /// Whether a restart would be seen at all.
    fn is_seen(&self) -> bool {
        self.started.is_some() || self.last.is_some()
    }

    /// What happened to the engine in an attempt, or between it and the one before.
    fn follow(&mut self, report: &AttemptReport, events: &mut Vec<HostEvent>) {
        let wall = |at: MonoNs| report.anchor.to_unix(at);
        let known = events.len();
        let watch = &report.engine;
        for facts in [&watch.before, &watch.after].into_iter().filter_map(|seen| seen.known()) {
            let Some(started) = facts.process.started else { continue };
            let was = self.started.replace(started);
            if was.is_some_and(|was| started.0.abs_diff(was.0) > SAME_START) {
                let what = Happened::EngineRestarted(RestartSign::Process);
                events.push(HostEvent { at: started, what });
            }
        }
        let own = watch.metrics.samples.known().into_iter().flatten().copied();
        let samples: Vec<EngineSample> = self.last.into_iter().chain(own).collect();
        if events.len() == known {
            let what = Happened::EngineRestarted(RestartSign::Counter);
            let restart = |at| HostEvent { at: wall(at), what: what.clone() };
            events.extend(restarts(&samples).into_iter().map(restart));
        }
        self.last = samples.last().copied();
        let lost = || report.traces.iter().filter(|trace| found_no_engine(trace));
        if lost().next().is_none() {
            self.away = None;
            return;
        }
        let away = *self.away.get_or_insert_with(|| {
            let at = lost().filter_map(|t| t.t_send().or(t.done)).min().unwrap_or(report.began);
            events.push(HostEvent { at: wall(at), what: Happened::EngineAway { requests: 0 } });
            events.len() - 1
        });
        if let Happened::EngineAway { requests } = &mut events[away].what {
            *requests += lost().count();
        }
    }
}

fn found_no_engine(trace: &RequestTrace) -> bool {
    match &trace.outcome {
        Outcome::Failed(failure) => {
            matches!(failure.kind, FailureKind::Unreachable | FailureKind::Reset)
        }
        Outcome::Ok | Outcome::Cancelled | Outcome::NotSent => false,
    }
}

/// What befell the connection of a host.
fn connections<'r>(
    run: &'r RunRecord,
    host: &'r HostId,
) -> impl Iterator<Item = HostEvent> + use<'r> {
    run.events.iter().filter_map(move |event| {
        let (whose, what) = match &event.kind {
            EventKind::AgentJoined { host, again: true } => (host, Happened::JoinedAgain),
            EventKind::AgentDisconnected { host, reason } => {
                (host, Happened::Disconnected(reason.clone()))
            }
            EventKind::AgentLost { host, reason } => (host, Happened::Lost(reason.clone())),
            EventKind::RunStarted { .. }
            | EventKind::AgentJoined { again: false, .. }
            | EventKind::HostPrepared { .. }
            | EventKind::HostLeftOut { .. }
            | EventKind::AssignmentLeased { .. }
            | EventKind::AttemptStarted { .. }
            | EventKind::AttemptFinished { .. }
            | EventKind::CellMissing { .. }
            | EventKind::CellSkipped { .. }
            | EventKind::Warning { .. }
            | EventKind::RunCancelled
            | EventKind::RunFinished { .. } => return None,
        };
        (whose == host).then_some(HostEvent { at: event.at, what })
    })
}

/// The stalls of the measured requests: when each ended, how long it was, and of which request.
fn stalls(report: &AttemptReport) -> impl Iterator<Item = (UnixNs, f64, String)> {
    measured(&report.traces).flat_map(move |trace| {
        stalls_of(trace).map(move |(at, seconds)| {
            (report.anchor.to_unix(at), seconds, report.key.request_id(trace.seq))
        })
    })
}
