//! The outbox directory: one file with a hash per attempt.
//!
//! `<attempt>.started`, then `<attempt>.report`, then `acked/<attempt>.report`. A file is written
//! under a temporary name, synced and renamed, and the directory is synced, so that files survive a
//! power failure complete or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use regatta_types::assignment::Lease;
use regatta_types::attempt::Started;
use regatta_types::ids::AttemptKey;
use regatta_types::time::{UnixNs, WallClock};
use regatta_wire::DecodeError;
use regatta_wire::codec::{decode_report, decode_started, seal, unseal};
use regatta_wire::limits::REPORT_MAX;
use rustix::fs::{Timespec, Timestamps, UTIME_NOW};

use super::OutboxError;
use super::lock::DirectoryLock;

/// How long acknowledged reports are kept.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// Maximum file size: the largest report and its hash.
const FILE_MAX: u64 = REPORT_MAX as u64 + 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Started,
    Report,
}

impl Kind {
    fn suffix(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Report => "report",
        }
    }
}

#[derive(Debug)]
pub(super) struct Disk {
    dir: PathBuf,
    acked: PathBuf,
    _lock: DirectoryLock,
}

/// Content of the directory when opened.
pub(super) struct Found {
    /// Markers without a report.
    pub(super) started: Vec<Started>,
    /// Reports, oldest first.
    pub(super) pending: Vec<Lease>,
    pub(super) quarantined: Vec<PathBuf>,
}

fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> OutboxError {
    move |source| OutboxError::Io { doing, path: path.to_owned(), source }
}

/// Unique, since no slug contains `+`; at most 230 bytes with any suffix.
fn name(key: &AttemptKey) -> String {
    let cell = &key.cell;
    format!("{}+{}+{}+r{}+a{}", key.run, cell.host, cell.case, cell.repetition, key.attempt)
}

impl Disk {
    pub(super) fn open(dir: &Path, wall: &dyn WallClock) -> Result<(Self, Found), OutboxError> {
        let lock = DirectoryLock::acquire(dir)?;
        let disk = Self { dir: dir.to_owned(), acked: dir.join("acked"), _lock: lock };
        fs::create_dir_all(&disk.acked).map_err(io("make", &disk.acked))?;
        disk.prune(wall.now())?;
        let found = disk.scan()?;
        Ok((disk, found))
    }

    pub(super) fn folder(&self) -> &Path {
        &self.dir
    }

    fn path(&self, key: &AttemptKey, kind: Kind) -> PathBuf {
        self.dir.join(format!("{}.{}", name(key), kind.suffix()))
    }

    /// Whether any file of this attempt exists.
    pub(super) fn knows(&self, key: &AttemptKey) -> bool {
        [Kind::Started, Kind::Report].into_iter().any(|kind| {
            let path = self.path(key, kind);
            let acked = self.acked.join(path.file_name().unwrap_or_default());
            path.exists() || corrupt(&path).exists() || acked.exists()
        })
    }

    /// Writes a file; a report replaces the marker.
    pub(super) fn write(
        &self,
        key: &AttemptKey,
        kind: Kind,
        content: Bytes,
    ) -> Result<(), OutboxError> {
        let path = self.path(key, kind);
        let temporary = self.dir.join(format!("{}.tmp", name(key)));
        let result = write_flushed(&temporary, &seal(content))
            .and_then(|()| fs::rename(&temporary, &path))
            .and_then(|()| match kind {
                Kind::Started => Ok(()),
                Kind::Report => remove(&self.path(key, Kind::Started)),
            })
            .and_then(|()| File::open(&self.dir)?.sync_all());
        if result.is_err() {
            // Do not fill the disk with an incomplete file.
            let _ = remove(&temporary);
        }
        result.map_err(io("write", &path))
    }

    pub(super) fn read(&self, key: &AttemptKey) -> Result<Bytes, OutboxError> {
        let path = self.path(key, Kind::Report);
        read_sealed(&path)?.map_err(|source| OutboxError::Damaged { path, source })
    }

    /// Moves a report to `acked/` with the current time; or its marker, if the report could not be
    /// written. Not synced: a second delivery after a power failure is harmless.
    pub(super) fn acknowledge(&self, key: &AttemptKey, kind: Kind) -> Result<(), OutboxError> {
        let path = self.path(key, kind);
        let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
        let times = Timestamps { last_access: now, last_modification: now };
        File::open(&path)
            .and_then(|file| Ok(rustix::fs::futimens(file, &times)?))
            .and_then(|()| fs::rename(&path, self.acked.join(path.file_name().unwrap_or_default())))
            .map_err(io("set aside", &path))
    }

    /// Removes expired acknowledged reports.
    fn prune(&self, now: UnixNs) -> Result<(), OutboxError> {
        let now = UNIX_EPOCH + Duration::from_nanos(u64::try_from(now.0).unwrap_or(0));
        for entry in fs::read_dir(&self.acked).map_err(io("read", &self.acked))? {
            let path = entry.map_err(io("read", &self.acked))?.path();
            let modified =
                fs::metadata(&path).and_then(|m| m.modified()).map_err(io("read", &path))?;
            // A time in the future has no age: the clock was or is wrong.
            if now.duration_since(modified).is_ok_and(|age| age > KEPT) {
                remove(&path).map_err(io("remove", &path))?;
            }
        }
        Ok(())
    }

    fn scan(&self) -> Result<Found, OutboxError> {
        let mut started = Vec::new();
        let mut reports = Vec::new();
        let mut quarantined = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(io("read", &self.dir))? {
            let path = entry.map_err(io("read", &self.dir))?.path();
            match path.extension().and_then(|e| e.to_str()) {
                Some("tmp") => remove(&path).map_err(io("remove", &path))?,
                Some("corrupt") => quarantined.push(path),
                Some("started") => match self.load(&path, decode_started)? {
                    Some(marker) if path == self.path(&marker.lease.key, Kind::Started) => {
                        started.push(marker);
                    }
                    Some(_) | None => quarantined.push(quarantine(&path)?),
                },
                Some("report") => match self.load(&path, decode_report)? {
                    Some(report) if path == self.path(&report.key, Kind::Report) => {
                        let lease = Lease { key: report.key, epoch: report.epoch };
                        reports.push((report.anchor.unix, lease));
                    }
                    Some(_) | None => quarantined.push(quarantine(&path)?),
                },
                Some(_) | None => {}
            }
        }
        // The process died between writing a report and removing its marker.
        for (_, Lease { key, .. }) in &reports {
            let marker = self.path(key, Kind::Started);
            remove(&marker).map_err(io("remove", &marker))?;
        }
        started.retain(|marker| reports.iter().all(|(_, lease)| lease.key != marker.lease.key));
        reports.sort();
        started.sort_by(|a, b| a.lease.cmp(&b.lease));
        quarantined.sort();
        let pending = reports.into_iter().map(|(_, lease)| lease).collect();
        Ok(Found { started, pending, quarantined })
    }

    /// A file's value; `None` if it is damaged.
    fn load<T>(
        &self,
        path: &Path,
        decode: impl Fn(&[u8]) -> Result<T, DecodeError>,
    ) -> Result<Option<T>, OutboxError> {
        Ok(read_sealed(path)?.and_then(|content| decode(&content)).ok())
    }
}

/// Removes the directory if it contains only acknowledged reports.
pub(super) fn discard_delivered(dir: &Path) -> Result<(), OutboxError> {
    if !dir.exists() {
        return Ok(());
    }
    let lock = DirectoryLock::acquire(dir)?;
    for entry in fs::read_dir(dir).map_err(io("read", dir))? {
        let name = entry.map_err(io("read", dir))?.file_name();
        if name != "lock" && name != "acked" {
            return Ok(());
        }
    }
    fs::remove_dir_all(dir).map_err(io("remove", dir))?;
    drop(lock);
    Ok(())
}

fn read_sealed(path: &Path) -> Result<Result<Bytes, DecodeError>, OutboxError> {
    let len = fs::metadata(path).map_err(io("read", path))?.len();
    if len > FILE_MAX {
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        return Ok(Err(DecodeError::TooLarge { len, max: REPORT_MAX }));
    }
    Ok(unseal(fs::read(path).map_err(io("read", path))?.into()))
}

fn corrupt(path: &Path) -> PathBuf {
    path.with_added_extension("corrupt")
}

fn quarantine(path: &Path) -> Result<PathBuf, OutboxError> {
    let aside = corrupt(path);
    fs::rename(path, &aside).map_err(io("set aside", path))?;
    Ok(aside)
}

fn write_flushed(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file =
        OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Removes a file, if it exists.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        Ok(()) | Err(_) => Ok(()),
    }
}
