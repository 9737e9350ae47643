//! Start and end of attempts, and the result of their cells.

use regatta_types::assignment::Lease;
use regatta_types::attempt::{AttemptOutcome, AttemptReport};
use regatta_types::event::{Disposition, EventKind, MissingReason};
use regatta_types::ids::{AttemptKey, AttemptNo, CellKey, HostId};

use super::host::{Host, Readiness, Work};
use super::input::{Effect, SessionId, StoredAttempt};
use super::state::{Closed, RunState};
use crate::store::Stored;

impl RunState {
    pub(super) fn started(
        &mut self,
        session: SessionId,
        started_attempt: &AttemptKey,
        effects: &mut Vec<Effect>,
    ) {
        let Some(host) = self.by_session(session) else { return };
        if let Work::Leased { attempt, started } = &mut host.work
            && attempt == started_attempt
        {
            *started = true;
            host.progress.requests_done = 0;
            host.progress.requests_failed = 0;
            effects.push(Effect::Event(EventKind::AttemptStarted { attempt: attempt.clone() }));
        }
    }

    pub(super) fn report(
        &mut self,
        session: SessionId,
        report: &AttemptReport,
        bytes: Vec<u8>,
        effects: &mut Vec<Effect>,
    ) {
        let disposition = self.disposition(report);
        let incomplete = match &report.outcome {
            AttemptOutcome::Completed => None,
            AttemptOutcome::Cancelled | AttemptOutcome::Interrupted | AttemptOutcome::Failed(_) => {
                Some(report.outcome.to_string())
            }
        };
        let count = |ok| report.traces.iter().filter(|t| t.is_ok() == ok).count();
        let stored = StoredAttempt {
            lease: Lease { key: report.key.clone(), epoch: report.epoch },
            disposition,
            incomplete,
            ok: u32::try_from(count(true)).unwrap_or(u32::MAX),
            failed: u32::try_from(count(false)).unwrap_or(u32::MAX),
            stored: Stored::New,
            level: self.level(report),
        };
        if let Some(host) = self.by_session(session)
            && host.attempt() == Some(&report.key)
        {
            host.work = Work::Storing { attempt: report.key.clone() };
        }
        effects.push(Effect::StoreAttempt { session, stored, bytes });
    }

    pub(super) fn disposition(&self, report: &AttemptReport) -> Disposition {
        if report.key.cell.case.is_engine_warmup() {
            return Disposition::EngineWarmup;
        }
        if report.key.cell.case.is_client_overhead() {
            return Disposition::ClientOverhead;
        }
        let current = self.hosts.get(&report.key.cell.host).is_some_and(|host| {
            host.attempt() == Some(&report.key)
                && host.epoch == report.epoch
                && !host.link.is_lost()
        });
        match (&report.outcome, self.closed.get(&report.key.cell)) {
            (AttemptOutcome::Completed, Some(Closed::Counted)) => Disposition::Superseded,
            (_, Some(_)) => Disposition::Late,
            (AttemptOutcome::Completed, None) if current => Disposition::Counted,
            (AttemptOutcome::Completed, None) => Disposition::Late,
            (
                AttemptOutcome::Cancelled | AttemptOutcome::Interrupted | AttemptOutcome::Failed(_),
                None,
            ) => Disposition::Partial,
        }
    }

    pub(super) fn stored(
        &mut self,
        session: SessionId,
        stored: StoredAttempt,
        effects: &mut Vec<Effect>,
    ) {
        let attempt = stored.lease.key.clone();
        effects.push(Effect::Acknowledge { session, lease: stored.lease });
        if attempt.cell.case.is_engine_warmup()
            && let Some(host) = self.hosts.get_mut(&attempt.cell.host)
        {
            host.owes = false;
        }
        match stored.stored {
            Stored::New => {}
            // It was stored before, but the acknowledgment was lost.
            Stored::Duplicate => return,
            Stored::Conflict => {
                let text = format!(
                    "a second, different report of {attempt} arrived. The first one counts"
                );
                effects.push(Effect::Event(EventKind::Warning { text }));
                return;
            }
        }
        effects.push(Effect::Event(EventKind::AttemptFinished {
            attempt: attempt.clone(),
            disposition: stored.disposition,
            ok: stored.ok,
            failed: stored.failed,
        }));
        let name = attempt.cell.host.clone();
        let (max_attempts, cancelled) = (self.policy.max_attempts, self.cancelled);
        let Some(host) = self.hosts.get_mut(&name) else { return };
        if host.attempt() != Some(&attempt) {
            return;
        }
        host.work = Work::Syncing;
        if let Some(session) = host.session() {
            effects.push(Effect::MeasureClock { session });
        }
        let lost = host.link.is_lost();
        let out = host.readiness == Readiness::Out;
        let reason = if stored.disposition == Disposition::Counted {
            host.counted += 1;
            self.closed.insert(attempt.cell.clone(), Closed::Counted);
            None
        } else if cancelled {
            Some(MissingReason::Cancelled)
        } else if lost {
            let progress = "last attempt not completed".to_owned();
            Some(MissingReason::AgentLost { progress })
        } else if out {
            let why =
                host.record.refused.clone().unwrap_or_else(|| "excluded from the run".to_owned());
            Some(MissingReason::Refused { why })
        } else if host.tries >= max_attempts {
            let why = stored.incomplete.unwrap_or_else(|| "lease expired".to_owned());
            Some(MissingReason::AttemptFailed { why })
        } else {
            // Retry as a new attempt.
            return;
        };
        let index = host.cursor;
        host.next_cell();
        if let Some(reason) = reason {
            self.close(&name, index, reason, effects);
        }
        if stored.disposition == Disposition::Counted {
            self.learn(&attempt.cell, stored.level, effects);
        }
        if cancelled || lost || out {
            self.finish_host(&name);
        }
    }

    /// Closes the cell of `host` at block `index` as missing, unless it is already closed.
    pub(super) fn close(
        &mut self,
        host: &HostId,
        index: usize,
        reason: MissingReason,
        effects: &mut Vec<Effect>,
    ) {
        let Some(cell) = self.cell(host, index) else { return };
        if self.closed.contains_key(&cell) {
            return;
        }
        self.closed.insert(cell.clone(), Closed::Missing);
        effects.push(Effect::StoreMissing(cell.clone(), reason.clone()));
        effects.push(Effect::Event(EventKind::CellMissing { cell, reason }));
    }

    /// The cell of `host` at block `index`.
    pub(super) fn cell(&self, host: &HostId, index: usize) -> Option<CellKey> {
        let block = self.plan.blocks().get(index)?;
        let case = self.header.suite.cases.get(block.case)?.id.clone();
        Some(CellKey { host: host.clone(), case, repetition: block.repetition })
    }

    pub(super) fn finish_host(&mut self, name: &HostId) {
        let end = self.plan.blocks().len();
        if let Some(host) = self.hosts.get_mut(name) {
            host.cursor = end;
        }
    }

    /// The number of the next attempt at the current cell of a host.
    pub(super) fn next_attempt(host: &mut Host) -> AttemptNo {
        host.attempts += 1;
        host.tries += 1;
        AttemptNo(host.attempts)
    }
}
