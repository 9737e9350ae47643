//! A timer that may not be set.

use tokio::time::Instant;

/// Waits until `at`; for ever without one.
pub(crate) async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
