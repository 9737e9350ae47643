//! A run in a store, read host by host.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use regatta_report::{Cause, Run};
use regatta_types::ids::{AttemptKey, HostId, RunId};
use regatta_types::record::{AttemptRecord, RunRecord};

use super::{Damage, Loaded, SqliteStore, Store as _, StoreError};

/// A run as it is stored at one moment, whoever writes to the store meanwhile. What cannot be
/// trusted is left out and listed.
#[derive(Debug)]
pub struct StoredRun<'s> {
    store: Mutex<&'s mut SqliteStore>,
    record: RunRecord,
    hosts: BTreeSet<HostId>,
    conflicts: Vec<AttemptKey>,
    damaged: Mutex<BTreeSet<Damage>>,
}

impl<'s> StoredRun<'s> {
    /// Reads all of a run but its attempts. The store is busy with it until it is dropped.
    ///
    /// # Errors
    /// As [`Store::load`](super::Store::load).
    pub fn open(store: &'s mut SqliteStore, run: &RunId) -> Result<Self, StoreError> {
        store.begin_reading()?;
        match store.read_run(run) {
            Ok(Loaded { record, hosts, damaged, conflicts }) => {
                let damaged = Mutex::new(damaged.into_iter().collect());
                Ok(Self { store: Mutex::new(store), record, hosts, conflicts, damaged })
            }
            Err(error) => {
                store.end_reading()?;
                Err(error)
            }
        }
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

impl Drop for StoredRun<'_> {
    fn drop(&mut self) {
        let store = self.store.get_mut().unwrap_or_else(PoisonError::into_inner);
        // Nothing was written: there is nothing to lose.
        let _ = store.end_reading();
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
        let store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        let rows = store.attempts(&self.record.header.run, host)?;
        drop(store);
        // Checking and decoding them is most of the work.
        let (attempts, damaged) = rows.open();
        self.damaged.lock().unwrap_or_else(PoisonError::into_inner).extend(damaged);
        Ok(attempts)
    }
}
