//! Writing a rendered report to its folder: under a temporary name first, then swapped in, so
//! that there is an old report or a new one, never half of either.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

/// Why there is no report on disk.
#[derive(Debug, thiserror::Error)]
pub enum ReportsError {
    /// The folder holds something else.
    #[error("`{}` exists and is not a report of Regatta (no run.json in it): choose another --out", .0.display())]
    NotOurs(PathBuf),
    /// The disk said no.
    #[error("writing the report to `{}` failed", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// What was said.
        source: io::Error,
    },
}

/// Whether a report may be written to `out`.
///
/// # Errors
/// When something else is there.
pub fn check(out: &Path) -> Result<(), ReportsError> {
    if out.symlink_metadata().is_ok() && !is_report(out) {
        return Err(ReportsError::NotOurs(out.to_owned()));
    }
    Ok(())
}

/// Writes `files` (relative path to bytes) as the folder `out`, replacing an earlier report there.
///
/// # Errors
/// When `out` is something else, or the disk fails.
pub fn write(out: &Path, files: &BTreeMap<String, Vec<u8>>) -> Result<(), ReportsError> {
    check(out)?;
    let exists = out.symlink_metadata().is_ok();
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| ReportsError::Io { path, source }
    };
    let parent = parent(out);
    fs::create_dir_all(parent).map_err(failed(parent))?;
    let fresh =
        tempfile::Builder::new().prefix(".report-").tempdir_in(parent).map_err(failed(parent))?;
    for (name, bytes) in files {
        let path = fresh.path().join(name);
        write_file(&path, bytes).map_err(failed(&path))?;
    }
    // mkdtemp makes it private; a report is for everybody the umask allows.
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(fresh.path(), mode).map_err(failed(fresh.path()))?;
    if exists {
        swap(fresh.path(), out).map_err(failed(out))?;
        // What is now under the temporary name is the old report: dropping it removes it.
        drop(fresh);
    } else {
        fs::rename(fresh.path(), out).map_err(failed(out))?;
        let _renamed_away = fresh.keep();
    }
    sync(parent).map_err(failed(parent))
}

/// Writes one file, replacing an earlier one as a whole.
///
/// # Errors
/// When the disk fails.
pub fn write_one(out: &Path, bytes: &[u8]) -> Result<(), ReportsError> {
    let write = || {
        let mut fresh = tempfile::Builder::new()
            .permissions(fs::Permissions::from_mode(0o644))
            .tempfile_in(parent(out))?;
        fresh.write_all(bytes)?;
        fresh.as_file().sync_all()?;
        fresh.persist(out)?;
        sync(parent(out))
    };
    write().map_err(|source| ReportsError::Io { path: out.to_owned(), source })
}

fn parent(out: &Path) -> &Path {
    out.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Exchanges two folders at once; file systems that can't get the second-best: for a moment there
/// is no report under its name, but never half of one.
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

fn write_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut file = fs::File::create_new(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn sync(folder: &Path) -> io::Result<()> {
    fs::File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(run: &str) -> BTreeMap<String, Vec<u8>> {
        [("run.json", run), ("hosts/a.md", "# a")]
            .map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec()))
            .into()
    }

    #[test]
    fn a_report_replaces_an_earlier_one_as_a_whole() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("reports/run");
        write(&out, &files("one")).unwrap();
        fs::write(out.join("left-over.md"), "x").unwrap();
        write(&out, &files("two")).unwrap();
        assert_eq!(fs::read_to_string(out.join("run.json")).unwrap(), "two");
        assert!(!out.join("left-over.md").exists());
        let beside = fs::read_dir(out.parent().unwrap()).unwrap().count();
        assert_eq!(beside, 1, "nothing temporary is left");
    }

    #[test]
    fn a_file_replaces_an_earlier_one_as_a_whole() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("requests.csv");
        write_one(&out, b"a long first one").unwrap();
        write_one(&out, b"two").unwrap();
        assert_eq!(fs::read_to_string(&out).unwrap(), "two");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing temporary is left");
        let nowhere = write_one(&dir.path().join("no/folder"), b"x").unwrap_err();
        assert!(matches!(nowhere, ReportsError::Io { .. }));
    }

    #[test]
    fn a_folder_of_something_else_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("precious.txt"), "x").unwrap();
        let error = write(dir.path(), &files("one")).unwrap_err();
        assert!(matches!(error, ReportsError::NotOurs(_)));
        assert!(dir.path().join("precious.txt").exists());
    }
}
