//! Stops an attempt from outside.

use tokio_util::sync::{CancellationToken, DropGuard};

/// Tokens for a soft and a hard stop.
#[derive(Debug, Clone, Default)]
pub struct Halt {
    /// Start no further request; requests in flight complete.
    pub soon: CancellationToken,
    /// Cancel the requests in flight, which keep the received data, and start none.
    pub now: CancellationToken,
}

impl Halt {
    /// A child, stopped with this one or by dropping the guard.
    pub(super) fn child(&self) -> (Self, DropGuard) {
        let child = Self { soon: self.soon.child_token(), now: self.now.child_token() };
        let guard = child.now.clone().drop_guard();
        (child, guard)
    }

    /// Waits for any stop.
    pub(super) async fn either(&self) {
        tokio::select! {
            () = self.soon.cancelled() => {}
            () = self.now.cancelled() => {}
        }
    }

    /// Whether no further request should start.
    pub(super) fn is_requested(&self) -> bool {
        self.soon.is_cancelled() || self.now.is_cancelled()
    }
}
