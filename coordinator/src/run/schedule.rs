//! Which host begins what, and when: the barrier at each (case, repetition), the stagger, and the
//! turns of hosts that measure one at a time.

use std::time::Duration;

use regatta_types::assignment::Assignment;
use regatta_types::event::EventKind;
use regatta_types::ids::{AttemptKey, Epoch, HostId};
use regatta_types::suite::{Case, Pace};

use super::host::{Host, Readiness, Work};
use super::input::{Effect, Now};
use super::state::RunState;

/// A start instant lies at least this many round trips ahead.
const ROUND_TRIPS: u32 = 20;
/// Time to open one stream's connection before the start.
const PER_STREAM: Duration = Duration::from_millis(2);
/// Longest lead, however bad the link.
const LEAD_MAX: Duration = Duration::from_secs(2);

/// What the hosts are at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Measuring {
    Nothing,
    /// Some measure, none of them alone.
    SideBySide,
    /// One is to measure alone.
    Solo,
}

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
            if !self.is_held_up(cursor, self.measuring()) && self.may_begin(cursor, now) {
                self.begin_block(cursor, now, effects);
            }
        }
        self.keep_patience(now);
    }

    /// How the hosts begin a block.
    fn pace(&self, cursor: usize) -> Pace {
        let block = self.plan.blocks().get(cursor);
        let case = block.and_then(|block| self.header.suite.cases.get(block.case));
        case.map_or(Pace::Together, |case| self.header.start.pace(case))
    }

    /// Whether anything is measured now, and whether it must run alone. An unreachable host may
    /// still be measuring, so it counts until it is declared lost.
    fn measuring(&self) -> Measuring {
        let leased = self.hosts.values().filter(|host| match host.work {
            Work::Leased { .. } => !host.link.is_lost(),
            Work::Syncing | Work::Waiting(_) | Work::Storing { .. } => false,
        });
        leased.fold(Measuring::Nothing, |found, host| match (found, self.pace(host.cursor)) {
            (Measuring::Solo, _) | (_, Pace::Solo) => Measuring::Solo,
            (_, Pace::Together | Pace::Staggered) => Measuring::SideBySide,
        })
    }

    /// Whether a block must wait for a measurement, regardless of which hosts are ready: a solo block
    /// waits for any measurement, any block for a solo measurement.
    fn is_held_up(&self, cursor: usize, measuring: Measuring) -> bool {
        match measuring {
            Measuring::Nothing => false,
            Measuring::SideBySide => self.pace(cursor) == Pace::Solo,
            Measuring::Solo => true,
        }
    }

    /// A host that waits for a measurement to end does not wait for other hosts yet: its timeout
    /// starts afterward.
    fn keep_patience(&mut self, now: Now) {
        let blocks = self.plan.blocks().len();
        let measuring = self.measuring();
        let waiting = self.hosts.iter().filter(|(_, host)| host.is_waiting(blocks));
        let held_up: Vec<HostId> = waiting
            .filter(|(_, host)| self.is_held_up(host.cursor, measuring))
            .map(|(name, _)| name.clone())
            .collect();
        for name in held_up {
            if let Some(Host { work: Work::Waiting(since), .. }) = self.hosts.get_mut(&name) {
                *since = now.instant;
            }
        }
    }

    /// Longest wait of a ready host for the others: the first of a staggered block is ready for the
    /// next one while the last has yet to begin.
    pub(super) fn patience(&self) -> Duration {
        let others = u32::try_from(self.hosts.len().saturating_sub(1)).unwrap_or(u32::MAX);
        let stagger = self.header.stagger.unwrap_or_default();
        self.policy.barrier.saturating_add(stagger.saturating_mul(others))
    }

    /// The hosts that wait for a block, in the order in which they begin it. Where that is one after
    /// another, the first of a block is the last of the next one: no host is always last, and none
    /// measures twice in a row while others rest.
    fn in_turn(&self, cursor: usize) -> Vec<HostId> {
        let blocks = self.plan.blocks().len();
        let pace = self.pace(cursor);
        let takes_part = |host: &Host| host.readiness == Readiness::Ready && !host.link.is_lost();
        let mut hosts: Vec<(&HostId, &Host)> =
            self.hosts.iter().filter(|(_, host)| takes_part(host)).collect();
        let turns = match pace {
            Pace::Together => 0,
            Pace::Staggered | Pace::Solo => {
                (0..cursor).filter(|&before| self.pace(before) == pace).count()
            }
        };
        if !hosts.is_empty() {
            let first = turns % hosts.len();
            hosts.rotate_left(first);
        }
        let waits = hosts.into_iter().filter(|(_, h)| h.is_waiting(blocks) && h.cursor == cursor);
        let waits = waits.map(|(name, _)| name.clone());
        match pace {
            Pace::Solo => waits.take(1).collect(),
            Pace::Together | Pace::Staggered => waits.collect(),
        }
    }

    /// A block does not wait for disconnected hosts, nor for any host longer than the barrier allows.
    /// A block that one host has begun is open to all.
    fn may_begin(&self, cursor: usize, now: Now) -> bool {
        let blocks = self.plan.blocks().len();
        let behind = |host: &Host| {
            host.is_active(blocks)
                && (host.cursor < cursor || (host.cursor == cursor && !host.is_waiting(blocks)))
        };
        let patience_ended = |host: &Host| match host.work {
            Work::Waiting(since) => {
                host.cursor == cursor
                    && now.instant.saturating_duration_since(since) >= self.patience()
            }
            Work::Syncing | Work::Leased { .. } | Work::Storing { .. } => false,
        };
        cursor < self.begun
            || !self.hosts.values().any(behind)
            || self.hosts.values().any(patience_ended)
    }

    fn begin_block(&mut self, cursor: usize, now: Now, effects: &mut Vec<Effect>) {
        let names = self.in_turn(cursor);
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
        let stagger = self.header.stagger.unwrap_or_default();
        self.begun = self.begun.max(cursor + 1);
        for (name, turn) in names.into_iter().zip(0_u32..) {
            let start = now.mono.after(lead.saturating_add(stagger.saturating_mul(turn)));
            let Some(cell) = self.cell(&name, cursor) else { continue };
            let Some(case) = self.header.suite.case(&cell.case).cloned() else { continue };
            let Some(host) = self.hosts.get_mut(&name) else { continue };
            let (Some(session), Some(clock)) = (host.session(), host.clock) else { continue };
            let is_its_first = host.epoch == Epoch(0);
            host.epoch = Epoch(host.epoch.0 + 1);
            let attempt = Self::next_attempt(host);
            let key = AttemptKey { run: self.header.run.clone(), cell, attempt };
            let start = clock.to_agent(start);
            host.work = Work::Leased { attempt: key.clone(), started: false };
            if is_its_first {
                effects.push(Effect::Go { session });
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
