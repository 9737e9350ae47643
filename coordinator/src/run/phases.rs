//! Phases of a run: gathering hosts, start, cancellation and end.

use std::collections::BTreeSet;
use std::time::Duration;

use regatta_types::assignment::Lease;
use regatta_types::event::{EventKind, MissingReason};
use regatta_types::ids::HostId;
use regatta_types::reading::Reading;
use regatta_types::record::{ExpectedHosts, HostRecord};
use regatta_types::units::quantity;
use tokio::time::Instant;

use super::host::{Host, Link, Readiness, Work};
use super::input::{Effect, LatePolicy, Now};
use super::state::{Closed, Phase, RunState, usize_of};

/// Maximum wait for the last clock synchronization, and for the last report of an excluded host,
/// before the run is sealed.
const CLOSING: Duration = Duration::from_secs(3);

impl RunState {
    pub(super) fn cancel(&mut self, effects: &mut Vec<Effect>) {
        if self.cancelled {
            return;
        }
        self.cancelled = true;
        effects.push(Effect::Event(EventKind::RunCancelled));
        let names: Vec<_> = self.hosts.keys().cloned().collect();
        for name in &names {
            self.close_cancelled(name, effects);
        }
        for name in self.never_joined() {
            self.close_absent(&name, MissingReason::Cancelled, effects);
        }
        if let Phase::Gathering { .. } = self.phase {
            self.phase = Phase::Running;
            self.compare_hosts(effects);
        }
    }

    /// Closes the pending cells of a host and cancels its current attempt.
    pub(super) fn close_cancelled(&mut self, name: &HostId, effects: &mut Vec<Effect>) {
        let Some(host) = self.hosts.get_mut(name) else { return };
        let (next, busy) = match (&host.work, host.session()) {
            (Work::Leased { attempt, .. }, Some(session)) => {
                let lease = Lease { key: attempt.clone(), epoch: host.epoch };
                effects.push(Effect::CancelAttempt { session, lease });
                (host.cursor + 1, true)
            }
            (Work::Storing { .. }, _) => (host.cursor + 1, true),
            (Work::Leased { .. } | Work::Syncing | Work::Waiting(_), _) => (host.cursor, false),
        };
        if !busy && host.attempt().is_some() {
            // The host is not connected; a later result is late.
            host.work = Work::Syncing;
        }
        for index in next..self.plan.blocks().len() {
            self.close(name, index, MissingReason::Cancelled, effects);
        }
        if !busy {
            self.finish_host(name);
        }
    }

    /// Expected by name, but never joined.
    pub(super) fn never_joined(&self) -> Vec<HostId> {
        match &self.header.expected {
            ExpectedHosts::Count(_) => Vec::new(),
            ExpectedHosts::Named(names) => {
                names.iter().filter(|name| !self.hosts.contains_key(name)).cloned().collect()
            }
        }
    }

    pub(super) fn close_all(
        &mut self,
        host: &HostId,
        reason: &MissingReason,
        effects: &mut Vec<Effect>,
    ) {
        for index in 0..self.plan.blocks().len() {
            self.close(host, index, reason.clone(), effects);
        }
        self.finish_host(host);
    }

    /// Advances the run as far as possible.
    pub(super) fn advance(&mut self, now: Now, effects: &mut Vec<Effect>) {
        if let Phase::Gathering { until } = self.phase {
            self.gather(now, until, effects);
        }
        if self.phase == Phase::Running {
            self.schedule(now, effects);
            let end = self.plan.blocks().len();
            let open = |host: &Host| match (&host.work, host.link) {
                (Work::Storing { .. }, _) => true,
                (Work::Syncing | Work::Waiting(_) | Work::Leased { .. }, Link::Lost(_)) => false,
                (Work::Leased { .. }, _) => true,
                (Work::Syncing | Work::Waiting(_), _) => {
                    host.cursor < end && host.readiness != Readiness::Out
                }
            };
            if !self.hosts.values().any(open) {
                self.phase = Phase::Closing { until: now.instant + CLOSING };
            }
        }
        if let Phase::Closing { until } = self.phase {
            let comparing = |host: &Host| {
                host.work == Work::Syncing
                    && host.session().is_some()
                    && host.readiness == Readiness::Ready
            };
            let owing = |host: &Host| host.owes && host.session().is_some();
            let open = |host: &Host| comparing(host) || owing(host);
            if now.instant >= until || !self.hosts.values().any(open) {
                self.finish(effects);
            }
        }
    }

    pub(super) fn gather(&mut self, now: Now, until: Instant, effects: &mut Vec<Effect>) {
        let expected = match &self.header.expected {
            ExpectedHosts::Count(n) => usize_of(*n),
            ExpectedHosts::Named(names) => names.len(),
        };
        let answered = |host: &Host| match host.readiness {
            _ if host.link.is_lost() => true,
            // A start time requires the host's clock.
            Readiness::Ready => host.clock.is_some(),
            // Preflight checks compare the clocks of all hosts.
            Readiness::Out => !self.preparation.check_only || host.clock.is_some(),
            Readiness::Preparing => false,
        };
        let known = self.hosts.len() + self.never_started();
        let complete = known >= expected && self.hosts.values().all(answered);
        let late = now.instant >= until;
        if complete {
            self.begin(effects);
        } else if late {
            match self.policy.late {
                LatePolicy::Wait => {}
                LatePolicy::Drop => self.begin(effects),
                LatePolicy::Abort => {
                    effects.push(Effect::Event(EventKind::Warning {
                        text: "not all hosts were ready in time (--late abort)".to_owned(),
                    }));
                    self.cancel(effects);
                }
            }
        }
    }

    /// Ends the wait: hosts that are not ready are excluded.
    pub(super) fn begin(&mut self, effects: &mut Vec<Effect>) {
        self.phase = Phase::Running;
        let missed = self.absent() + self.never_joined().len() - self.never_started();
        if missed > 0 {
            let text = format!("{} never joined", quantity(missed, "expected host"));
            effects.push(Effect::Event(EventKind::Warning { text }));
        }
        for name in self.never_joined() {
            self.close_absent(&name, MissingReason::NeverJoined, effects);
        }
        let names: BTreeSet<HostId> = self.hosts.keys().cloned().collect();
        for name in names {
            let Some(host) = self.hosts.get_mut(&name) else { continue };
            if host.link.is_lost() {
                self.close_lost(&name, effects);
                continue;
            }
            let reason = match (host.readiness, &host.record.refused) {
                (Readiness::Ready, _) if host.clock.is_some() => continue,
                (_, Some(why)) => MissingReason::Refused { why: why.clone() },
                (_, None) => {
                    let why = "not ready in time".to_owned();
                    host.record.refused = Some(why.clone());
                    effects.push(Effect::StoreHost(Box::new(host.record.clone())));
                    MissingReason::Refused { why }
                }
            };
            host.readiness = Readiness::Out;
            self.close_all(&name, &reason, effects);
        }
        self.compare_hosts(effects);
    }

    pub(super) fn finish(&mut self, effects: &mut Vec<Effect>) {
        self.phase = Phase::Finished;
        let count = |kind: &Closed| self.closed.values().filter(|c| *c == kind).count();
        let absent = self.absent() * self.plan.cells_per_host();
        let (counted, missing) = (count(&Closed::Counted), count(&Closed::Missing) + absent);
        effects.push(Effect::Event(EventKind::RunFinished {
            counted: u32::try_from(counted).unwrap_or(u32::MAX),
            skipped: u32::try_from(count(&Closed::Skipped)).unwrap_or(u32::MAX),
            missing: u32::try_from(missing).unwrap_or(u32::MAX),
        }));
        for host in self.hosts.values() {
            if let Some(session) = host.link.open() {
                let reason = format!("run {} has ended", self.header.run);
                effects.push(Effect::Drain { session, reason });
            }
        }
    }

    /// Hosts expected by number that never joined.
    fn absent(&self) -> usize {
        match &self.header.expected {
            ExpectedHosts::Count(n) => usize_of(*n).saturating_sub(self.hosts.len()),
            ExpectedHosts::Named(_) => 0,
        }
    }

    /// The record of a host without facts.
    pub(super) fn unknown_host(host: HostId) -> HostRecord {
        HostRecord {
            host,
            facts: None,
            gpus: Reading::missing("the host never joined"),
            engine: Reading::missing("the host never joined"),
            clocks: Vec::new(),
            refused: None,
            simulated: false,
            checks: Vec::new(),
        }
    }
}
