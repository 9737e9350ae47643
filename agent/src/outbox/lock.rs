//! One process per state directory.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// A directory of ours, locked until this value is dropped or the process ends, however it ends.
#[derive(Debug)]
pub struct DirectoryLock {
    // Held for its lock.
    _file: File,
}

/// Why a directory could not be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("{} is in use by {holder}; stop it or choose another state directory", dir.display())]
    Held {
        /// The directory.
        dir: PathBuf,
        /// `process 1234`, as the holder wrote it.
        holder: String,
    },
    /// The directory or its lock file cannot be made or written.
    #[error("cannot lock {}", dir.display())]
    Io {
        /// The directory.
        dir: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

impl DirectoryLock {
    /// Makes `dir` if needed (for its owner only) and locks it.
    ///
    /// # Errors
    /// When another process holds it, or it cannot be made or written.
    pub fn acquire(dir: &Path) -> Result<Self, LockError> {
        let io = |source| LockError::Io { dir: dir.to_owned(), source };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(io)?;
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(dir.join("lock"))
            .map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                // Bounded: the file is ours, but its content need not be.
                let read = file.take(20).read_to_string(&mut text);
                let holder = match (read, text.trim().parse::<u32>()) {
                    (Ok(_), Ok(pid)) => format!("process {pid}"),
                    (Ok(_) | Err(_), _) => "another process".to_owned(),
                };
                return Err(LockError::Held { dir: dir.to_owned(), holder });
            }
            Err(TryLockError::Error(source)) => return Err(io(source)),
        }
        file.set_len(0).map_err(io)?;
        file.rewind().map_err(io)?;
        writeln!(file, "{}", std::process::id()).map_err(io)?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_told_who_the_first_is() {
        let dir = tempfile::tempdir().unwrap();
        let first = DirectoryLock::acquire(dir.path()).unwrap();
        let error = DirectoryLock::acquire(dir.path()).unwrap_err().to_string();
        assert!(error.contains(&format!("in use by process {}", std::process::id())), "{error}");
        drop(first);
        DirectoryLock::acquire(dir.path()).unwrap();
    }
}
