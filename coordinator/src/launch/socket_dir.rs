//! A private folder on this machine for the sockets that ssh forwards to.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use regatta_agent::outbox::DirectoryLock;
use tempfile::TempDir;

const PREFIX: &str = "regatta-run.";
/// The system takes no longer path for a socket, less the name of one.
const PATH_MAX: usize = 100;
/// A folder that is younger may still be without its owner's lock.
const YOUNG: Duration = Duration::from_secs(60);

/// The folder, gone when dropped.
#[derive(Debug)]
pub(super) struct SocketDir {
    dir: TempDir,
    _lock: DirectoryLock,
}

impl SocketDir {
    /// Makes it, and removes those of processes that were killed.
    pub(super) fn new() -> io::Result<Self> {
        let mut place = std::env::temp_dir();
        if place.as_os_str().len() > PATH_MAX - PREFIX.len() - 10 {
            place = "/tmp".into();
        }
        let private = Permissions::from_mode(0o700);
        let dir =
            tempfile::Builder::new().prefix(PREFIX).permissions(private).tempdir_in(&place)?;
        let lock = DirectoryLock::acquire(dir.path()).map_err(io::Error::other)?;
        let metadata = dir.path().metadata()?;
        clear(&place, metadata.uid(), metadata.modified()?);
        Ok(Self { dir, _lock: lock })
    }

    /// The place of a socket.
    pub(super) fn socket(&self, n: usize) -> PathBuf {
        self.dir.path().join(n.to_string())
    }
}

/// Removes our folders that no process uses any more. A folder that cannot be removed does no harm.
fn clear(place: &Path, owner: u32, now: SystemTime) {
    for entry in std::fs::read_dir(place).into_iter().flatten().flatten() {
        let is_ours = entry.file_name().to_string_lossy().starts_with(PREFIX);
        let Ok(metadata) = entry.metadata() else { continue };
        let age = metadata.modified().ok().and_then(|made| now.duration_since(made).ok());
        if is_ours
            && metadata.is_dir()
            && metadata.uid() == owner
            && age.is_some_and(|age| age > YOUNG)
            && DirectoryLock::acquire(&entry.path()).is_ok()
        {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_whose_process_is_gone_are_removed_and_others_are_not() {
        let place = tempfile::tempdir().unwrap();
        let folder = |name: &str| {
            std::fs::create_dir(place.path().join(name)).unwrap();
            place.path().join(name)
        };
        let (gone, held, foreign) =
            (folder("regatta-run.gone"), folder("regatta-run.held"), folder("other"));
        drop(DirectoryLock::acquire(&gone).unwrap());
        let _held = DirectoryLock::acquire(&held).unwrap();
        let metadata = gone.metadata().unwrap();
        let (owner, made) = (metadata.uid(), metadata.modified().unwrap());
        clear(place.path(), owner, made);
        assert!(gone.exists(), "it is young");
        clear(place.path(), owner, made + 2 * YOUNG);
        assert_eq!([gone.exists(), held.exists(), foreign.exists()], [false, true, true]);
    }
}
