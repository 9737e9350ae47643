//! The run as a pure state machine: an input and the time go in, effects come out. No IO, no
//! clock, no randomness, so loss, return and cancel are unit tests.

use std::collections::BTreeMap;

use regatta_types::assignment::{EngineWarmup, Preparation};
use regatta_types::event::{EventKind, MissingReason};
use regatta_types::ids::{AttemptNo, CellKey, HostId};
use regatta_types::record::RunHeader;
use regatta_types::suite::Timeouts;
use tokio::time::Instant;

use super::host::{Host, Link, Readiness, Work};
use super::input::{Effect, Input, LatePolicy, Now, RunPolicy, SessionId};
use super::launches::LaunchState;
use super::wants::{CHECK_TIMEOUTS, wants};
use crate::plan::Plan;

/// One run, from the first hello to the seal.
#[derive(Debug)]
pub struct RunState {
    pub(super) header: RunHeader,
    pub(super) plan: Plan,
    pub(super) policy: RunPolicy,
    /// What every host is asked; only the attempt's number differs.
    pub(super) preparation: Preparation,
    pub(super) hosts: BTreeMap<HostId, Host>,
    pub(super) phase: Phase,
    /// Cells that have their end.
    pub(super) closed: BTreeMap<CellKey, Closed>,
    /// Blocks that a host has begun: no host waits for them any more.
    pub(super) begun: usize,
    pub(super) cancelled: bool,
    /// Hosts whose agents this program starts itself.
    pub(super) launches: BTreeMap<HostId, LaunchState>,
}

/// Where the run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Hosts join and prepare.
    Gathering { until: Instant },
    /// Cells are measured.
    Running,
    /// Clocks are compared once more.
    Closing { until: Instant },
    /// Over.
    Finished,
}

/// How a cell ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closed {
    Counted,
    Skipped,
    Missing,
}

/// What a run asks of every host before it begins.
#[derive(Debug, Clone)]
pub struct Orders {
    /// The model to ask for; `None`: each agent's own choice.
    pub model: Option<String>,
    /// How engines are warmed up.
    pub engine_warmup: EngineWarmup,
    /// Only look at the hosts, measure nothing.
    pub check_only: bool,
}

impl RunState {
    /// A run that begins to wait for its hosts at `now`.
    #[must_use]
    pub fn new(
        header: RunHeader,
        orders: Orders,
        policy: RunPolicy,
        now: Now,
    ) -> (Self, Vec<Effect>) {
        let plan =
            if orders.check_only { Plan::default() } else { Plan::new(&header.suite, header.seed) };
        let cells = u32::try_from(plan.blocks().len()).unwrap_or(u32::MAX);
        let begin = Effect::Event(EventKind::RunStarted { run: header.run.clone(), cells });
        let preparation = Preparation {
            run: header.run.clone(),
            suite_hash: header.suite.hash(),
            wants: wants(&header.suite, &orders),
            model: orders.model,
            engine_warmup: orders.engine_warmup,
            timeouts: match header.suite.cases.first() {
                _ if orders.check_only => CHECK_TIMEOUTS,
                Some(case) => case.timeouts,
                None => Timeouts::default(),
            },
            attempt: AttemptNo(0),
            check_only: orders.check_only,
        };
        let phase = Phase::Gathering { until: now.instant + policy.wait };
        let state = Self {
            header,
            plan,
            policy,
            preparation,
            hosts: BTreeMap::new(),
            phase,
            closed: BTreeMap::new(),
            begun: 0,
            cancelled: false,
            launches: BTreeMap::new(),
        };
        (state, vec![begin])
    }

    /// Takes one input and returns the effects.
    pub fn apply(&mut self, now: Now, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.forgive_own_pause(now);
        match input {
            Input::Joined { session, joining } => self.joined(now, session, *joining, &mut effects),
            Input::Left { session, disconnect } => {
                self.left(now, session, disconnect, &mut effects)
            }
            Input::Contact { session } => self.contact(now, session, &mut effects),
            Input::Beat { session, progress } => {
                self.contact(now, session, &mut effects);
                if let Some(host) = self.by_session(session) {
                    host.progress = progress;
                }
            }
            Input::Clock { session, offset } => self.clock(now, session, offset, &mut effects),
            Input::Prepared { session, engine, gpus, refused, checks } => {
                self.contact(now, session, &mut effects);
                if let Some(host) = self.by_session(session) {
                    host.record.engine = *engine;
                    host.record.gpus = gpus;
                    host.record.checks = checks;
                    self.prepared(now, session, refused, &mut effects);
                }
            }
            Input::Started { session, attempt } => {
                self.contact(now, session, &mut effects);
                self.started(session, &attempt, &mut effects);
            }
            Input::Report { session, report, bytes } => {
                self.contact(now, session, &mut effects);
                self.report(session, &report, bytes, &mut effects);
            }
            Input::Stored { session, stored } => self.stored(session, stored, &mut effects),
            Input::Launching { host, step } => self.launching(host, step),
            Input::LaunchEnded { host, why } => self.launch_ended(host, why, &mut effects),
            Input::Cancel => self.cancel(&mut effects),
            Input::Tick => {}
        }
        self.watch_links(now, &mut effects);
        self.advance(now, &mut effects);
        effects
    }

    /// When the next [`Input::Tick`] is due.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let phase = match self.phase {
            // Nothing ends by the clock when late hosts are waited for.
            Phase::Gathering { .. } if self.policy.late == LatePolicy::Wait => None,
            Phase::Gathering { until } | Phase::Closing { until } => Some(until),
            Phase::Running | Phase::Finished => None,
        };
        let blocks = self.plan.blocks().len();
        let patience = self.patience();
        let hosts = self.hosts.values().filter_map(|host| {
            let silent = |beats: u32| host.last_contact + self.policy.beat * beats;
            let link = match host.link {
                Link::Connected(_) => Some(silent(SUSPECT_BEATS)),
                Link::Suspect(_) => Some(silent(DISCONNECT_BEATS)),
                Link::Disconnected(_) => Some(host.last_contact + self.policy.lost_after),
                Link::Lost(_) => None,
            };
            let barrier = match host.work {
                Work::Waiting(since) if self.phase == Phase::Running && host.is_waiting(blocks) => {
                    Some(since + patience)
                }
                Work::Waiting(_) | Work::Syncing | Work::Leased { .. } | Work::Storing { .. } => {
                    None
                }
            };
            [link, barrier].into_iter().flatten().min()
        });
        phase.into_iter().chain(hosts).min()
    }

    /// A deadline that is noticed late was missed by this process, paused or starved: silence meanwhile
    /// says nothing about the agents, so their timers start afresh.
    fn forgive_own_pause(&mut self, now: Now) {
        let Some(due) = self.next_deadline() else { return };
        let pause = now.instant.saturating_duration_since(due);
        if pause <= self.policy.beat {
            return;
        }
        for host in self.hosts.values_mut() {
            host.last_contact += pause;
            if let Work::Waiting(since) = &mut host.work {
                *since += pause;
            }
        }
    }

    /// Whether the run is over.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.phase == Phase::Finished
    }

    pub(super) fn by_session(&mut self, session: SessionId) -> Option<&mut Host> {
        self.hosts.values_mut().find(|host| host.link.is_over(session))
    }

    pub(super) fn contact(&mut self, now: Now, session: SessionId, effects: &mut Vec<Effect>) {
        let Some(host) = self.by_session(session) else { return };
        host.last_contact = now.instant;
        let before = std::mem::replace(&mut host.link, Link::Connected(session));
        if before == Link::Disconnected(Some(session)) {
            // It was only silent: the connection held, nothing is repeated.
            if host.work == Work::Syncing {
                effects.push(Effect::MeasureClock { session });
            }
            let host = host.record.host.clone();
            effects.push(Effect::Event(EventKind::AgentJoined { host, again: true }));
        }
    }

    fn prepared(
        &mut self,
        now: Now,
        session: SessionId,
        refused: Option<String>,
        effects: &mut Vec<Effect>,
    ) {
        let check_only = self.preparation.check_only;
        let Some(host) = self.by_session(session) else { return };
        if host.readiness != Readiness::Preparing {
            return;
        }
        host.readiness = if refused.is_some() { Readiness::Out } else { Readiness::Ready };
        host.record.refused.clone_from(&refused);
        // An engine that was found was warmed up. A check keeps no reports.
        let has_report = host.record.engine.known().is_some() && !check_only;
        host.owes = refused.is_some() && has_report;
        if let Work::Waiting(since) = &mut host.work {
            // Its patience begins now, not when its clock was compared.
            *since = now.instant;
        }
        let name = host.record.host.clone();
        effects.push(Effect::StoreHost(Box::new(host.record.clone())));
        effects.push(Effect::Event(EventKind::HostPrepared {
            host: name.clone(),
            refused: refused.clone(),
        }));
        if let Some(why) = refused
            && self.phase == Phase::Running
        {
            let reason = MissingReason::Refused { why };
            self.give_up(&name, &reason, &reason, effects);
        }
    }

    pub(super) fn clock(
        &mut self,
        now: Now,
        session: SessionId,
        offset: Option<regatta_types::time::ClockOffset>,
        effects: &mut Vec<Effect>,
    ) {
        self.contact(now, session, effects);
        let Some(host) = self.by_session(session) else { return };
        if let Some(offset) = offset {
            host.clock = Some(offset);
            // The first and the latest are kept: before the run and after it.
            host.record.clocks.truncate(1);
            host.record.clocks.push(offset);
            effects.push(Effect::StoreHost(Box::new(host.record.clone())));
        } else if host.clock.is_none() && host.work == Work::Syncing {
            effects.push(Effect::MeasureClock { session });
            return;
        }
        if host.work == Work::Syncing {
            host.work = Work::Waiting(now.instant);
        }
    }
}

/// Missed heartbeats after which an agent is suspect, and disconnected.
pub(super) const SUSPECT_BEATS: u32 = 3;
pub(super) const DISCONNECT_BEATS: u32 = 10;

pub(super) fn usize_of(n: u32) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}
