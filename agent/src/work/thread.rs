//! The thread on which requests are measured: one OS thread and one runtime of its own for each
//! attempt, apart from session, telemetry and disk.

use std::future::Future;

use tokio::sync::oneshot;
use tokio::task::LocalSet;
use tokio_util::sync::CancellationToken;

/// The thread ended without a result.
#[derive(Debug, thiserror::Error)]
pub(super) enum ThreadError {
    #[error("cannot start a thread to measure on")]
    Start(#[source] std::io::Error),
    #[error("the measuring thread ended without a result; this is a fault of Regatta")]
    Died,
}

/// Runs `work` on a thread of its own and hands back what it makes. The token `work` is given is
/// cancelled with `cancel`, and when the returned future is dropped.
pub(super) async fn measured<T, F, Fut>(
    cancel: &CancellationToken,
    work: F,
) -> Result<T, ThreadError>
where
    T: Send + 'static,
    F: FnOnce(CancellationToken) -> Fut + Send + 'static,
    Fut: Future<Output = T>,
{
    let token = cancel.child_token();
    let _guard = token.clone().drop_guard();
    let (done, result) = oneshot::channel();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(ThreadError::Start)?;
    std::thread::Builder::new()
        .name("measure".to_owned())
        .spawn(move || {
            let local = LocalSet::new();
            let made = local.block_on(&runtime, work(token));
            // Nobody waits for it any more: then it is not missed either.
            let _ = done.send(made);
        })
        .map_err(ThreadError::Start)?;
    result.await.map_err(|_| ThreadError::Died)
}
