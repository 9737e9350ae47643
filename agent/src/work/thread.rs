//! The thread on which requests are measured: one OS thread with its own runtime for each
//! attempt, separate from session, telemetry and disk.

use std::future::Future;

use tokio::sync::oneshot;
use tokio::task::LocalSet;

use super::halt::Halt;

/// The thread ended without a result.
#[derive(Debug, thiserror::Error)]
pub(super) enum ThreadError {
    #[error("cannot start the measuring thread")]
    Start(#[source] std::io::Error),
    #[error("the measuring thread ended without a result. This is a bug in Regatta")]
    Died,
}

/// Runs `work` on its own thread and returns its result. The halt that `work` is given
/// stops it with `halt`, and at once when the returned future is dropped.
pub(super) async fn measured<T, F, Fut>(halt: &Halt, work: F) -> Result<T, ThreadError>
where
    T: Send + 'static,
    F: FnOnce(Halt) -> Fut + Send + 'static,
    Fut: Future<Output = T>,
{
    let (halt, _guard) = halt.child();
    let (done, result) = oneshot::channel();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(ThreadError::Start)?;
    std::thread::Builder::new()
        .name("measure".to_owned())
        .spawn(move || {
            let local = LocalSet::new();
            let made = local.block_on(&runtime, work(halt));
            // If nobody waits for the result any more, nobody misses it.
            let _ = done.send(made);
        })
        .map_err(ThreadError::Start)?;
    result.await.map_err(|_| ThreadError::Died)
}
