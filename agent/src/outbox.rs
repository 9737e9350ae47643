//! Results on their way: kept until the coordinator has them on its disk, and a week longer.
//!
//! Main type: [`Outbox`]. On disk each attempt is one file, first a started marker, then the
//! report; every file appears whole or not at all and carries its hash. An attempt that has a file
//! is never started again. The embedded agent's outbox is in memory. Nothing here talks to the
//! coordinator or decides what is sent when. All methods block.

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

/// Attempt reports that were not acknowledged yet.
#[derive(Debug)]
pub struct Outbox {
    /// `None`: everything is in memory.
    disk: Option<Disk>,
    entries: BTreeMap<AttemptKey, Entry>,
    /// Number of the next report, for their order.
    next: u64,
}

#[derive(Debug)]
enum Entry {
    /// Begun, no report yet.
    Started,
    /// To be delivered.
    Pending {
        lease: Lease,
        order: u64,
        /// Kept here without a disk, or when the disk would not take it.
        held: Option<Bytes>,
    },
    /// Delivered.
    Acknowledged,
}

/// What an earlier process left behind.
#[derive(Debug, Default)]
pub struct Recovered {
    /// Attempts it had begun and not reported; reports of them are pending now.
    pub interrupted: Vec<AttemptReport>,
    /// Files that cannot be read, by their present path; they stay until somebody removes them.
    pub quarantined: Vec<PathBuf>,
}

/// Why the outbox refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// Another agent has the directory, or it cannot be made.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A file operation failed.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// What was to be done.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A file was damaged while it lay in the outbox.
    #[error("{} is damaged", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: DecodeError,
    },
    /// The attempt was begun before; it must not be begun again.
    #[error("attempt {0} was begun before")]
    AlreadyStarted(AttemptKey),
    /// No report of this attempt is waiting.
    #[error("no report of attempt {0} is waiting")]
    NotPending(AttemptKey),
    /// More than the coordinator would accept.
    #[error(
        "the report has {requests} requests and {bytes} bytes; at most {REQUESTS_MAX} and {REPORT_MAX} can be delivered"
    )]
    TooLarge {
        /// Requests of the report.
        requests: usize,
        /// Its encoded size.
        bytes: usize,
    },
}

impl Outbox {
    /// Opens the outbox of a state directory (`<state>/outbox`), makes it if needed, and puts in
    /// order what an earlier process left. `wall` tells how old acknowledged reports are.
    ///
    /// # Errors
    /// When another agent has it, or it cannot be read or written. Damaged files are no error.
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

    /// An outbox that is gone when dropped.
    #[must_use]
    pub fn memory() -> Self {
        Self { disk: None, entries: BTreeMap::new(), next: 0 }
    }

    /// Space left on its disk; `None`: it is in memory.
    #[must_use]
    pub fn disk_free(&self) -> Option<Reading<Size>> {
        self.disk.as_ref().map(|disk| facts::disk_free(disk.folder()))
    }

    /// Records that an attempt is about to send its first request. Returns after that is on disk.
    ///
    /// # Errors
    /// [`OutboxError::AlreadyStarted`], or the marker could not be written: do not begin.
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

    /// Takes an attempt's report in place of its marker. Returns after it is on disk.
    ///
    /// # Errors
    /// [`OutboxError::TooLarge`]: it is not taken. [`OutboxError::Io`]: it is kept in memory and can
    /// be delivered, but does not survive this process; begin nothing new.
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

    /// Attempts whose reports wait for delivery, oldest first.
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
    /// [`OutboxError::NotPending`], or its file cannot be read or was damaged.
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

    /// The coordinator has the report on disk: sets it aside. Again is no-op.
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

/// Removes the outbox of a state directory, and that if it is empty then, unless something in it was
/// not delivered. Nothing there is no error.
///
/// # Errors
/// When another agent has it, or it cannot be removed.
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

/// The report of an attempt whose process died: nothing but that it was begun.
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
