//! What the coordinator remembers: every run, with every raw result.
//!
//! Main types: [`Store`], the trait that hides SQL from the rest; [`SqliteStore`], its only
//! implementation for now, on a file or in memory; [`Writer`], the one thread that writes to it;
//! [`StoredRun`], a run that a report reads host by host.
//! [`Store::load`] is a pure fold: the same rows give the same [`RunRecord`], regardless of the order
//! in which they were written. This module decides nothing: dispositions and reasons come from the
//! run's state.

mod error;
mod fold;
mod schema;
mod sqlite;
mod stored;
mod writer;

use std::collections::BTreeSet;

use bytes::Bytes;
use regatta_types::event::{Disposition, MissingReason, RunEvent};
use regatta_types::ids::{AttemptKey, CellKey, Epoch, HostId, RunId, SuiteName};
use regatta_types::record::{HostRecord, RunHeader, RunRecord};
use regatta_types::time::UnixNs;

pub use error::StoreError;
pub use fold::AttemptRows;
pub use sqlite::{FILE_NAME, SqliteStore};
pub use stored::StoredRun;
pub use writer::{StoreHandle, Writer};

/// Keeps runs. Every method is blocking.
pub trait Store: Send {
    /// Applies all of `writes` or none, and returns after they are on disk.
    ///
    /// # Errors
    /// [`StoreError::NoSuchRun`], [`StoreError::RunExists`] or [`StoreError::EventDiffers`] when a
    /// write cannot be; otherwise the storage failed ([`StoreError::is_storage_failure`]).
    fn write(&mut self, writes: &[Write]) -> Result<Vec<Stored>, StoreError>;

    /// Everything known about a run but its attempts.
    ///
    /// # Errors
    /// [`StoreError::NoSuchRun`], or the storage failed. Damaged rows are no error: they are listed.
    fn load(&self, run: &RunId) -> Result<Loaded, StoreError>;

    /// The attempts of one host of a run, which the caller opens.
    ///
    /// # Errors
    /// When the storage failed.
    fn attempts(&self, run: &RunId, host: &HostId) -> Result<AttemptRows, StoreError>;

    /// All runs, newest first.
    ///
    /// # Errors
    /// When the storage failed.
    fn runs(&self) -> Result<Vec<RunSummary>, StoreError>;

    /// The newest run.
    ///
    /// # Errors
    /// When the storage failed.
    fn latest(&self) -> Result<Option<RunId>, StoreError> {
        Ok(self.runs()?.into_iter().next().map(|summary| summary.run))
    }
}

/// One thing to remember.
#[derive(Debug, Clone)]
pub enum Write {
    /// A new run. Comes before anything else of it.
    Run(Box<RunHeader>),
    /// A host of a run, as known now; replaces what was known before.
    Host(RunId, Box<HostRecord>),
    /// An attempt report.
    Attempt(AttemptRow),
    /// A cell without a counted attempt; replaces an earlier reason.
    Missing(RunId, CellKey, MissingReason),
    /// An event. The same number and content again is no-op.
    Event(RunId, Box<RunEvent>),
    /// The end of a run; replaces an earlier seal.
    Seal(RunId, UnixNs),
}

/// An attempt report as it arrived.
#[derive(Debug, Clone)]
pub struct AttemptRow {
    /// Which attempt.
    pub key: AttemptKey,
    /// The lease it ran under.
    pub epoch: Epoch,
    /// Its outcome.
    pub disposition: Disposition,
    /// The encoded report.
    pub report: Bytes,
}

/// What a write did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// It is stored now.
    New,
    /// It was stored before: nothing changed.
    Duplicate,
    /// Another report of the same attempt was stored before. Both are kept, the first one counts.
    Conflict,
}

/// A run as it was read back.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// All that could be read.
    pub record: RunRecord,
    /// The hosts that have attempts.
    pub hosts: BTreeSet<HostId>,
    /// Rows that could not, in order of table and key.
    pub damaged: Vec<Damage>,
    /// Attempts for which a second, different report arrived, sorted.
    pub conflicts: Vec<AttemptKey>,
}

/// A row that cannot be trusted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Damage {
    /// Which, e.g. `attempt night/gpu-01/chat/r1/a1`.
    pub row: String,
    /// What is wrong with it.
    pub problem: String,
}

/// One line of the list of runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunSummary {
    /// The run.
    pub run: RunId,
    /// Its suite.
    pub suite: SuiteName,
    /// When it was created.
    pub created: UnixNs,
    /// When it ended; `None` while it is open or if it never did.
    pub sealed: Option<UnixNs>,
    /// Hosts that are known.
    pub hosts: u64,
    /// Attempts that are stored, the engine warm-up included.
    pub attempts: u64,
}

#[cfg(test)]
mod tests;
