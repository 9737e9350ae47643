//! Interrupts, from the terminal and from service managers: the first asks to stop, the second to
//! stop at once.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Counts SIGINT and SIGTERM from its making on.
#[derive(Debug)]
pub struct Interrupts {
    count: watch::Receiver<u32>,
    /// Holds the listening task; dropping it ends the listening.
    _listener: JoinSet<()>,
}

impl Interrupts {
    /// Starts listening. From here on these signals do not end the process.
    ///
    /// # Errors
    /// When the system gives no handler.
    pub fn listen() -> io::Result<Self> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let (sender, count) = watch::channel(0);
        let mut listener = JoinSet::new();
        listener.spawn(async move {
            loop {
                let seen = tokio::select! {
                    seen = interrupt.recv() => seen,
                    seen = terminate.recv() => seen,
                };
                if seen.is_none() {
                    return;
                }
                sender.send_modify(|count| *count += 1);
            }
        });
        Ok(Self { count, _listener: listener })
    }

    /// Waits for the `n`th interrupt.
    pub async fn nth(&self, n: u32) {
        if self.count.clone().wait_for(|count| *count >= n).await.is_err() {
            // The listener is gone: there will be no more.
            std::future::pending::<()>().await;
        }
    }
}
