//! The sampling thread and the handle that everybody else holds.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use regatta_types::gpu::{GpuInventory, GpuSample, GpuWindow};
use regatta_types::reading::Reading;
use regatta_types::time::MonoNs;
use tokio::sync::{oneshot, watch};

use super::GpuSource;
use super::error::GpuError;
use super::nvml::{self, NvmlProbe};
use super::probe::{Metric, Probe};
use super::simulated::ScriptProbe;
use super::window::{GpuRound, LIMIT, MetricResult, WindowBuffer};

/// Time between rounds.
const PERIOD: Duration = Duration::from_millis(100);
/// [`PERIOD`] in milliseconds.
const PERIOD_MS: u32 = 100;
/// A round may take one part in so many of the time: past that the next ones are left out,
/// because NVML calls hold a lock that the engine's own work needs.
const SHARE: u32 = 20;
/// Longest wait for the inventory: a driver without persistence mode takes seconds to wake.
const START_LIMIT: Duration = Duration::from_secs(20);
/// Longest wait for the thread's end.
const STOP_LIMIT: Duration = Duration::from_secs(1);
/// A library or driver that is not there is looked for again after this long, when a window opens.
const RETRY: Duration = Duration::from_secs(10);
/// Silence that a window's reasons mention.
const SILENCE: Duration = Duration::from_secs(2);

/// Starts sampling.
#[derive(Debug)]
pub struct Sampler;

/// A running sampler. Dropping it ends the thread at its next round, without waiting.
#[derive(Debug)]
pub struct GpuHandle {
    shared: Arc<Shared>,
    thread: Option<Running>,
}

#[derive(Debug)]
struct Running {
    join: JoinHandle<()>,
    /// Closed by the thread's end, by panic too.
    done: oneshot::Receiver<()>,
}

/// An open window; dropped without [`GpuHandle::end_window`] it is forgotten.
#[derive(Debug)]
pub struct Window {
    id: u64,
    shared: Arc<Shared>,
}

impl Drop for Window {
    fn drop(&mut self) {
        self.shared.lock().windows.remove(&self.id);
    }
}

#[derive(Debug, Default)]
struct Shared {
    inventory: watch::Sender<Option<Reading<GpuInventory>>>,
    stop: AtomicBool,
    /// Written by the thread once a round, read by sessions and runners: a lock, because readers
    /// want the newest value without waiting for a thread that may hang inside the driver. It is
    /// never held during an NVML call.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// When the last round began.
    last_round: MonoNs,
    /// The newest known reading of each kind, by place in the inventory.
    latest: Vec<Option<GpuSample>>,
    /// A window was opened: the next round asks for everything, or the driver is looked for again.
    ask_all: bool,
    windows: BTreeMap<u64, WindowBuffer>,
    next_window: u64,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sampler {
    /// Starts the thread, or none for [`GpuSource::None`]. Never fails: what cannot be had is a
    /// reason in the handle's answers.
    #[must_use]
    pub fn start(source: GpuSource) -> GpuHandle {
        match source {
            GpuSource::Nvml { library } => {
                GpuHandle::spawn(move |shared| sample_nvml(library.as_deref(), shared, RETRY))
            }
            GpuSource::Simulated(script) => {
                GpuHandle::spawn(|shared| sample(&ScriptProbe::new(script), shared))
            }
            GpuSource::None { reason } => {
                let shared = Shared::default();
                shared.inventory.send_replace(Some(Reading::missing(reason)));
                GpuHandle { shared: Arc::new(shared), thread: None }
            }
        }
    }
}

/// Samples the real driver. One that is not there, or not yet, is looked for again when a window
/// opens, at most once in `retry`.
fn sample_nvml(library: Option<&Path>, shared: &Shared, retry: Duration) {
    while !shared.stop.load(Ordering::Acquire) {
        let tried = MonoNs::now();
        let sampling = nvml::load(library).and_then(|nvml| {
            sample(&NvmlProbe::new(&nvml)?, shared);
            Ok(())
        });
        let Err(error) = sampling else { return };
        shared.inventory.send_replace(Some(Reading::missing(error.to_string())));
        while !shared.stop.load(Ordering::Acquire) {
            let asked = std::mem::take(&mut shared.lock().ask_all);
            if asked && MonoNs::now().since(tried) >= retry {
                break;
            }
            // Until a window opens or the sampler is to stop.
            std::thread::park();
        }
    }
}

/// Rounds on a fixed grid of instants until told to stop.
fn sample(probe: &impl Probe, shared: &Shared) {
    let inventory = probe.inventory();
    let count = inventory.gpus.len();
    // Calls that cannot work are found by the first round, which asks for everything, and are
    // not made again.
    let mut refused: Vec<[Option<GpuError>; 4]> = vec![Default::default(); count];
    {
        let mut state = shared.lock();
        state.latest.resize(count, None);
        state.ask_all = true;
    }
    let start = MonoNs::now();
    let mut round = 0_u64;
    while !shared.stop.load(Ordering::Acquire) {
        let at = MonoNs::now();
        let ask_all = std::mem::take(&mut shared.lock().ask_all);
        let rounds: Vec<GpuRound> = (0..count)
            .map(|gpu| {
                ask(probe, gpu, at, &mut refused[gpu], |m| {
                    ask_all || round.is_multiple_of(m.every())
                })
            })
            .collect();
        record(&mut shared.lock(), at, &rounds);
        if round == 0 {
            // Known to others together with the first readings.
            shared.inventory.send_replace(Some(Reading::Known(inventory.clone())));
        }
        let took = MonoNs::now().since(at);
        let rest = at.after(PERIOD.max(took.saturating_mul(SHARE)));
        round = next_round(start, round, rest);
        wait_until(start.after(grid(round)), shared);
    }
}

/// The instant of a round, since the first.
fn grid(round: u64) -> Duration {
    Duration::from_millis(round.saturating_mul(u64::from(PERIOD_MS)))
}

/// The first round after `round` that is not before `rest`, less half a period: waking a little
/// late must not cost the next round.
fn next_round(start: MonoNs, round: u64, rest: MonoNs) -> u64 {
    let elapsed = rest.since(start).saturating_sub(PERIOD / 2).as_millis();
    let due = u64::try_from(elapsed.div_ceil(PERIOD.as_millis())).unwrap_or(u64::MAX);
    due.max(round + 1)
}

fn wait_until(due: MonoNs, shared: &Shared) {
    loop {
        let left = due.since(MonoNs::now());
        if left.is_zero() || shared.stop.load(Ordering::Acquire) {
            return;
        }
        // Unparked early to stop, and by every window.
        std::thread::park_timeout(left);
    }
}

/// One round of one GPU.
fn ask(
    probe: &impl Probe,
    gpu: usize,
    at: MonoNs,
    refused: &mut [Option<GpuError>; 4],
    due: impl Fn(Metric) -> bool,
) -> GpuRound {
    let mut sample = GpuSample { at, ..GpuSample::default() };
    let mut results: [MetricResult; 4] = Default::default();
    for (i, metric) in Metric::ALL.into_iter().enumerate() {
        if !due(metric) {
            continue;
        }
        if let Some(error) = &refused[i] {
            results[i] = MetricResult::Failed(error.clone());
            continue;
        }
        results[i] = match probe.read(gpu, metric, &mut sample) {
            Ok(()) => MetricResult::Read,
            Err(error) => {
                if error.is_permanent() {
                    let metric = metric.name();
                    tracing::info!(gpu, metric, %error, "gpu reading given up");
                    refused[i] = Some(error.clone());
                }
                MetricResult::Failed(error)
            }
        };
    }
    GpuRound { sample, results }
}

fn record(state: &mut State, at: MonoNs, rounds: &[GpuRound]) {
    state.last_round = at;
    for (latest, round) in state.latest.iter_mut().zip(rounds) {
        let latest = latest.get_or_insert_default();
        latest.at = at;
        for (metric, result) in Metric::ALL.into_iter().zip(&round.results) {
            if *result != MetricResult::NotAsked {
                // A reading that failed is gone, not old.
                metric.copy(&round.sample, latest);
            }
        }
    }
    for window in state.windows.values_mut() {
        window.push(at, rounds, &state.latest);
    }
}

impl GpuHandle {
    /// Starts the thread with everything that may block in the driver.
    fn spawn(work: impl FnOnce(&Shared) + Send + 'static) -> Self {
        let shared = Arc::new(Shared::default());
        let (alive, done) = oneshot::channel();
        let theirs = Arc::clone(&shared);
        let spawned = std::thread::Builder::new().name("gpu-sampler".into()).spawn(move || {
            let _alive: oneshot::Sender<()> = alive;
            work(&theirs);
        });
        let thread = match spawned {
            Ok(join) => Some(Running { join, done }),
            Err(error) => {
                let reason = format!("no thread for the sampler: {error}");
                shared.inventory.send_replace(Some(Reading::missing(reason)));
                None
            }
        };
        Self { shared, thread }
    }

    /// What the GPUs are; waits for the driver's first answer, at most 20 s.
    pub async fn inventory(&self) -> Reading<GpuInventory> {
        let mut inventory = self.shared.inventory.subscribe();
        let known = inventory.wait_for(Option::is_some);
        match tokio::time::timeout(START_LIMIT, known).await {
            Ok(Ok(known)) => {
                known.clone().unwrap_or_else(|| Reading::missing("no answer from the driver"))
            }
            Ok(Err(_)) | Err(_) => Reading::missing("no answer from the driver"),
        }
    }

    /// Opens a window: samples from now on are collected for it. At most about an hour at 10 Hz
    /// is kept as it is; a longer window is thinned evenly, and keeps its memory peak.
    #[must_use]
    pub fn begin_window(&self) -> Window {
        let mut state = self.shared.lock();
        let id = state.next_window;
        state.next_window += 1;
        let buffer = WindowBuffer::new(MonoNs::now(), state.latest.clone(), LIMIT);
        state.windows.insert(id, buffer);
        state.ask_all = true;
        drop(state);
        self.wake();
        Window { id, shared: Arc::clone(&self.shared) }
    }

    /// Closes a window of this handle and returns what it collected.
    #[must_use]
    pub fn end_window(&self, window: Window) -> GpuWindow {
        let inventory = match &*self.shared.inventory.borrow() {
            None => return GpuWindow::missing("no answer from the driver"),
            Some(Reading::NotAvailable { not_available }) => {
                return GpuWindow::missing(not_available.clone());
            }
            Some(Reading::Known(inventory)) if inventory.gpus.is_empty() => {
                return GpuWindow::missing("the driver shows no GPU");
            }
            Some(Reading::Known(inventory)) => inventory.clone(),
        };
        let uuids: Vec<String> = inventory.gpus.into_iter().map(|gpu| gpu.uuid).collect();
        let mut state = self.shared.lock();
        let silence = MonoNs::now().since(state.last_round);
        let buffer = state.windows.remove(&window.id);
        // Released before `window` is dropped, which locks again.
        drop(state);
        let Some(buffer) = buffer else {
            return GpuWindow::missing("the window belongs to another sampler");
        };
        let (series, stride) = buffer.finish(&uuids, (silence > SILENCE).then_some(silence));
        let stride = u32::try_from(stride).unwrap_or(u32::MAX);
        GpuWindow { series: Reading::Known(series), period_ms: PERIOD_MS.saturating_mul(stride) }
    }

    /// The newest readings of every GPU, by UUID; empty before the first and without NVML.
    #[must_use]
    pub fn latest(&self) -> Vec<(String, GpuSample)> {
        let inventory = self.shared.inventory.borrow();
        let Some(Reading::Known(inventory)) = &*inventory else { return Vec::new() };
        let state = self.shared.lock();
        let gpus = inventory.gpus.iter().zip(&state.latest);
        gpus.filter_map(|(gpu, sample)| Some((gpu.uuid.clone(), (*sample)?))).collect()
    }

    /// Ends sampling and waits for the thread, at most one second.
    ///
    /// A thread that hangs inside the driver (a GPU that fell off the bus can block a call for
    /// minutes) cannot be ended from outside: it is left behind, holding nothing but its own
    /// handles, and ends with the process.
    pub async fn stop(mut self) {
        self.tell_to_stop();
        let Some(Running { join, done }) = self.thread.take() else { return };
        match tokio::time::timeout(STOP_LIMIT, done).await {
            Ok(_) => {
                if join.join().is_err() {
                    tracing::error!("gpu sampler panicked");
                }
            }
            Err(_) => tracing::warn!("gpu sampler hangs in the driver and is left behind"),
        }
    }

    fn tell_to_stop(&self) {
        self.shared.stop.store(true, Ordering::Release);
        self.wake();
    }

    fn wake(&self) {
        if let Some(running) = &self.thread {
            running.join.thread().unpark();
        }
    }
}

impl Drop for GpuHandle {
    fn drop(&mut self) {
        self.tell_to_stop();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use regatta_sim::gpu_script::GpuScript;
    use regatta_types::units::Bytes;

    use super::*;

    #[test]
    fn rounds_stay_on_their_grid_and_overlong_ones_leave_rounds_out() {
        let start = MonoNs(1_000);
        let after =
            |round, ms: u64| next_round(start, round, start.after(Duration::from_millis(ms)));
        // A round of 1 ms that woke 0 or 3 ms late; rest is begin + period.
        assert_eq!((after(0, 100), after(7, 803)), (1, 8));
        // 10 ms in the driver at 5 %: 200 ms from begin to begin.
        assert_eq!(after(7, 900), 9);
        // Hung for 5 s.
        assert_eq!(after(7, 100_700), 1007);
    }

    #[tokio::test]
    async fn a_simulated_gpu_fills_windows() {
        let script = GpuScript::blackwell(3);
        let handle = Sampler::start(GpuSource::Simulated(script.clone()));
        let inventory = handle.inventory().await;
        let gpu = &inventory.known().expect("simulated GPUs are always there").gpus[0];
        assert_eq!(gpu.uuid, script.gpus[0].uuid);
        assert_eq!(gpu.memory_total, Reading::Known(Bytes(97_887 << 20)));

        let window = handle.begin_window();
        let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
        let samples = loop {
            let state = handle.shared.lock().last_round;
            if state.since(window_start(&handle, &window)) > Duration::from_millis(350) {
                break handle.end_window(window);
            }
            assert!(tokio::time::Instant::now() < deadline, "no samples");
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        let series = &samples.series.known().expect("there is a GPU")[0];
        assert_eq!(samples.period_ms, 100);
        assert!(series.baseline.is_some_and(|s| s.memory_used == Some(Bytes(88_210 << 20))));
        assert!(series.samples.len() >= 3, "{series:?}");
        assert!(series.samples[0].temperature_c.is_some(), "the first round asks for everything");
        assert!(series.unavailable.is_empty());
        assert!(handle.latest()[0].1.utilization_pct.is_some());
        handle.stop().await;
    }

    fn window_start(handle: &GpuHandle, window: &Window) -> MonoNs {
        handle.shared.lock().windows[&window.id].began()
    }

    #[tokio::test]
    async fn without_gpus_every_answer_is_the_reason() {
        let reason = "the endpoint is on another machine";
        let handle = Sampler::start(GpuSource::None { reason: reason.into() });
        assert_eq!(handle.inventory().await, Reading::missing(reason));
        let window = handle.begin_window();
        assert_eq!(handle.end_window(window), GpuWindow::missing(reason));
        assert_eq!(handle.latest(), []);
        handle.stop().await;
    }

    #[tokio::test]
    async fn a_thread_that_hangs_in_the_driver_does_not_hold_up_the_agent() {
        let (release, hung) = mpsc::channel::<()>();
        let handle = GpuHandle::spawn(move |_| {
            // Ends when the test drops its side.
            let _ = hung.recv();
        });
        let window = handle.begin_window();
        assert_eq!(handle.end_window(window), GpuWindow::missing("no answer from the driver"));
        let begun = MonoNs::now();
        handle.stop().await;
        assert!(MonoNs::now().since(begun) < STOP_LIMIT * 3);
        drop(release);
    }

    #[tokio::test]
    async fn a_forgotten_window_is_not_kept() {
        let handle = Sampler::start(GpuSource::Simulated(GpuScript::blackwell(0)));
        let window = handle.begin_window();
        assert_eq!(handle.shared.lock().windows.len(), 1);
        drop(window);
        assert_eq!(handle.shared.lock().windows.len(), 0);
        handle.stop().await;
    }
}
