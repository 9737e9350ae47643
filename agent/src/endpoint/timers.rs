//! Timers of requests, kept by their own thread.
//!
//! A runtime with a timer to wait for sets one in the kernel each time it goes to sleep, which is
//! 0.3 us for each token that comes alone. The limits on a request are seconds and hardly ever
//! reached, so that somebody else may sleep for them.

use std::sync::LazyLock;

use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant, Sleep};

/// Never shut down: a timer of a runtime that has been cannot be polled. `None` if the thread could
/// not be had; then each runtime keeps its own timers.
static RUNTIME: LazyLock<Option<Runtime>> = LazyLock::new(|| {
    Builder::new_multi_thread().worker_threads(1).thread_name("timers").enable_time().build().ok()
});

/// As tokio's, for a task of any runtime.
pub(super) fn sleep_until(deadline: Instant) -> Sleep {
    let _entered = RUNTIME.as_ref().map(Runtime::enter);
    tokio::time::sleep_until(deadline)
}
