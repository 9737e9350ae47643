//! Writes a report to its directory: under a temporary name, then swapped in atomically, so that
//! there is never half a report.

use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use regatta_figures::source::Cause;
use regatta_report::{Content, Folder};
use rustix::fs::{CWD, FlockOperation, RenameFlags, flock, renameat_with};
use rustix::io::Errno;
use tempfile::TempDir;

/// Why a report could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ReportsError {
    /// The directory is not a report.
    #[error("`{}` exists and is not a Regatta report (no run.json). Choose a different --out", .0.display())]
    NotOurs(PathBuf),
    /// I/O error.
    #[error("cannot write the report to `{}`", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// The error.
        source: io::Error,
    },
}

/// Whether a report may be written to `out`.
///
/// # Errors
/// If something else exists there.
pub fn check(out: &Path) -> Result<(), ReportsError> {
    if out.symlink_metadata().is_ok() && !is_report(out) {
        return Err(ReportsError::NotOurs(out.to_owned()));
    }
    Ok(())
}

/// An unfinished report, in a temporary directory next to its target.
#[derive(Debug)]
pub struct Report {
    out: PathBuf,
    fresh: TempDir,
    /// Locked while it is written.
    _lock: File,
}

/// Name prefix of an unfinished report.
const FRESH: &str = ".report-";

impl Report {
    /// Starts the report for directory `out`, which replaces an earlier report there.
    ///
    /// # Errors
    /// If `out` is not a report, or on an I/O error.
    pub fn begin(out: &Path) -> Result<Self, ReportsError> {
        check(out)?;
        let parent = parent(out);
        fs::create_dir_all(parent).map_err(failed(parent))?;
        remove_abandoned(parent);
        let fresh = tempfile::Builder::new().prefix(FRESH).tempdir_in(parent);
        let fresh = fresh.map_err(failed(parent))?;
        let lock = File::open(fresh.path()).map_err(failed(fresh.path()))?;
        // File systems without locks keep abandoned directories.
        let _ = flock(&lock, FlockOperation::NonBlockingLockExclusive);
        Ok(Self { out: out.to_owned(), fresh, _lock: lock })
    }

    /// Moves the report to its target atomically.
    ///
    /// # Errors
    /// If something else was created there in the meantime, or on an I/O error.
    pub fn finish(self) -> Result<(), ReportsError> {
        let Self { out, fresh, _lock: _ } = self;
        check(&out)?;
        // mkdtemp makes it private; the umask decides who can read a report.
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(fresh.path(), mode).map_err(failed(fresh.path()))?;
        if out.symlink_metadata().is_ok() {
            swap(fresh.path(), &out).map_err(failed(&out))?;
            // The old report is now under the temporary name: dropping it removes it.
            drop(fresh);
        } else {
            fs::rename(fresh.path(), &out).map_err(failed(&out))?;
            let _renamed_away = fresh.keep();
        }
        let parent = parent(&out);
        sync(parent).map_err(failed(parent))
    }
}

impl Folder for Report {
    fn file(&mut self, path: &str, content: &mut Content<'_>) -> Result<(), Cause> {
        let path = self.fresh.path().join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        let mut file = BufWriter::new(File::create_new(path)?);
        content(&mut file)?;
        Ok(file.into_inner()?.sync_all()?)
    }
}

/// Writes one file, replacing an earlier one atomically.
///
/// # Errors
/// The error of `content`, or an I/O error.
pub fn write_one(out: &Path, content: &mut Content<'_>) -> Result<(), Cause> {
    let fresh = tempfile::Builder::new()
        .permissions(fs::Permissions::from_mode(0o644))
        .tempfile_in(parent(out))?;
    let mut file = BufWriter::new(fresh);
    content(&mut file)?;
    let fresh = file.into_inner()?;
    fresh.as_file().sync_all()?;
    fresh.persist(out)?;
    Ok(sync(parent(out))?)
}

/// Removes the unfinished reports of killed processes: those without a lock.
fn remove_abandoned(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let is_fresh = entry.file_name().to_string_lossy().starts_with(FRESH);
        if !is_fresh || !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let Ok(lock) = File::open(entry.path()) else { continue };
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
            // Leftovers that cannot be removed do no harm.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> ReportsError {
    let path = path.to_owned();
    move |source| ReportsError::Io { path, source }
}

fn parent(out: &Path) -> &Path {
    out.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Swaps two directories atomically. File systems without such a call get two renames: for a moment
/// there is no report under its name, but never half of one.
fn swap(fresh: &Path, out: &Path) -> io::Result<()> {
    match renameat_with(CWD, fresh, CWD, out, RenameFlags::EXCHANGE) {
        Err(Errno::INVAL | Errno::NOSYS) => {
            let aside = fresh.with_extension("old");
            fs::rename(out, &aside)?;
            fs::rename(fresh, out)?;
            fs::rename(&aside, fresh)
        }
        result => result.map_err(io::Error::from),
    }
}

fn is_report(out: &Path) -> bool {
    let empty = || fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_none());
    out.join("run.json").is_file() || empty()
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(out: &Path, run: &str) -> Result<(), ReportsError> {
        let mut report = Report::begin(out)?;
        for (name, text) in [("run.json", run), ("hosts/a.md", "# a")] {
            report.file(name, &mut |out| Ok(out.write_all(text.as_bytes())?)).unwrap();
        }
        report.finish()
    }

    #[test]
    fn a_report_is_replaced_atomically() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("reports/run");
        write(&out, "one").unwrap();
        fs::write(out.join("left-over.md"), "x").unwrap();
        write(&out, "two").unwrap();
        assert_eq!(fs::read_to_string(out.join("run.json")).unwrap(), "two");
        assert!(!out.join("left-over.md").exists());
        let beside = fs::read_dir(out.parent().unwrap()).unwrap().count();
        assert_eq!(beside, 1, "nothing temporary is left");
    }

    #[test]
    fn a_target_created_while_a_report_is_written_is_not_touched() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("late");
        let report = Report::begin(&out).unwrap();
        fs::create_dir(&out).unwrap();
        fs::write(out.join("precious.txt"), "x").unwrap();
        assert!(matches!(report.finish(), Err(ReportsError::NotOurs(_))));
        assert_eq!(fs::read_to_string(out.join("precious.txt")).unwrap(), "x");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing temporary is left");
    }

    #[test]
    fn abandoned_reports_are_removed_but_unfinished_ones_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let abandoned = dir.path().join(".report-x1y2z3");
        fs::create_dir_all(abandoned.join("hosts")).unwrap();
        let other = Report::begin(&dir.path().join("one")).unwrap();
        assert!(!abandoned.exists());
        write(&dir.path().join("two"), "two").unwrap();
        other.finish().unwrap();
        assert!(dir.path().join("one").exists());
    }

    #[test]
    fn a_file_is_replaced_atomically() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("requests.csv");
        write_one(&out, &mut |out| Ok(out.write_all(b"a long first one")?)).unwrap();
        write_one(&out, &mut |out| Ok(out.write_all(b"two")?)).unwrap();
        assert_eq!(fs::read_to_string(&out).unwrap(), "two");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing temporary is left");
        assert!(write_one(&dir.path().join("no/folder"), &mut |_| Ok(())).is_err());
        let broken = write_one(&out, &mut |_| Err("no source".into()));
        assert_eq!(broken.unwrap_err().to_string(), "no source");
        assert_eq!(fs::read_to_string(&out).unwrap(), "two", "the earlier file stays");
    }

    #[test]
    fn a_directory_that_is_no_report_is_not_touched() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("precious.txt"), "x").unwrap();
        let error = write(dir.path(), "one").unwrap_err();
        assert!(matches!(error, ReportsError::NotOurs(_)));
        assert!(dir.path().join("precious.txt").exists());
    }
}
