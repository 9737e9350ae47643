//! A host that freezes once: when events that are due in or after that time are really sent.
//!
//! The host does nothing in that time, so everything after it is delayed by the length of the
//! freeze. Pure, so that a test can compute the truth.

use std::time::Duration;

use regatta_types::time::MonoNs;

/// One standstill. Its instants are counted from the arrival of the first chat request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freeze {
    /// When it begins; up to a day.
    pub after: Duration,
    /// How long it lasts; up to an hour.
    pub length: Duration,
}

impl Freeze {
    /// When that goes out which without the freeze would go out at `due`, for a request that
    /// arrived at `arrival`: later by as much of the freeze as lies between the two. A request
    /// that arrives in the freeze is taken up at its end.
    #[must_use]
    pub fn shift(self, arrival: Duration, due: Duration) -> Duration {
        let end = self.after + self.length;
        if arrival >= end || due < self.after { due } else { due + (end - arrival.max(self.after)) }
    }
}

/// A freeze on the machine's clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standstill {
    pub(crate) freeze: Freeze,
    /// When the first chat request arrived.
    pub(crate) origin: MonoNs,
}

impl Standstill {
    pub(crate) fn shift(self, arrival: MonoNs, due: MonoNs) -> MonoNs {
        let offset = |at: MonoNs| at.since(self.origin);
        self.origin.after(self.freeze.shift(offset(arrival), offset(due)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FREEZE: Freeze = Freeze { after: ms(1000), length: ms(500) };

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn what_is_due_before_is_on_time_and_what_is_due_after_is_later_by_the_freeze() {
        assert_eq!(FREEZE.shift(ms(900), ms(999)), ms(999));
        assert_eq!(FREEZE.shift(ms(900), ms(1000)), ms(1500));
        assert_eq!(FREEZE.shift(ms(900), ms(1700)), ms(2200));
    }

    #[test]
    fn a_request_that_arrives_in_the_freeze_begins_at_its_end() {
        assert_eq!(FREEZE.shift(ms(1200), ms(1400)), ms(1700));
        assert_eq!(FREEZE.shift(ms(1200), ms(1200)), ms(1500));
        assert_eq!(FREEZE.shift(ms(1500), ms(1700)), ms(1700));
    }
}
