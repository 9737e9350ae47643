//! One run, sorted and analyzed: the source of every file of a report.
//!
//! The main type is [`Analysis`]. It sorts the record, so that a report does not depend on the order
//! of rows in a store, and computes each figure once. It releases traces and GPU readings host by
//! host and keeps only what a report shows. It formats nothing.

use std::collections::BTreeSet;

use regatta_types::ids::{CaseId, HostId};
use regatta_types::record::{ExpectedHosts, RunRecord};
use regatta_types::suite::{Case, Load};

use crate::compare::{ClassReport, Contention, Later, Reason, compare_classes, contention, later};
use crate::completeness::{Cells, Completeness, left_out};
use crate::hosts::{CaseAnalysis, HostAnalysis, find_shared_machines};
use crate::metrics::{Distribution, Requests};
use crate::source::{Error, Run, attempts_of, each_host};
use crate::start::{StartReport, start_report};

/// A run, worked out.
#[derive(Debug)]
pub struct Analysis<'a> {
    pub record: &'a RunRecord,
    /// Every host that is known by name, sorted.
    pub hosts: Vec<HostAnalysis<'a>>,
    /// Hosts by comparability class, with the verdicts of each.
    pub classes: Vec<ClassReport>,
    /// Cells of another class than their host, as its engine was changed during the run.
    pub later: Vec<Later>,
    /// How closely the hosts started.
    pub start: StartReport,
    /// Each host solo against together, metric by metric; empty unless the run measured both.
    pub contention: Vec<Contention>,
    /// Cells by their outcome.
    pub cells: Cells,
}

/// How answers ended. Cut: finish reason `length`, by `max_tokens` or the context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endings {
    /// None was cut, or there is none.
    NoneCut,
    /// Some were and some were not.
    SomeCut { truncated: u64, ok: u64 },
    /// All were, each with as many tokens as its case allows: their lengths are equal.
    AllAtLimit,
    /// All were, but not all at the limit of their case.
    AllCut,
}

impl<'a> Analysis<'a> {
    /// Reads and works out all hosts, several at once.
    pub fn new(run: &'a impl Run) -> Result<Self, Error> {
        let record = run.record();
        let mut hosts: Vec<HostAnalysis<'a>> = Vec::new();
        let read = |host: &&'a HostId| Ok(HostAnalysis::new(record, host, attempts_of(run, host)?));
        let names = names(record);
        let more = run.hosts().into_iter().filter(|host| !names.contains(host));
        let all: BTreeSet<&HostId> = names.iter().copied().chain(more).collect();
        each_host(&all.into_iter().collect::<Vec<_>>(), read, |host| {
            // Of a host that nothing else knows, rows that cannot be read tell nothing.
            if names.contains(host.host) || !host.attempts.is_empty() {
                hosts.push(host);
            }
            Ok::<(), Error>(())
        })?;
        find_shared_machines(&mut hosts);
        let classes = compare_classes(&hosts, &record.header);
        let later = later(&hosts, &classes.iter().map(|c| &c.class).collect::<Vec<_>>());
        let start = start_report(&hosts, record.header.start);
        let contention = contention(&hosts, &record.header.margins);
        let cells = Cells::of(record, &hosts);
        Ok(Self { record, hosts, classes, later, start, contention, cells })
    }

    pub fn completeness(&self) -> Completeness {
        self.cells.completeness()
    }

    /// Fewest and most streams of these cases; `None` without any, or with an open loop.
    pub fn streams_of(&self, cases: &[CaseId]) -> Option<(u32, u32)> {
        let streams: Option<Vec<u32>> = self.cases(cases).map(Case::concurrency).collect();
        let streams = streams?;
        Some((streams.iter().copied().min()?, streams.into_iter().max()?))
    }

    /// Lowest and highest rate of these cases, a second; `None` without any, or with a closed loop.
    pub fn rates_of(&self, cases: &[CaseId]) -> Option<(f64, f64)> {
        let rate = |case: &Case| match case.load {
            Load::Open { rate, .. } => Some(rate),
            Load::Closed { .. } => None,
        };
        let rates: Option<Vec<f64>> = self.cases(cases).map(rate).collect();
        let rates = Distribution::new(rates?);
        rates.min().zip(rates.max())
    }

    fn cases(&self, ids: &[CaseId]) -> impl Iterator<Item = &'a Case> {
        ids.iter().filter_map(|id| self.record.header.suite.case(id))
    }

    /// Why a host that is alone in its class is not compared with those of another; `None` where it
    /// is not alone, or there is no other class.
    pub fn why_alone(&self, host: &HostId) -> Option<Reason> {
        let class = &self.class_of(host).filter(|c| c.class.hosts.len() == 1)?.class;
        let other = self.classes.iter().find(|other| other.class.label != class.label)?;
        Some(class.unlike(&other.class))
    }

    /// The numbers of the hosts that never joined, after those that did.
    pub fn absent_numbers(&self) -> impl Iterator<Item = usize> + use<> {
        let known = self.hosts.len();
        let absent = usize::try_from(self.record.absent).unwrap_or(usize::MAX);
        known + 1..=known.saturating_add(absent)
    }

    /// How the measured answers of all counted attempts ended.
    pub fn endings(&self) -> Endings {
        let sum = |f: fn(&Requests) -> u32| {
            self.hosts.iter().map(|h| u64::from(f(&h.requests))).sum::<u64>()
        };
        let (ok, truncated) = (sum(|r| r.ok), sum(|r| r.truncated));
        let full = |c: &CaseAnalysis<'_>| {
            let wanted = u64::from(c.requests.ok) * u64::from(c.case.max_tokens);
            c.requests.ok == 0 || c.tokens.completion.known() == Some(wanted)
        };
        if truncated == 0 {
            Endings::NoneCut
        } else if truncated < ok {
            Endings::SomeCut { truncated, ok }
        } else if self.hosts.iter().flat_map(|h| &h.cases).all(full) {
            Endings::AllAtLimit
        } else {
            Endings::AllCut
        }
    }

    /// The class a host is in; `None` if it measured nothing usable.
    pub fn class_of(&self, host: &HostId) -> Option<&ClassReport> {
        self.classes.iter().find(|class| class.class.hosts.contains(host))
    }
}

/// Every host that the record knows by name.
fn names(record: &RunRecord) -> BTreeSet<&HostId> {
    let mut names: BTreeSet<&HostId> = record.hosts.iter().map(|h| &h.host).collect();
    names.extend(record.missing.iter().map(|(cell, _)| &cell.host));
    names.extend(record.skipped.iter().map(|(cell, _)| &cell.host));
    if let ExpectedHosts::Named(expected) = &record.header.expected {
        let takes_part = |host: &&HostId| left_out(record).all(|(left, _)| left != *host);
        names.extend(expected.iter().filter(takes_part));
    }
    names
}
