//! What the heartbeat reads while an attempt runs: counters that cost the measured thread one
//! uncontended atomic each.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// What a worker is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum Activity {
    /// Nothing.
    #[default]
    Idle,
    /// Settling the engine.
    Settling,
    /// The case's own warm-up requests.
    WarmingUp,
    /// Connected and waiting for the start instant.
    Waiting,
    /// Measured requests.
    Measuring,
}

impl Activity {
    const ALL: [Self; 5] =
        [Self::Idle, Self::Settling, Self::WarmingUp, Self::Waiting, Self::Measuring];

    /// The name used in logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Settling => "settling",
            Self::WarmingUp => "warming up",
            Self::Waiting => "waiting",
            Self::Measuring => "measuring",
        }
    }
}

/// Counters of the attempt at hand; they begin again at 0 with each.
#[derive(Debug, Default)]
pub struct Progress {
    activity: AtomicU8,
    done: AtomicU64,
    failed: AtomicU64,
    pub(super) chunks: AtomicU64,
}

/// One look at the counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ProgressSnapshot {
    /// What the worker is at.
    pub activity: Activity,
    /// Requests that have ended, warm-up included.
    pub done: u64,
    /// Those of them that failed.
    pub failed: u64,
    /// Events with text.
    pub chunks: u64,
}

impl Progress {
    /// The counters now.
    #[must_use]
    pub fn snapshot(&self) -> ProgressSnapshot {
        let activity = usize::from(self.activity.load(Ordering::Relaxed));
        ProgressSnapshot {
            activity: Activity::ALL.get(activity).copied().unwrap_or_default(),
            done: self.done.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            chunks: self.chunks.load(Ordering::Relaxed),
        }
    }

    pub(super) fn begin(&self, activity: Activity) {
        for counter in [&self.done, &self.failed, &self.chunks] {
            counter.store(0, Ordering::Relaxed);
        }
        self.enter(activity);
    }

    pub(super) fn enter(&self, activity: Activity) {
        self.activity.store(activity as u8, Ordering::Relaxed);
    }

    pub(super) fn ended(&self, failed: bool) {
        self.done.fetch_add(1, Ordering::Relaxed);
        if failed {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
    }
}
