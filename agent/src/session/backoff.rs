//! Reconnect backoff: 0.2 s doubling to 5 s with full jitter, reset after a connection of a minute.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(200);
const LAST: Duration = Duration::from_secs(5);
const STABLE: Duration = Duration::from_secs(60);

/// The state of the waits.
#[derive(Debug)]
pub(super) struct Backoff {
    ceiling: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { ceiling: FIRST }
    }
}

impl Backoff {
    /// The next wait, after a connection that lasted `connected`. `random` is uniform in 0..1.
    pub(super) fn next(&mut self, connected: Duration, random: f64) -> Duration {
        if connected >= STABLE {
            self.ceiling = FIRST;
        }
        let wait = self.ceiling.mul_f64(random.clamp(0.0, 1.0));
        self.ceiling = (self.ceiling * 2).min(LAST);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_to_the_ceiling_and_start_over_after_a_stable_minute() {
        let mut backoff = Backoff::default();
        let waits: Vec<u128> =
            (0..7).map(|_| backoff.next(Duration::ZERO, 1.0).as_millis()).collect();
        assert_eq!(waits, [200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
        assert_eq!(backoff.next(Duration::from_secs(59), 1.0), LAST);
        assert_eq!(backoff.next(Duration::from_secs(60), 1.0), FIRST);
        assert_eq!(backoff.next(Duration::ZERO, 0.0), Duration::ZERO);
    }
}
