//! Results on their way: on disk until the coordinator has them.

mod lock;

pub use lock::{DirectoryLock, LockError};
