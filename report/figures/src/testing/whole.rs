//! A run that is wholly in memory.

use std::collections::BTreeSet;
use std::ops::{Deref, DerefMut};

use regatta_types::ids::HostId;
use regatta_types::record::{AttemptRecord, RunRecord};

use crate::source::{Cause, Run};

/// A run with its attempts.
#[derive(Debug, Clone, PartialEq)]
pub struct WholeRun {
    /// All of it but the attempts.
    pub record: RunRecord,
    /// In any order.
    pub attempts: Vec<AttemptRecord>,
}

impl Deref for WholeRun {
    type Target = RunRecord;

    fn deref(&self) -> &RunRecord {
        &self.record
    }
}

impl DerefMut for WholeRun {
    fn deref_mut(&mut self) -> &mut RunRecord {
        &mut self.record
    }
}

impl Run for WholeRun {
    fn record(&self) -> &RunRecord {
        &self.record
    }

    fn hosts(&self) -> Vec<&HostId> {
        let hosts: BTreeSet<&HostId> =
            self.attempts.iter().map(|attempt| &attempt.report.key.cell.host).collect();
        hosts.into_iter().collect()
    }

    fn attempts(&self, host: &HostId) -> Result<Vec<AttemptRecord>, Cause> {
        let own = self.attempts.iter().filter(|a| a.report.key.cell.host == *host);
        Ok(own.cloned().collect())
    }
}

impl WholeRun {
    /// Reads all of a run.
    ///
    /// # Panics
    /// When its attempts cannot be read.
    #[must_use]
    pub fn read(run: &impl Run) -> Self {
        let of_host = |host| run.attempts(host).expect("attempts that can be read");
        let attempts = run.hosts().into_iter().flat_map(of_host).collect();
        Self { record: run.record().clone(), attempts }
    }
}
