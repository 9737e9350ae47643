//! How an attempt is stopped from outside.

use tokio_util::sync::{CancellationToken, DropGuard};

/// Two ways to stop, each a token.
#[derive(Debug, Clone, Default)]
pub struct Halt {
    /// Begin no further request; those under way may end.
    pub soon: CancellationToken,
    /// Cut off the requests under way, and begin none; they keep what has arrived.
    pub now: CancellationToken,
}

impl Halt {
    /// One that is stopped with this one, and by dropping the guard.
    pub(super) fn child(&self) -> (Self, DropGuard) {
        let child = Self { soon: self.soon.child_token(), now: self.now.child_token() };
        let guard = child.now.clone().drop_guard();
        (child, guard)
    }

    /// Waits for either.
    pub(super) async fn either(&self) {
        tokio::select! {
            () = self.soon.cancelled() => {}
            () = self.now.cancelled() => {}
        }
    }

    /// Whether no further request is to be begun.
    pub(super) fn is_requested(&self) -> bool {
        self.soon.is_cancelled() || self.now.is_cancelled()
    }
}
