//! What every page of a report is written from: a run that is worked out, and what is made of all of it once.

use std::ops::Deref;

use regatta_figures::absent::Figure;
use regatta_figures::analysis::Analysis;
use regatta_figures::bandwidth::Bandwidth;
use regatta_figures::capacity::{Capacity, NoCapacity};
use regatta_figures::compare::ClassReport;
use regatta_figures::history::{Baseline, Changes, Terms, changes};
use regatta_figures::hosts::HostAnalysis;
use regatta_figures::source::{Error, Run};

/// A run, worked out.
#[derive(Debug)]
pub(crate) struct Report<'a> {
    analysis: Analysis<'a>,
    /// What changed since an earlier run, where one was given.
    pub(crate) since: Option<Changes>,
    /// What the hosts give together.
    pub(crate) capacity: Result<Capacity, NoCapacity>,
}

impl<'a> Report<'a> {
    /// Reads and works out all hosts, several at once.
    pub(crate) fn new(run: &'a impl Run, baseline: Option<&Baseline>) -> Result<Self, Error> {
        let analysis = Analysis::new(run)?;
        let margins = analysis.record.header.margins;
        let terms = Terms { margins, ..Terms::default() };
        let since = baseline.map(|before| changes(before, &Baseline::kept(&analysis), &terms));
        let capacity = Capacity::of(&analysis);
        Ok(Self { analysis, since, capacity })
    }

    /// The hosts of a class, sorted.
    pub(crate) fn members(&self, class: &ClassReport) -> Vec<&HostAnalysis<'a>> {
        self.hosts.iter().filter(|host| class.class.hosts.contains(host.host)).collect()
    }

    /// How near a host comes to what its memory could feed.
    pub(crate) fn bandwidth(&self, host: &HostAnalysis<'_>) -> Figure<Bandwidth> {
        Bandwidth::of(&self.analysis, host)
    }
}

impl<'a> Deref for Report<'a> {
    type Target = Analysis<'a>;

    fn deref(&self) -> &Analysis<'a> {
        &self.analysis
    }
}
