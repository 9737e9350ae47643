//! Where a report takes its run from.

use std::error::Error as StdError;

use rayon::prelude::*;
use regatta_types::ids::HostId;
use regatta_types::record::{AttemptRecord, RunRecord};

/// A run whose attempts are read one host at a time: those of a large fleet are more than a
/// memory should hold. Attempts of several hosts may be asked for at once, and those of one more
/// than once; the answer must be the same each time.
pub trait Run: Sync {
    /// All of it but the attempts.
    fn record(&self) -> &RunRecord;

    /// The hosts that have attempts, sorted.
    fn hosts(&self) -> Vec<&HostId>;

    /// All attempts of a host, in any order.
    ///
    /// # Errors
    /// If they cannot be read at all. Single damaged attempts are excluded.
    fn attempts(&self, host: &HostId) -> Result<Vec<AttemptRecord>, Cause>;
}

impl<R: Run> Run for &R {
    fn record(&self) -> &RunRecord {
        (**self).record()
    }

    fn hosts(&self) -> Vec<&HostId> {
        (**self).hosts()
    }

    fn attempts(&self, host: &HostId) -> Result<Vec<AttemptRecord>, Cause> {
        (**self).attempts(host)
    }
}

/// What a store or a disk said.
pub type Cause = Box<dyn StdError + Send + Sync>;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("reading the attempts of {host} failed")]
    Read { host: HostId, source: Cause },
    #[error("writing `{path}` failed")]
    Write {
        /// Which, below the report's folder.
        path: String,
        source: Cause,
    },
}

pub fn attempts_of(run: &impl Run, host: &HostId) -> Result<Vec<AttemptRecord>, Error> {
    let mut attempts =
        run.attempts(host).map_err(|source| Error::Read { host: host.clone(), source })?;
    attempts.sort_by_cached_key(|a| (a.report.key.clone(), a.report.epoch, a.report.began));
    Ok(attempts)
}

/// Hosts that are in the works at once: what bounds the memory, on a machine with many cores too.
const AT_ONCE: usize = 4;

/// Works through hosts, several at once, and takes the results in their order.
pub fn each_host<I: Sync, T: Send, E: From<Error>>(
    hosts: &[I],
    work: impl Fn(&I) -> Result<T, Error> + Sync,
    mut take: impl FnMut(T) -> Result<(), E>,
) -> Result<(), E> {
    for some in hosts.chunks(AT_ONCE) {
        let done: Vec<T> = some.par_iter().map(&work).collect::<Result<_, _>>()?;
        done.into_iter().try_for_each(&mut take)?;
    }
    Ok(())
}
