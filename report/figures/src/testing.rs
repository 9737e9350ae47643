//! A run that is wholly in memory is one that figures can be made of.

use std::collections::BTreeSet;

use regatta_types::ids::HostId;
use regatta_types::record::{AttemptRecord, RunRecord};
use regatta_types::testing::WholeRun;

use crate::source::{Cause, Run};

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

/// Reads all of a run.
///
/// # Panics
/// When its attempts cannot be read.
#[must_use]
pub fn whole(run: &impl Run) -> WholeRun {
    let of_host = |host| run.attempts(host).expect("attempts that can be read");
    let attempts = run.hosts().into_iter().flat_map(of_host).collect();
    WholeRun { record: run.record().clone(), attempts }
}
