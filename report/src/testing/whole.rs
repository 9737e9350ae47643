//! A run that is wholly in memory, and what is made of it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Deref, DerefMut};

use regatta_types::ids::HostId;
use regatta_types::record::{AttemptRecord, RunRecord};

use crate::source::{Cause, Content, Folder, Run};
use crate::{Completeness, Rendered, Summary, render};

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

/// A folder in memory: content by path.
#[derive(Debug, Default)]
pub struct Files(pub BTreeMap<String, Vec<u8>>);

impl Folder for Files {
    fn file(&mut self, path: &str, content: &mut Content<'_>) -> Result<(), Cause> {
        let mut bytes = Vec::new();
        content(&mut bytes)?;
        self.0.insert(path.to_owned(), bytes);
        Ok(())
    }
}

fn rendered(run: &impl Run) -> (BTreeMap<String, Vec<u8>>, Rendered) {
    let mut files = Files::default();
    let rendered = render(run, &mut files).expect("a run in memory can be read");
    (files.0, rendered)
}

/// The files of a report.
///
/// # Panics
/// When attempts cannot be read.
pub fn files(run: &impl Run) -> BTreeMap<String, Vec<u8>> {
    rendered(run).0
}

/// The answer in a few lines.
///
/// # Panics
/// When attempts cannot be read.
pub fn summary(run: &impl Run) -> Summary {
    rendered(run).1.summary
}

/// How complete a run is.
///
/// # Panics
/// When attempts cannot be read.
pub fn completeness(run: &impl Run) -> Completeness {
    rendered(run).1.completeness
}
