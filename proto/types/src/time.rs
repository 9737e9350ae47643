//! Stamps and durations. A duration is a difference of one machine's monotonic clock; stamps of
//! two machines are never subtracted.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Nanoseconds of one machine's `CLOCK_MONOTONIC` (since its boot).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct MonoNs(pub u64);

impl MonoNs {
    /// Reads the clock of this machine.
    #[cfg(feature = "clock")]
    #[must_use]
    pub fn now() -> Self {
        let t = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        // The kernel never returns a negative monotonic time.
        let seconds = u64::try_from(t.tv_sec).unwrap_or(0);
        let nanos = u64::try_from(t.tv_nsec).unwrap_or(0);
        Self(seconds * 1_000_000_000 + nanos)
    }

    /// Time from `earlier` to `self`; zero when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// `self` moved by a signed number of nanoseconds, kept within the clock's range.
    #[must_use]
    pub fn offset_by(self, nanos: i64) -> Self {
        Self(self.0.saturating_add_signed(nanos))
    }

    /// `self` moved forward.
    #[must_use]
    pub fn after(self, d: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// Nanoseconds since 1970-01-01 UTC. For display and for joining logs, never for durations.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct UnixNs(pub i64);

/// One reading of both clocks at the same moment; moves monotonic stamps to wall time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ClockAnchor {
    /// The monotonic clock.
    pub mono: MonoNs,
    /// The wall clock.
    pub unix: UnixNs,
}

impl ClockAnchor {
    /// The wall time of a monotonic stamp of the same machine and boot.
    #[must_use]
    pub fn to_unix(&self, at: MonoNs) -> UnixNs {
        let delta = i128::from(at.0) - i128::from(self.mono.0);
        let unix = i128::from(self.unix.0) + delta;
        UnixNs(i64::try_from(unix).unwrap_or(i64::MAX))
    }
}

/// Wall time, injected so that tests and reports can fix it.
pub trait WallClock: Send + Sync + std::fmt::Debug {
    /// The current wall time.
    fn now(&self) -> UnixNs;
}

/// What a burst of four-stamp pings says about another machine's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockOffset {
    /// Agent's monotonic clock minus the coordinator's, nanoseconds.
    pub offset_ns: i64,
    /// The true offset lies within this many nanoseconds of `offset_ns` (half of the best round trip).
    pub bound_ns: u64,
    /// Agent's wall clock minus the coordinator's, nanoseconds, by the same best ping.
    pub wall_offset_ns: i64,
    /// Pings the estimate was chosen from.
    pub pings: u32,
    /// When the burst ended, on the coordinator's clock.
    pub at: MonoNs,
}

impl ClockOffset {
    /// A coordinator's instant on the agent's monotonic clock.
    #[must_use]
    pub fn to_agent(&self, at: MonoNs) -> MonoNs {
        at.offset_by(self.offset_ns)
    }
}
