//! Sweeps end where a host's endpoint is saturated: its higher levels are skipped.
//!
//! Each host decides in the first repetition of a sweep that it measures, and keeps its decision.

use regatta_figures::sweep::{LevelVerdict, SweepLevel};
use regatta_types::attempt::AttemptReport;
use regatta_types::event::{EventKind, SkipReason};
use regatta_types::ids::{CellKey, HostId, Repetition};
use regatta_types::suite::Sweep;
use regatta_types::validity::Validity;

use super::input::Effect;
use super::state::{Closed, RunState};

/// What one sweep has shown on one host.
#[derive(Debug)]
pub(super) struct SweepState {
    /// The repetition that decides.
    repetition: Repetition,
    /// The last level that was measured in it, unless it says nothing.
    before: Option<Box<SweepLevel>>,
    saturated: bool,
}

impl SweepState {
    /// Whether a level of this repetition has nothing more to say.
    fn is_decided(&self, repetition: Repetition) -> bool {
        self.saturated || self.repetition != repetition
    }
}

impl RunState {
    /// What a report of a level says. `None` if it belongs to no sweep, if its sweep needs no more
    /// levels, or if a finding of its agent makes it invalid in a way that decides nothing.
    pub(super) fn level(&self, report: &AttemptReport) -> Option<Box<SweepLevel>> {
        let cell = &report.key.cell;
        let sweep = self.header.suite.case(&cell.case)?.sweep.as_ref()?;
        let known = self.hosts.get(&cell.host)?.sweeps.get(&sweep.of);
        if known.is_some_and(|state| state.is_decided(cell.repetition)) {
            return None;
        }
        let invalid = report.findings.iter().filter(|f| f.validity == Validity::Invalid);
        SweepLevel::of(&report.traces, invalid.map(|f| &f.code)).map(Box::new)
    }

    /// A level has its counted attempt; the higher ones may have become idle.
    pub(super) fn learn(
        &mut self,
        cell: &CellKey,
        level: Option<Box<SweepLevel>>,
        effects: &mut Vec<Effect>,
    ) {
        let Some(case) = self.header.suite.case(&cell.case) else { return };
        let (Some(sweep), load) = (case.sweep.clone(), case.load) else { return };
        let Some(host) = self.hosts.get_mut(&cell.host) else { return };
        let state = host.sweeps.entry(sweep.of.clone()).or_insert(SweepState {
            repetition: cell.repetition,
            before: None,
            saturated: false,
        });
        if state.is_decided(cell.repetition) {
            return;
        }
        let verdict = level.as_ref().map(|level| level.verdict(&load, state.before.as_deref()));
        state.before = level;
        if let Some(LevelVerdict::Saturated(saturation)) = verdict {
            state.saturated = true;
            let evidence = saturation.to_string();
            let reason = SkipReason::Saturated { at: cell.case.clone(), evidence };
            self.skip_above(&cell.host, &sweep, &reason, effects);
        }
    }

    /// Closes the higher levels of a sweep, in this repetition and in all later ones.
    fn skip_above(
        &mut self,
        host: &HostId,
        sweep: &Sweep,
        reason: &SkipReason,
        effects: &mut Vec<Effect>,
    ) {
        let is_above = |other: &Option<Sweep>| {
            other.as_ref().is_some_and(|other| other.of == sweep.of && other.level > sweep.level)
        };
        for index in 0..self.plan.blocks().len() {
            let Some(cell) = self.cell(host, index) else { continue };
            let case = self.header.suite.case(&cell.case);
            if case.is_some_and(|case| is_above(&case.sweep)) && !self.closed.contains_key(&cell) {
                self.closed.insert(cell.clone(), Closed::Skipped);
                let reason = reason.clone();
                effects.push(Effect::Event(EventKind::CellSkipped { cell, reason }));
            }
        }
    }

    /// Moves every host past the cells that it skips.
    pub(super) fn pass_skipped(&mut self) {
        let names: Vec<HostId> = self.hosts.keys().cloned().collect();
        for name in names {
            while let Some(index) = self.hosts.get(&name).map(|host| host.cursor)
                && self
                    .cell(&name, index)
                    .is_some_and(|cell| self.closed.get(&cell) == Some(&Closed::Skipped))
                && let Some(host) = self.hosts.get_mut(&name)
            {
                host.next_cell();
            }
        }
    }
}
