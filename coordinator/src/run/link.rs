//! Hosts that join, leave, fall silent and come back.

use regatta_types::assignment::Preparation;
use regatta_types::event::{EventKind, MissingReason};
use regatta_types::ids::{AttemptNo, Epoch, HostId};
use regatta_types::record::{ExpectedHosts, HostRecord};
use regatta_wire::frame::Lease;

use super::host::{Host, Link, Readiness, Work};
use super::input::{Effect, Joining, Now, Progress, Refusal, SessionId};
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
        let again = self.hosts.contains_key(&joining.host);
        if again {
            self.rejoined(now, session, joining, effects);
            return;
        }
        let host = Host {
            record: HostRecord {
                host: joining.host.clone(),
                facts: Some(joining.facts),
                gpus: joining.gpus,
                engine: joining.engine,
                clocks: Vec::new(),
                refused: None,
                simulated: joining.simulated,
            },
            instance: joining.instance,
            boot: joining.boot,
            link: Link::Connected(session),
            last_contact: now.instant,
            readiness: Readiness::Preparing,
            work: Work::Syncing,
            cursor: 0,
            attempts: 0,
            settlings: 1,
            epoch: Epoch(0),
            clock: None,
            progress: Progress::default(),
        };
        effects.push(Effect::Accept { session, keep: Vec::new() });
        effects.push(Effect::StoreHost(Box::new(host.record.clone())));
        effects.push(Effect::Event(EventKind::AgentJoined { host: joining.host.clone(), again }));
        effects.push(Effect::MeasureClock { session });
        effects.push(Effect::Prepare { session, preparation: self.preparation(1) });
        self.hosts.insert(joining.host, host);
    }

    pub(super) fn preparation(&self, attempt: u32) -> Preparation {
        Preparation { attempt: AttemptNo(attempt), ..self.preparation.clone() }
    }

    /// Why this agent can't come in, if it can't.
    pub(super) fn refusal(&self, joining: &Joining) -> Option<Refusal> {
        let name = &joining.host;
        let run = &self.header.run;
        if let Some(host) = self.hosts.get(name) {
            return match host.link {
                Link::Connected(_) | Link::Suspect(_) if host.instance != joining.instance => {
                    Some(Refusal::NameTaken(format!(
                        "an agent named `{name}` is already connected: give this one another --name"
                    )))
                }
                Link::Lost => Some(Refusal::NotInRun(format!(
                    "host `{name}` was given up in run {run}: it can take part in the next one"
                ))),
                Link::Connected(_) | Link::Suspect(_) | Link::Disconnected(_) => None,
            };
        }
        let reason = match (&self.header.expected, self.phase) {
            (ExpectedHosts::Named(names), _) if !names.contains(name) => {
                format!("host `{name}` is not one of those run {run} waits for (--hosts)")
            }
            (ExpectedHosts::Count(n), _) if self.hosts.len() >= usize_of(*n) => {
                format!("run {run} already has its {n} hosts")
            }
            (_, Phase::Gathering { .. }) => return None,
            (_, Phase::Running | Phase::Closing { .. } | Phase::Finished) => {
                format!("run {run} has begun without host `{name}`")
            }
        };
        Some(Refusal::NotInRun(reason))
    }

    pub(super) fn rejoined(
        &mut self,
        now: Now,
        session: SessionId,
        joining: Joining,
        effects: &mut Vec<Effect>,
    ) {
        let base = self.preparation.clone();
        let Some(host) = self.hosts.get_mut(&joining.host) else { return };
        let restarted = host.instance != joining.instance;
        host.link = Link::Connected(session);
        host.last_contact = now.instant;
        host.instance = joining.instance;
        host.record.facts = Some(joining.facts);
        if host.boot != joining.boot {
            // Another boot has another monotonic clock.
            host.boot = joining.boot;
            host.clock = None;
        }
        let lease = match &host.work {
            Work::Leased { attempt, .. } => Some(Lease { key: attempt.clone(), epoch: host.epoch }),
            Work::Syncing | Work::Waiting(_) | Work::Storing { .. } => None,
        };
        let keep: Vec<_> =
            joining.held.iter().filter(|held| lease.as_ref() == Some(held)).cloned().collect();
        effects.push(Effect::Accept { session, keep });
        effects.push(Effect::Event(EventKind::AgentJoined { host: joining.host, again: true }));
        effects.push(Effect::MeasureClock { session });
        if let Some(lease) = &lease
            && !joining.held.contains(lease)
            && !joining.pending.contains(lease)
        {
            // It never began, or the agent's marker is gone with its disk.
            host.work = Work::Syncing;
        } else if lease.is_none() && !matches!(host.work, Work::Storing { .. }) {
            host.work = Work::Syncing;
        }
        if host.readiness == Readiness::Preparing
            || (restarted && host.readiness == Readiness::Ready)
        {
            host.readiness = Readiness::Preparing;
            host.settlings += u32::from(restarted);
            let preparation = Preparation { attempt: AttemptNo(host.settlings), ..base };
            effects.push(Effect::Prepare { session, preparation });
        }
    }

    pub(super) fn left(
        &mut self,
        now: Now,
        session: SessionId,
        reason: &str,
        effects: &mut Vec<Effect>,
    ) {
        let Some(host) = self.by_session(session) else { return };
        host.link = Link::Disconnected(None);
        host.last_contact = now.instant;
        let reason = reason.to_owned();
        effects.push(Effect::Event(EventKind::AgentDisconnected {
            host: host.record.host.clone(),
            reason,
        }));
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
                    let reason = format!("silent for {} s", silence.as_secs());
                    effects.push(Effect::Event(EventKind::AgentDisconnected {
                        host: name.clone(),
                        reason,
                    }));
                }
                Link::Connected(session) if silence >= beat * SUSPECT_BEATS => {
                    host.link = Link::Suspect(session);
                }
                Link::Disconnected(_) if silence >= self.policy.lost_after => {
                    host.link = Link::Lost;
                    host.epoch.0 += 1;
                    let reason = format!("no contact for {} s", silence.as_secs());
                    effects
                        .push(Effect::Event(EventKind::AgentLost { host: name.clone(), reason }));
                    lost.push(name.clone());
                }
                Link::Connected(_) | Link::Suspect(_) | Link::Disconnected(_) | Link::Lost => {}
            }
        }
        for name in lost {
            self.close_lost(&name, effects);
        }
    }

    pub(super) fn close_lost(&mut self, name: &HostId, effects: &mut Vec<Effect>) {
        let Some(host) = self.hosts.get(name) else { return };
        let words = host.last_words();
        let current = host.cursor;
        // A report that is on its way to the disk still counts.
        let first = if matches!(host.work, Work::Storing { .. }) { current + 1 } else { current };
        for index in first..self.plan.blocks().len() {
            let progress = if index == current { words.clone() } else { "not started".to_owned() };
            self.close(name, index, MissingReason::AgentLost { progress }, effects);
        }
        if first == current {
            self.finish_host(name);
        }
    }
}
