//! What can go wrong with a store, and whose fault it is.

use std::path::PathBuf;

use regatta_agent::outbox::LockError;
use regatta_types::ids::RunId;

/// Why the store refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Nothing is known of this run.
    #[error("no run `{0}`")]
    NoSuchRun(RunId),
    /// A run of this name is stored already.
    #[error("run `{0}` already exists")]
    RunExists(RunId),
    /// An event of this number is stored already, with other content.
    #[error("event {seq} of run `{run}` is already stored with different content")]
    EventDiffers {
        /// The run.
        run: RunId,
        /// The event's number.
        seq: u64,
    },
    /// The state directory holds no store yet.
    #[error("no runs in {}", .0.display())]
    Empty(PathBuf),
    /// Another coordinator has the state directory.
    #[error(transparent)]
    Locked(LockError),
    /// Written by a later version.
    #[error(
        "{} was written by a newer version of Regatta (format {found}, this version reads up to \
         {known}). Use the newer version",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The newest format this build reads.
        known: i64,
    },
    /// Some other program's database.
    #[error("{} is not a Regatta store", .0.display())]
    Foreign(PathBuf),
    /// The database fails its own check.
    #[error("{} is damaged: {problem}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the check says.
        problem: String,
    },
    /// The run's header, without which nothing can be said about it.
    #[error("the header of run `{run}` is damaged: {problem}")]
    HeaderDamaged {
        /// The run.
        run: RunId,
        /// What is wrong with it.
        problem: String,
    },
    /// The state directory cannot be flushed to disk.
    #[error("cannot flush {}", path.display())]
    Flush {
        /// The directory.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A value that JSON cannot hold.
    #[error("cannot encode an event or a reason")]
    Encode(#[source] serde_json::Error),
    /// A database operation failed.
    #[error("cannot {doing} the store")]
    Sqlite {
        /// `open`, `write`, `read`.
        doing: &'static str,
        /// The cause.
        source: rusqlite::Error,
    },
    /// After a failed write or flush nothing that follows can be trusted to be on disk.
    #[error("the store failed earlier and accepts no more writes")]
    Broken,
    /// The writer thread has ended.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    /// Whether this is a local storage failure, as opposed to a request that cannot be met.
    #[must_use]
    pub fn is_storage_failure(&self) -> bool {
        match self {
            Self::NoSuchRun(_)
            | Self::RunExists(_)
            | Self::EventDiffers { .. }
            | Self::Empty(_)
            | Self::Newer { .. }
            | Self::Foreign(_) => false,
            Self::Locked(error) => match error {
                LockError::Held { .. } => false,
                LockError::Io { .. } => true,
            },
            Self::Damaged { .. }
            | Self::HeaderDamaged { .. }
            | Self::Flush { .. }
            | Self::Encode(_)
            | Self::Sqlite { .. }
            | Self::Broken
            | Self::Closed => true,
        }
    }
}
