//! Hosts that join, leave, go silent and reconnect.

use std::collections::BTreeMap;

use regatta_types::assignment::{Lease, Preparation};
use regatta_types::event::{EventKind, MissingReason};
use regatta_types::ids::{AttemptNo, Epoch, HostId};
use regatta_types::record::{ExpectedHosts, HostRecord};
use regatta_types::units::quantity;

use super::host::{Host, Link, Readiness, Work};
use super::input::{Disconnect, Effect, Joining, Now, Progress, Refusal, SessionId};
use super::state::{DISCONNECT_BEATS, Phase, RunState, SUSPECT_BEATS, usize_of};

impl RunState {
    pub(super) fn joined(
        &mut self,
        now: Now,
        session: SessionId,
        joining: Joining,
        effects: &mut Vec<Effect>,
    ) {
        if let Some(refusal) = self.refusal(&joining) {
            effects.push(Effect::Refuse { session, refusal });
            return;
        }
        let known = self.hosts.get(&joining.host).map(|host| (host.link.is_lost(), host.warmups));
        let warmups = match known {
            None => 1,
            // Nothing has started yet: it starts over.
            Some((true, warmups)) if self.is_gathering() => warmups + 1,
            Some(_) => return self.rejoined(now, session, joining, effects),
        };
        let again = known.is_some();
        let host = Host {
            record: HostRecord {
                host: joining.host.clone(),
                facts: Some(joining.facts),
                gpus: joining.gpus,
                engine: joining.engine,
                clocks: Vec::new(),
                refused: None,
                simulated: joining.simulated,
                checks: Vec::new(),
            },
            instance: joining.instance,
            boot: joining.boot,
            link: Link::Connected(session),
            last_contact: now.instant,
            readiness: Readiness::Preparing,
            owes: false,
            work: Work::Syncing,
            cursor: 0,
            attempts: 0,
            tries: 0,
            counted: 0,
            sweeps: BTreeMap::new(),
            warmups,
            epoch: Epoch(0),
            clock: None,
            progress: Progress::default(),
        };
        effects.push(Effect::Accept { session, keep: Vec::new() });
        effects.push(Effect::StoreHost(Box::new(host.record.clone())));
        effects.push(Effect::Event(EventKind::AgentJoined { host: joining.host.clone(), again }));
        effects.push(Effect::MeasureClock { session });
        let preparation = Preparation { attempt: AttemptNo(warmups), ..self.preparation.clone() };
        effects.push(Effect::Prepare { session, preparation });
        self.hosts.insert(joining.host, host);
    }

    fn is_gathering(&self) -> bool {
        match self.phase {
            Phase::Gathering { .. } => true,
            Phase::Running | Phase::Closing { .. } | Phase::Finished => false,
        }
    }

    /// Why this agent is refused, if it is.
    pub(super) fn refusal(&self, joining: &Joining) -> Option<Refusal> {
        let name = &joining.host;
        let run = &self.header.run;
        if let Some(host) = self.hosts.get(name) {
            return match host.link {
                Link::Connected(_) if host.instance != joining.instance => {
                    Some(Refusal::NameTaken(format!(
                        "an agent named `{name}` is already connected. Set a different --name"
                    )))
                }
                // A silent connection is replaced: it may be the same host after a power failure.
                Link::Connected(_) | Link::Suspect(_) | Link::Disconnected(_) | Link::Lost(_) => {
                    None
                }
            };
        }
        let reason = match (&self.header.expected, self.phase) {
            (ExpectedHosts::Named(names), _) if !names.contains(name) => {
                format!("run {run} does not expect host `{name}` (--hosts)")
            }
            (ExpectedHosts::Count(n), _) if self.hosts.len() >= usize_of(*n) => {
                format!("run {run} already has all of its {}", quantity(*n, "host"))
            }
            (_, Phase::Gathering { .. }) => return None,
            (_, Phase::Running | Phase::Closing { .. } | Phase::Finished) => {
                format!("run {run} started without host `{name}`")
            }
        };
        Some(Refusal::NotInRun(reason))
    }

    fn rejoined(
        &mut self,
        now: Now,
        session: SessionId,
        joining: Joining,
        effects: &mut Vec<Effect>,
    ) {
        let base = self.preparation.clone();
        let Some(host) = self.hosts.get_mut(&joining.host) else { return };
        if host.link.is_lost() {
            // Only to deliver pending results, which are stored as late.
            host.link = Link::Lost(Some(session));
            effects.push(Effect::Accept { session, keep: Vec::new() });
            let reason = format!("host `{}` was declared lost in this run", joining.host);
            effects.push(Effect::Drain { session, reason });
            return;
        }
        let restarted = host.instance != joining.instance;
        host.link = Link::Connected(session);
        host.last_contact = now.instant;
        host.instance = joining.instance;
        host.record.facts = Some(joining.facts);
        if host.boot != joining.boot {
            // The monotonic clock changes with each boot.
            host.boot = joining.boot;
            host.clock = None;
            host.record.clocks.clear();
        }
        let lease = match &host.work {
            Work::Leased { attempt, .. } => Some(Lease { key: attempt.clone(), epoch: host.epoch }),
            Work::Syncing | Work::Waiting(_) | Work::Storing { .. } => None,
        };
        let keep: Vec<_> =
            joining.held.iter().filter(|held| lease.as_ref() == Some(held)).cloned().collect();
        effects.push(Effect::Accept { session, keep });
        effects.push(Effect::Event(EventKind::AgentJoined {
            host: joining.host.clone(),
            again: true,
        }));
        effects.push(Effect::MeasureClock { session });
        if host.readiness == Readiness::Preparing
            || (restarted && host.readiness == Readiness::Ready)
        {
            host.readiness = Readiness::Preparing;
            host.warmups += u32::from(restarted);
            let preparation = Preparation { attempt: AttemptNo(host.warmups), ..base };
            effects.push(Effect::Prepare { session, preparation });
        }
        match lease {
            Some(lease) if joining.held.contains(&lease) => {
                if self.cancelled {
                    effects.push(Effect::CancelAttempt { session, lease });
                }
            }
            // Its report is pending.
            Some(lease) if joining.pending.contains(&lease) => {}
            Some(lease) => self.forgotten(&joining.host, &lease, effects),
            None => {
                if !matches!(host.work, Work::Storing { .. }) {
                    host.work = Work::Syncing;
                }
            }
        }
    }

    /// An agent reconnected without its lease: either it never started the attempt, or it lost its
    /// record of it.
    fn forgotten(&mut self, name: &HostId, lease: &Lease, effects: &mut Vec<Effect>) {
        let (max_attempts, cancelled) = (self.policy.max_attempts, self.cancelled);
        let Some(host) = self.hosts.get_mut(name) else { return };
        let begun = matches!(host.work, Work::Leased { started: true, .. });
        host.work = Work::Syncing;
        if begun {
            let text = format!("the agent lost its record of {}", lease.key);
            effects.push(Effect::Event(EventKind::Warning { text }));
        } else {
            host.tries = host.tries.saturating_sub(1);
        }
        let reason = if cancelled {
            MissingReason::Cancelled
        } else if begun && host.tries >= max_attempts {
            MissingReason::AttemptFailed {
                why: "the agent lost its record of the attempt".to_owned(),
            }
        } else {
            return;
        };
        let index = host.cursor;
        host.next_cell();
        self.close(name, index, reason, effects);
        if cancelled {
            self.finish_host(name);
        }
    }

    pub(super) fn left(
        &mut self,
        now: Now,
        session: SessionId,
        disconnect: Disconnect,
        effects: &mut Vec<Effect>,
    ) {
        let gathering = self.is_gathering();
        let Some(host) = self.hosts.values_mut().find(|h| h.link.open() == Some(session)) else {
            return;
        };
        if host.link.is_lost() {
            host.link = Link::Lost(None);
            return;
        }
        let name = host.record.host.clone();
        host.last_contact = now.instant;
        let (reason, goodbye) = match disconnect {
            Disconnect::Goodbye(why) => (format!("agent left: {why}"), Some(why)),
            Disconnect::Lost(reason) => (reason, None),
        };
        effects.push(Effect::Event(EventKind::AgentDisconnected { host: name.clone(), reason }));
        match goodbye {
            Some(why) if !gathering => {
                host.link = Link::Lost(None);
                host.epoch.0 += 1;
                let why = MissingReason::AgentLeft { why };
                self.give_up(&name, &why.clone(), &why, effects);
            }
            Some(_) | None => host.link = Link::Disconnected(None),
        }
    }

    pub(super) fn watch_links(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let beat = self.policy.beat;
        let mut lost = Vec::new();
        for (name, host) in &mut self.hosts {
            let silence = now.instant.saturating_duration_since(host.last_contact);
            match host.link {
                Link::Connected(session) | Link::Suspect(session)
                    if silence >= beat * DISCONNECT_BEATS =>
                {
                    host.link = Link::Disconnected(Some(session));
                    let reason = format!("no heartbeat for {} s", silence.as_secs());
                    effects.push(Effect::Event(EventKind::AgentDisconnected {
                        host: name.clone(),
                        reason,
                    }));
                }
                Link::Connected(session) if silence >= beat * SUSPECT_BEATS => {
                    host.link = Link::Suspect(session);
                }
                Link::Disconnected(_) if silence >= self.policy.lost_after => {
                    host.link = Link::Lost(host.link.open());
                    host.epoch.0 += 1;
                    let reason = format!("no contact for {} s", silence.as_secs());
                    effects
                        .push(Effect::Event(EventKind::AgentLost { host: name.clone(), reason }));
                    lost.push(name.clone());
                }
                Link::Connected(_) | Link::Suspect(_) | Link::Disconnected(_) | Link::Lost(_) => {}
            }
        }
        // While hosts gather, it can still reconnect and start over.
        if !self.is_gathering() {
            for name in lost {
                self.close_lost(&name, effects);
            }
        }
    }

    pub(super) fn close_lost(&mut self, name: &HostId, effects: &mut Vec<Effect>) {
        let Some(host) = self.hosts.get(name) else { return };
        let current = MissingReason::AgentLost { progress: host.last_progress() };
        let rest = MissingReason::AgentLost { progress: "not started".to_owned() };
        self.give_up(name, &current, &rest, effects);
    }

    /// Closes the current and all later cells of a host that leaves the run.
    pub(super) fn give_up(
        &mut self,
        name: &HostId,
        current: &MissingReason,
        rest: &MissingReason,
        effects: &mut Vec<Effect>,
    ) {
        let Some(host) = self.hosts.get(name) else { return };
        let cursor = host.cursor;
        // A report that is being written still counts.
        let storing = matches!(host.work, Work::Storing { .. });
        if !storing {
            self.close(name, cursor, current.clone(), effects);
        }
        for index in cursor + 1..self.plan.blocks().len() {
            self.close(name, index, rest.clone(), effects);
        }
        if !storing {
            self.finish_host(name);
        }
    }
}
