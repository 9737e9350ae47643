//! Waiting for the start instant.

use std::time::Duration;

use regatta_types::time::MonoNs;
use tokio::time::sleep;

use super::halt::Halt;

/// Connections are made sure of at most this long before the start: shorter than one may be idle. A
/// coordinator orders a start 0.1 to 1 s ahead, so mostly they are opened as soon as it is ordered.
pub(super) const CONNECT_AHEAD: Duration = Duration::from_millis(1500);
/// The last stretch before the start is slept by the kernel's clock: the runtime's timer goes off
/// in whole milliseconds.
const FINE: Duration = Duration::from_millis(3);
/// The very last stretch is spun, unless the worker was told not to.
const SPIN: Duration = Duration::from_micros(100);

/// `instant` moved back.
pub(super) fn before(instant: MonoNs, by: Duration) -> MonoNs {
    instant.offset_by(-i64::try_from(by.as_nanos()).unwrap_or(i64::MAX))
}

/// Waits for an instant to within the milliseconds of the runtime's timer, or until halted.
pub(super) async fn sleep_until_near(instant: MonoNs, halt: &Halt) {
    let left = instant.since(MonoNs::now());
    tokio::select! {
        biased;
        () = halt.either() => {}
        () = sleep(left) => {}
    }
}

/// Waits for an instant, the last stretch by spinning if `spin`, or until halted.
pub(super) async fn start_at(instant: MonoNs, spin: bool, halt: &Halt) {
    let spun = if spin { SPIN } else { Duration::ZERO };
    sleep_until_near(before(instant, FINE), halt).await;
    if halt.is_requested() {
        return;
    }
    let left = instant.since(MonoNs::now());
    if left > spun {
        // Nothing else happens on this thread now.
        std::thread::sleep(left - spun);
    }
    while MonoNs::now() < instant {
        std::hint::spin_loop();
    }
}
