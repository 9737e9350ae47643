//! What the sampling thread and its handle share.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use regatta_types::gpu::{GpuInventory, GpuSample};
use regatta_types::reading::Reading;
use regatta_types::time::MonoNs;
use tokio::sync::watch;

use super::metric::Metric;
use super::window::{GpuRound, MetricResult, Opening, WindowBuffer, keep_last};

/// How long after a window the engine is taken to be quiet.
const CALM: Duration = Duration::from_millis(500);
/// How far back quiet samples reach.
const QUIET: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub(super) struct SamplerShared {
    pub(super) inventory: watch::Sender<Option<Reading<GpuInventory>>>,
    /// The number of the last round that has ended.
    pub(super) ended: watch::Sender<u64>,
    pub(super) stop: AtomicBool,
    /// Written by the thread once a round and around its calls, read by sessions and runners: a
    /// lock, because readers want the newest value without waiting for a thread that may hang
    /// inside the driver. It is never held during an NVML call.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// When the last round began.
    pub(super) last_round: MonoNs,
    /// The number of the last round that has begun; the first is 1.
    pub(super) begun: u64,
    /// The call that is being made, and since when.
    pub(super) calling: Option<(Metric, MonoNs)>,
    /// The newest known reading of each kind, by place in the inventory.
    pub(super) latest: Vec<Option<GpuSample>>,
    /// What the next round must read regardless of its turn.
    pub(super) wanted: MetricScope,
    /// Instants at which the edge of an attempt is to be read.
    pub(super) edges: Vec<MonoNs>,
    /// The port of the endpoint.
    pub(super) port: Option<u16>,
    /// Why its owner is unknown.
    pub(super) owner_unknown: Option<String>,
    pub(super) windows: BTreeMap<u64, WindowBuffer>,
    pub(super) next_window: u64,
    /// Samples of the last seconds without a window, by place in the inventory.
    quiet: Vec<VecDeque<GpuSample>>,
    quiet_from: MonoNs,
}

/// What a round asks for beside what is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) enum MetricScope {
    /// Nothing.
    #[default]
    Nothing,
    /// What is read at the edges of an attempt.
    Edge,
    /// Everything: a window was opened, or the driver is to be looked for again.
    All,
}

impl SamplerShared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Room for this many GPUs.
    pub(super) fn resize(&mut self, gpus: usize) {
        self.latest.resize(gpus, None);
        self.quiet.resize_with(gpus, VecDeque::new);
    }

    /// Opens a window and returns its number.
    pub(super) fn open(&mut self, now: MonoNs, start: Option<MonoNs>, limit: usize) -> u64 {
        let id = self.next_window;
        self.next_window += 1;
        let opening = Opening {
            began: now,
            quiet_until: start.unwrap_or(now),
            latest: self.latest.clone(),
            quiet: self.quiet.clone(),
        };
        self.windows.insert(id, WindowBuffer::new(opening, limit));
        id
    }

    /// Takes a window away, wherever it came to its end.
    pub(super) fn close(&mut self, id: u64, now: MonoNs) -> Option<WindowBuffer> {
        let window = self.windows.remove(&id)?;
        self.quiet.iter_mut().for_each(VecDeque::clear);
        self.quiet_from = now.after(CALM);
        Some(window)
    }

    /// Takes one round that began at `at`.
    pub(super) fn record(&mut self, at: MonoNs, rounds: &[GpuRound]) {
        self.last_round = at;
        for (latest, round) in self.latest.iter_mut().zip(rounds) {
            if round.ended.is_some() {
                *latest = None;
                continue;
            }
            let latest = latest.get_or_insert_default();
            latest.at = at;
            for (metric, result) in Metric::ALL.into_iter().zip(&round.results) {
                if *result != MetricResult::NotAsked {
                    // A reading that failed is gone, not old.
                    metric.copy(&round.sample, latest);
                }
            }
        }
        if self.windows.is_empty() && at >= self.quiet_from {
            for (quiet, round) in self.quiet.iter_mut().zip(rounds) {
                keep_last(quiet, round.sample);
                while quiet.front().is_some_and(|first| at.since(first.at) > QUIET) {
                    quiet.pop_front();
                }
            }
        }
        for window in self.windows.values_mut() {
            window.push(at, rounds, &self.latest);
        }
    }
}
