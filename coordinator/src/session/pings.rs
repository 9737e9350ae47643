//! Estimating an agent's clock from four-stamp pings: pure, the session sends and stamps.
//!
//! With `t0` and `t3` of the coordinator and `t1`, `t2` of the agent, the offset is
//! `((t1 - t0) + (t2 - t3)) / 2` and the round trip `(t3 - t0) - (t2 - t1)`; the true offset lies
//! within half a round trip, however unequal the two ways are. The ping with the shortest round
//! trip is kept.

use regatta_types::time::{ClockAnchor, ClockOffset, MonoNs, UnixNs};

/// Pings of a burst.
pub(super) const PINGS: u32 = 8;

/// One burst of pings, one after another.
#[derive(Debug, Default)]
pub(super) struct Burst {
    /// The ping that is awaited.
    pub(super) awaited: u32,
    received: u32,
    best: Option<ClockOffset>,
}

/// The stamps of one ping that came back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pong {
    pub(super) t0: MonoNs,
    pub(super) t1: MonoNs,
    pub(super) t2: MonoNs,
    pub(super) t3: MonoNs,
    /// The agent's wall clock at `t2`.
    pub(super) unix: UnixNs,
}

impl Burst {
    /// Takes a pong in; `true` when the burst is complete.
    pub(super) fn take(&mut self, pong: Pong, anchor: ClockAnchor) -> bool {
        self.received += 1;
        if let Some(estimate) = estimate(pong, anchor)
            && self.best.is_none_or(|best| estimate.bound_ns < best.bound_ns)
        {
            self.best = Some(estimate);
        }
        self.received >= PINGS
    }

    /// The best estimate of the pings that came back.
    pub(super) fn result(&self) -> Option<ClockOffset> {
        self.best.map(|best| ClockOffset { pings: self.received, ..best })
    }
}

/// `None` for stamps no honest pair of clocks gives.
fn estimate(pong: Pong, anchor: ClockAnchor) -> Option<ClockOffset> {
    let [t0, t1, t2, t3] = [pong.t0, pong.t1, pong.t2, pong.t3].map(|t| i128::from(t.0));
    let round_trip = (t3 - t0) - (t2 - t1);
    if t3 < t0 || t2 < t1 || round_trip < 0 {
        return None;
    }
    let offset_ns = i64::try_from(((t1 - t0) + (t2 - t3)) / 2).ok()?;
    // Rounded up, so that the bound holds.
    let bound_ns = u64::try_from((round_trip + 1) / 2).ok()?;
    let here = anchor.to_unix(pong.t2.offset_by(offset_ns.checked_neg()?));
    let wall_offset_ns = pong.unix.0.checked_sub(here.0)?;
    Some(ClockOffset { offset_ns, bound_ns, wall_offset_ns, pings: 1, at: pong.t3 })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ping over ways of the given lengths to an agent whose clock is ahead by `offset`.
    fn pong(offset: u64, up: u64, down: u64) -> Pong {
        let t0 = 1_000_000;
        let t1 = t0 + down + offset;
        let t2 = t1 + 5_000;
        Pong {
            t0: MonoNs(t0),
            t1: MonoNs(t1),
            t2: MonoNs(t2),
            t3: MonoNs(t2 - offset + up),
            unix: UnixNs(7_000_000_000),
        }
    }

    #[test]
    fn the_true_offset_lies_within_the_bound_however_unequal_the_ways() {
        for (up, down) in [(100_000, 100_000), (900_000, 1_000), (1_000, 900_001), (0, 0)] {
            let offset = 123_456_789_000;
            let estimate = estimate(pong(offset, up, down), ClockAnchor::default()).unwrap();
            let error = estimate.offset_ns.unsigned_abs().abs_diff(offset);
            assert!(error <= estimate.bound_ns, "{up} {down}: {error} > {}", estimate.bound_ns);
            assert_eq!(estimate.bound_ns, (up + down).div_ceil(2));
        }
    }

    #[test]
    fn the_shortest_round_trip_wins() {
        let mut burst = Burst::default();
        for way in [500_000, 100_000, 300_000] {
            burst.take(pong(1_000, way, way), ClockAnchor::default());
        }
        let best = burst.result().unwrap();
        assert_eq!((best.bound_ns, best.pings), (100_000, 3));
    }

    #[test]
    fn impossible_stamps_are_ignored() {
        let mut bad = pong(0, 100, 100);
        bad.t2 = MonoNs(bad.t1.0 - 1);
        assert_eq!(estimate(bad, ClockAnchor::default()), None);
        let mut hostile = pong(0, 100, 100);
        hostile.t1 = MonoNs(0);
        hostile.t2 = MonoNs(u64::MAX);
        assert_eq!(estimate(hostile, ClockAnchor::default()), None);
    }
}
