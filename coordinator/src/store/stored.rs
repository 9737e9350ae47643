//! A run in a store, read host by host.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use regatta_figures::source::{Cause, Run};
use regatta_types::event::EventKind;
use regatta_types::ids::{AttemptKey, HostId, RunId};
use regatta_types::record::{AttemptRecord, RunRecord};

use super::{Damage, Loaded, SqliteStore, Store as _, StoreError};

/// A run as stored at one moment, regardless of writes to the store meanwhile. Damaged records are
/// excluded and listed.
#[derive(Debug)]
pub struct StoredRun<'s> {
    /// A connection is for one thread at a time, and hosts are read from several.
    reading: Mutex<Reading<'s>>,
    record: RunRecord,
    hosts: BTreeSet<HostId>,
    conflicts: Vec<AttemptKey>,
    /// Found by whichever thread reads the host.
    damaged: Mutex<BTreeSet<Damage>>,
}

/// A store read at one moment, until this is dropped.
#[derive(Debug)]
struct Reading<'s>(&'s mut SqliteStore);

impl<'s> Reading<'s> {
    fn begin(store: &'s mut SqliteStore) -> Result<Self, StoreError> {
        store.begin_reading()?;
        Ok(Self(store))
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.0.end_reading();
    }
}

impl<'s> StoredRun<'s> {
    /// Reads all of a run but its attempts and the events of these, which say no more than they do.
    /// The store is busy with it until it is dropped.
    ///
    /// # Errors
    /// As [`Store::load`](super::Store::load).
    pub fn open(store: &'s mut SqliteStore, run: &RunId) -> Result<Self, StoreError> {
        let reading = Reading::begin(store)?;
        let Loaded { mut record, hosts, damaged, conflicts } = reading.0.read_run(run)?;
        record.events.retain(|event| !is_of_an_attempt(&event.kind));
        record.events.shrink_to_fit();
        let (reading, damaged) = (Mutex::new(reading), Mutex::new(damaged.into_iter().collect()));
        Ok(Self { reading, record, hosts, conflicts, damaged })
    }

    /// Rows that could not be read so far, in order of table and key.
    #[must_use]
    pub fn damaged(&self) -> Vec<Damage> {
        let damaged = self.damaged.lock().unwrap_or_else(PoisonError::into_inner);
        damaged.iter().cloned().collect()
    }

    /// Attempts for which a second, different report arrived, sorted.
    #[must_use]
    pub fn conflicts(&self) -> &[AttemptKey] {
        &self.conflicts
    }
}

/// There are three of each attempt, most of what happens in a run.
fn is_of_an_attempt(event: &EventKind) -> bool {
    match event {
        EventKind::AssignmentLeased { .. }
        | EventKind::AttemptStarted { .. }
        | EventKind::AttemptFinished { .. } => true,
        EventKind::RunStarted { .. }
        | EventKind::AgentJoined { .. }
        | EventKind::AgentDisconnected { .. }
        | EventKind::AgentLost { .. }
        | EventKind::HostPrepared { .. }
        | EventKind::HostLeftOut { .. }
        | EventKind::CellMissing { .. }
        | EventKind::CellSkipped { .. }
        | EventKind::Warning { .. }
        | EventKind::RunCancelled
        | EventKind::RunFinished { .. } => false,
    }
}

impl Run for StoredRun<'_> {
    fn record(&self) -> &RunRecord {
        &self.record
    }

    fn hosts(&self) -> Vec<&HostId> {
        self.hosts.iter().collect()
    }

    fn attempts(&self, host: &HostId) -> Result<Vec<AttemptRecord>, Cause> {
        let reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let rows = reading.0.attempts(&self.record.header.run, host)?;
        drop(reading);
        // Checking and decoding them is most of the work.
        let (attempts, damaged) = rows.open();
        self.damaged.lock().unwrap_or_else(PoisonError::into_inner).extend(damaged);
        Ok(attempts)
    }
}
