//! Undelivered results: kept until the coordinator has stored them, and for a week after that.
//!
//! The main type is [`Outbox`]. On disk each attempt is one file: first a started marker, then the
//! report. Files are written atomically with a hash. An attempt with a file is never started again.
//! The embedded agent's outbox is in memory. The session decides what to send and when. All methods
//! block.

mod disk;
mod lock;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use regatta_types::assignment::Lease;
use regatta_types::attempt::{AttemptOutcome, AttemptReport, Started};
use regatta_types::engine::EngineWatch;
use regatta_types::gpu::GpuWindow;
use regatta_types::ids::AttemptKey;
use regatta_types::reading::Reading;
use regatta_types::time::WallClock;
use regatta_types::units::Bytes as Size;
use regatta_wire::DecodeError;
use regatta_wire::codec::{encode_report, encode_started};
use regatta_wire::limits::{REPORT_MAX, REQUESTS_MAX};

use crate::facts;
use disk::{Disk, Kind};
pub use lock::{DirectoryLock, LockError};

/// Attempt reports without an acknowledgment.
#[derive(Debug)]
pub struct Outbox {
    /// `None`: in memory.
    disk: Option<Disk>,
    entries: BTreeMap<AttemptKey, Entry>,
    /// Number of the next report, for their order.
    next: u64,
}

#[derive(Debug)]
enum Entry {
    /// Started, no report yet.
    Started,
    /// Pending delivery.
    Pending {
        lease: Lease,
        order: u64,
        /// In memory without a disk, or after a write error.
        held: Option<Bytes>,
    },
    /// Delivered.
    Acknowledged,
}

/// State left by an earlier process.
#[derive(Debug, Default)]
pub struct Recovered {
    /// Attempts that were started but not reported; their reports are pending now.
    pub interrupted: Vec<AttemptReport>,
    /// Quarantined files by path; they stay until removed by the user.
    pub quarantined: Vec<PathBuf>,
}

/// Outbox errors.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// Another agent uses the directory, or it cannot be created.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A file operation failed.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// The operation.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A damaged file.
    #[error("{} is damaged", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: DecodeError,
    },
    /// The attempt was already started and must not be started again.
    #[error("attempt {0} was already started")]
    AlreadyStarted(AttemptKey),
    /// No pending report of this attempt.
    #[error("no pending report of attempt {0}")]
    NotPending(AttemptKey),
    /// The report exceeds the limits of the coordinator.
    #[error(
        "the report is too large: {requests} requests and {bytes} bytes (maximum {REQUESTS_MAX} \
         and {REPORT_MAX})"
    )]
    TooLarge {
        /// Requests of the report.
        requests: usize,
        /// Its encoded size.
        bytes: usize,
    },
}

impl Outbox {
    /// Opens or creates the outbox of a state directory (`<state>/outbox`) and recovers the state
    /// of an earlier process. `wall` gives the age of acknowledged reports.
    ///
    /// # Errors
    /// If another agent uses it, or on an I/O error. Damaged files are not an error.
    pub fn open(state: &Path, wall: &dyn WallClock) -> Result<(Self, Recovered), OutboxError> {
        let (disk, found) = Disk::open(&state.join("outbox"), wall)?;
        let mut outbox = Self { disk: Some(disk), entries: BTreeMap::new(), next: 0 };
        for lease in found.pending {
            outbox.add(lease, None);
        }
        let mut recovered = Recovered { interrupted: Vec::new(), quarantined: found.quarantined };
        for started in found.started {
            let report = interrupted(started);
            outbox.put(&report)?;
            recovered.interrupted.push(report);
        }
        Ok((outbox, recovered))
    }

    /// An outbox in memory.
    #[must_use]
    pub fn memory() -> Self {
        Self { disk: None, entries: BTreeMap::new(), next: 0 }
    }

    /// Free disk space; `None`: in memory.
    #[must_use]
    pub fn disk_free(&self) -> Option<Reading<Size>> {
        self.disk.as_ref().map(|disk| facts::disk_free(disk.folder()))
    }

    /// Records the start of an attempt before its first request. Returns once this is on disk.
    ///
    /// # Errors
    /// [`OutboxError::AlreadyStarted`], or the marker cannot be written: do not start.
    pub fn mark_started(&mut self, started: &Started) -> Result<(), OutboxError> {
        let key = &started.lease.key;
        let known = self.entries.contains_key(key)
            || self.disk.as_ref().is_some_and(|disk| disk.knows(key));
        if known {
            return Err(OutboxError::AlreadyStarted(key.clone()));
        }
        if let Some(disk) = &self.disk {
            disk.write(key, Kind::Started, encode_started(started).into())?;
        }
        self.entries.insert(key.clone(), Entry::Started);
        Ok(())
    }

    /// Replaces the marker of an attempt by its report. Returns once this is on disk.
    ///
    /// # Errors
    /// [`OutboxError::TooLarge`]: rejected. [`OutboxError::Io`]: kept in memory and deliverable, but lost
    /// with this process; start no new attempt.
    pub fn put(&mut self, report: &AttemptReport) -> Result<(), OutboxError> {
        let bytes = Bytes::from(encode_report(report));
        if bytes.len() > REPORT_MAX || report.traces.len() > REQUESTS_MAX {
            let requests = report.traces.len();
            return Err(OutboxError::TooLarge { requests, bytes: bytes.len() });
        }
        let lease = Lease { key: report.key.clone(), epoch: report.epoch };
        let Some(disk) = &self.disk else {
            self.add(lease, Some(bytes));
            return Ok(());
        };
        let written = disk.write(&report.key, Kind::Report, bytes.clone());
        self.add(lease, written.is_err().then_some(bytes));
        written
    }

    fn add(&mut self, lease: Lease, held: Option<Bytes>) {
        let order = self.next;
        self.next += 1;
        self.entries.insert(lease.key.clone(), Entry::Pending { lease, order, held });
    }

    /// Attempts with pending reports, oldest first.
    #[must_use]
    pub fn pending(&self) -> Vec<Lease> {
        let mut waiting: Vec<(u64, &Lease)> = self
            .entries
            .values()
            .filter_map(|entry| match entry {
                Entry::Pending { order, lease, .. } => Some((*order, lease)),
                Entry::Started | Entry::Acknowledged => None,
            })
            .collect();
        waiting.sort_unstable_by_key(|(order, _)| *order);
        waiting.into_iter().map(|(_, lease)| lease.clone()).collect()
    }

    /// The encoded report of an attempt.
    ///
    /// # Errors
    /// [`OutboxError::NotPending`], or its file is unreadable or damaged.
    pub fn read(&self, key: &AttemptKey) -> Result<Bytes, OutboxError> {
        match (self.entries.get(key), &self.disk) {
            (Some(Entry::Pending { held: Some(bytes), .. }), _) => Ok(bytes.clone()),
            (Some(Entry::Pending { held: None, .. }), Some(disk)) => disk.read(key),
            (Some(Entry::Pending { held: None, .. }), None)
            | (Some(Entry::Started | Entry::Acknowledged) | None, _) => {
                Err(OutboxError::NotPending(key.clone()))
            }
        }
    }

    /// Marks a report as stored by the coordinator. Idempotent.
    ///
    /// # Errors
    /// [`OutboxError::NotPending`], or its file cannot be moved.
    pub fn acknowledge(&mut self, key: &AttemptKey) -> Result<(), OutboxError> {
        match self.entries.get(key) {
            Some(Entry::Acknowledged) => return Ok(()),
            Some(Entry::Pending { held, .. }) => {
                let kind = if held.is_none() { Kind::Report } else { Kind::Started };
                if let Some(disk) = &self.disk {
                    disk.acknowledge(key, kind)?;
                }
            }
            Some(Entry::Started) | None => return Err(OutboxError::NotPending(key.clone())),
        }
        self.entries.insert(key.clone(), Entry::Acknowledged);
        Ok(())
    }
}

/// Removes the outbox of a state directory, and the directory if empty, unless there are
/// undelivered reports. A missing outbox is not an error.
///
/// # Errors
/// If another agent uses it, or it cannot be removed.
pub fn discard_delivered(state: &Path) -> Result<(), OutboxError> {
    disk::discard_delivered(&state.join("outbox"))?;
    match std::fs::remove_dir(state) {
        Err(e)
            if !matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty) =>
        {
            Err(OutboxError::Io { doing: "remove", path: state.to_owned(), source: e })
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The report of an attempt whose process died: only its start.
fn interrupted(started: Started) -> AttemptReport {
    let began = started.planned_start.unwrap_or(started.anchor.mono);
    AttemptReport {
        key: started.lease.key,
        epoch: started.lease.epoch,
        instance: started.instance,
        boot: started.boot,
        outcome: AttemptOutcome::Interrupted,
        anchor: started.anchor,
        planned_start: started.planned_start,
        began,
        finished: began,
        traces: Vec::new(),
        gpu: GpuWindow::missing("the agent was interrupted"),
        findings: Vec::new(),
        engine: EngineWatch::missing("the agent was interrupted"),
        client_cpu: None,
    }
}

#[cfg(test)]
mod tests;
