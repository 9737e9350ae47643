//! Starting hosts together: the barrier at each (case, repetition).

use std::time::Duration;

use regatta_types::assignment::Assignment;
use regatta_types::event::EventKind;
use regatta_types::ids::{AttemptKey, Epoch, HostId};
use regatta_types::suite::Case;

use super::host::{Host, Work};
use super::input::{Effect, Now};
use super::state::RunState;

/// A start instant lies at least so many round trips ahead.
const ROUND_TRIPS: u32 = 20;
/// Time to open one stream's connection before the start.
const PER_STREAM: Duration = Duration::from_millis(2);
/// Longest lead, however bad the link.
const LEAD_MAX: Duration = Duration::from_secs(2);

impl RunState {
    /// Gives the next cell to every host that need not wait for another.
    pub(super) fn schedule(&mut self, now: Now, effects: &mut Vec<Effect>) {
        self.pass_skipped();
        let blocks = self.plan.blocks().len();
        let mut cursors: Vec<usize> = self
            .hosts
            .values()
            .filter(|host| host.is_waiting(blocks))
            .map(|host| host.cursor)
            .collect();
        cursors.sort_unstable();
        cursors.dedup();
        for cursor in cursors {
            if self.may_begin(cursor, now) {
                self.begin_block(cursor, now, effects);
            }
        }
    }

    /// Nobody is waited for who is not connected, and for nobody longer than the barrier allows.
    /// A block that somebody has begun is open to all.
    fn may_begin(&self, cursor: usize, now: Now) -> bool {
        let blocks = self.plan.blocks().len();
        let behind = |host: &Host| {
            host.is_active(blocks)
                && (host.cursor < cursor || (host.cursor == cursor && !host.is_waiting(blocks)))
        };
        let patience_ended = |host: &Host| match host.work {
            Work::Waiting(since) => {
                host.cursor == cursor
                    && now.instant.saturating_duration_since(since) >= self.policy.barrier
            }
            Work::Syncing | Work::Leased { .. } | Work::Storing { .. } => false,
        };
        cursor < self.begun
            || !self.hosts.values().any(behind)
            || self.hosts.values().any(patience_ended)
    }

    fn begin_block(&mut self, cursor: usize, now: Now, effects: &mut Vec<Effect>) {
        let blocks = self.plan.blocks().len();
        let names: Vec<HostId> = self
            .hosts
            .iter()
            .filter(|(_, host)| host.is_waiting(blocks) && host.cursor == cursor)
            .map(|(name, _)| name.clone())
            .collect();
        let first = self.begun == 0;
        let least = if first { self.policy.first_lead } else { self.policy.lead };
        let worst_round_trip = names
            .iter()
            .filter_map(|name| self.hosts.get(name)?.clock)
            .map(|clock| Duration::from_nanos(clock.bound_ns.saturating_mul(2)))
            .max()
            .unwrap_or_default();
        let lead = least + PER_STREAM * self.streams(cursor);
        let lead = lead.max(worst_round_trip * ROUND_TRIPS).min(LEAD_MAX.max(least));
        let start = now.mono.after(lead);
        self.begun = self.begun.max(cursor + 1);
        for name in names {
            let Some(cell) = self.cell(&name, cursor) else { continue };
            let Some(case) = self.header.suite.case(&cell.case).cloned() else { continue };
            let Some(host) = self.hosts.get_mut(&name) else { continue };
            let (Some(session), Some(clock)) = (host.session(), host.clock) else { continue };
            host.epoch = Epoch(host.epoch.0 + 1);
            let attempt = Self::next_attempt(host);
            let key = AttemptKey { run: self.header.run.clone(), cell, attempt };
            let start = clock.to_agent(start);
            host.work = Work::Leased { attempt: key.clone(), started: false };
            if first {
                effects.push(Effect::Go { session, start });
            }
            let epoch = host.epoch;
            effects
                .push(Effect::Event(EventKind::AssignmentLeased { attempt: key.clone(), epoch }));
            let (keep_text, seed) = (self.header.keep_text, self.header.seed);
            let assignment = Box::new(Assignment { key, epoch, case, start, keep_text, seed });
            effects.push(Effect::Assign { session, assignment });
        }
    }

    fn streams(&self, cursor: usize) -> u32 {
        let case = self.plan.blocks().get(cursor).and_then(|b| self.header.suite.cases.get(b.case));
        case.map_or(1, Case::in_flight_max)
    }
}
