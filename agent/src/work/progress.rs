//! Counters for heartbeats during an attempt; each costs the measuring thread one uncontended
//! atomic.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use regatta_types::trace::{Outcome, RequestTrace};

/// Activity of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum Activity {
    /// Idle.
    #[default]
    Idle,
    /// Warming up the engine, before any case.
    EngineWarmup,
    /// The case's own warm-up requests.
    WarmingUp,
    /// Connected and waiting for the start instant.
    Waiting,
    /// Measured requests.
    Measuring,
}

impl Activity {
    const ALL: [Self; 5] =
        [Self::Idle, Self::EngineWarmup, Self::WarmingUp, Self::Waiting, Self::Measuring];

    /// The name used in logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::EngineWarmup => "settling",
            Self::WarmingUp => "warming up",
            Self::Waiting => "waiting",
            Self::Measuring => "measuring",
        }
    }
}

/// Counters of the current attempt, reset with each attempt.
#[derive(Debug, Default)]
pub struct Progress {
    activity: AtomicU8,
    done: AtomicU64,
    failed: AtomicU64,
    pub(super) chunks: AtomicU64,
    /// Tokens and chunks of completed requests with both known.
    told_tokens: AtomicU64,
    told_chunks: AtomicU64,
}

/// Snapshot of the counters.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ProgressSnapshot {
    /// Activity of the worker.
    pub activity: Activity,
    /// Completed requests, including warm-up.
    pub done: u64,
    /// Failed requests.
    pub failed: u64,
    /// Events with text.
    pub chunks: u64,
    /// Tokens per event in completed requests; 1 before the first. For display.
    pub tokens_per_chunk: f64,
}

impl Progress {
    /// A snapshot.
    #[must_use]
    pub fn snapshot(&self) -> ProgressSnapshot {
        let activity = usize::from(self.activity.load(Ordering::Relaxed));
        ProgressSnapshot {
            activity: Activity::ALL.get(activity).copied().unwrap_or_default(),
            done: self.done.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            chunks: self.chunks.load(Ordering::Relaxed),
            tokens_per_chunk: {
                let chunks = self.told_chunks.load(Ordering::Relaxed);
                let tokens = self.told_tokens.load(Ordering::Relaxed);
                if chunks > 0 { tokens as f64 / chunks as f64 } else { 1.0 }
            },
        }
    }

    pub(super) fn begin(&self, activity: Activity) {
        let all = [&self.done, &self.failed, &self.chunks, &self.told_tokens, &self.told_chunks];
        for counter in all {
            counter.store(0, Ordering::Relaxed);
        }
        self.enter(activity);
    }

    pub(super) fn enter(&self, activity: Activity) {
        self.activity.store(activity as u8, Ordering::Relaxed);
    }

    pub(super) fn ended(&self, trace: &RequestTrace) {
        self.done.fetch_add(1, Ordering::Relaxed);
        if let Outcome::Failed(_) = trace.outcome {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(usage) = trace.usage {
            let chunks = u64::try_from(trace.chunks.len()).unwrap_or(u64::MAX);
            self.told_tokens.fetch_add(usage.completion, Ordering::Relaxed);
            self.told_chunks.fetch_add(chunks, Ordering::Relaxed);
        }
    }
}
