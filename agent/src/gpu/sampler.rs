//! The handle that everybody else holds: starting, windows, newest readings, stopping.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use regatta_types::gpu::{GpuInventory, GpuSample, GpuWindow};
use regatta_types::reading::Reading;
use regatta_types::time::MonoNs;
use tokio::sync::oneshot;

use super::GpuSource;
use super::attribution::{GpuSelector, attribute};
use super::rounds::{RETRY, sample, sample_nvml, usual_gap};
use super::shared::{MetricScope, SamplerShared};
use super::simulated::ScriptProbe;
use super::window::{Finished, LIMIT, WindowBuffer};

/// Longest wait for the inventory: a driver without persistence mode takes seconds to wake.
const START_LIMIT: Duration = Duration::from_secs(20);
/// Longest wait for the thread's end.
const STOP_LIMIT: Duration = Duration::from_secs(1);
/// Longest wait for the readings at the end of an attempt.
const EDGE_LIMIT: Duration = Duration::from_millis(300);
/// The edge of an attempt is read so much before its start, so that no call falls into it.
const EDGE_AHEAD: Duration = Duration::from_millis(50);

/// Starts sampling.
#[derive(Debug)]
pub struct Sampler;

/// How to sample.
#[derive(Debug, Clone)]
pub struct SamplerOptions {
    /// Time between rounds, at least a millisecond; readings that change more slowly, or cost more,
    /// are asked for in fewer of them.
    pub period: Duration,
    /// The GPUs that serve the endpoint; empty: found by its processes.
    pub gpus: Vec<GpuSelector>,
}

impl Default for SamplerOptions {
    fn default() -> Self {
        Self { period: Duration::from_millis(100), gpus: Vec::new() }
    }
}

/// What is known of an attempt when its window opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WindowPlan {
    /// The endpoint's port: the process that owns it is the engine.
    pub port: Option<u16>,
    /// When measuring begins: the counters are read just before.
    pub start: Option<MonoNs>,
}

/// A running sampler. Dropping it ends the thread at its next round, without waiting.
#[derive(Debug)]
pub struct GpuHandle {
    shared: Arc<SamplerShared>,
    options: SamplerOptions,
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
pub struct WindowHandle {
    id: u64,
    shared: Arc<SamplerShared>,
}

impl Drop for WindowHandle {
    fn drop(&mut self) {
        self.shared.lock().close(self.id, MonoNs::now());
    }
}

impl Sampler {
    /// Starts the thread, or none for [`GpuSource::None`]. Never fails: what cannot be had is a
    /// reason in the handle's answers.
    #[must_use]
    pub fn start(source: GpuSource, options: SamplerOptions) -> GpuHandle {
        let period = options.period.max(Duration::from_millis(1));
        match source {
            GpuSource::Nvml { library } => GpuHandle::spawn(options, move |shared| {
                sample_nvml(library.as_deref(), shared, period, RETRY);
            }),
            GpuSource::Simulated(script) => GpuHandle::spawn(options, move |shared| {
                sample(&ScriptProbe::new(script), shared, period);
            }),
            GpuSource::None { reason } => {
                let shared = SamplerShared::default();
                shared.inventory.send_replace(Some(Reading::missing(reason)));
                GpuHandle { shared: Arc::new(shared), options, thread: None }
            }
        }
    }
}

impl GpuHandle {
    /// Starts the thread with everything that may block in the driver.
    fn spawn(options: SamplerOptions, work: impl FnOnce(&SamplerShared) + Send + 'static) -> Self {
        let shared = Arc::new(SamplerShared::default());
        let (alive, done) = oneshot::channel();
        let theirs = Arc::clone(&shared);
        let spawned = std::thread::Builder::new().name("gpu-sampler".into()).spawn(move || {
            let _alive: oneshot::Sender<()> = alive;
            work(&theirs);
        });
        let thread = match spawned {
            Ok(join) => Some(Running { join, done }),
            Err(error) => {
                let reason = format!("cannot start the sampler thread: {error}");
                shared.inventory.send_replace(Some(Reading::missing(reason)));
                None
            }
        };
        Self { shared, options, thread }
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

    /// The GPUs that the user named; empty: none in particular.
    pub(crate) fn chosen(&self) -> &[GpuSelector] {
        &self.options.gpus
    }

    /// Opens a window: samples from now on are collected for it. At most about an hour at 10 Hz
    /// is kept as it is; a longer window is thinned evenly, and keeps its memory peak. Does not
    /// wait for the driver.
    #[must_use]
    pub fn begin_window(&self, plan: WindowPlan) -> WindowHandle {
        let mut state = self.shared.lock();
        let id = state.open(MonoNs::now(), plan.start, LIMIT);
        state.wanted = MetricScope::All;
        state.port = plan.port;
        state.edges.extend(plan.start.map(|start| before(start, EDGE_AHEAD)));
        drop(state);
        self.wake();
        WindowHandle { id, shared: Arc::clone(&self.shared) }
    }

    /// Closes a window of this handle and returns what it collected. Waits for one more round, at
    /// most 0.3 s.
    pub async fn end_window(&self, window: WindowHandle) -> GpuWindow {
        self.read_edge().await;
        self.collect(window)
    }

    /// Has the counters read once more.
    async fn read_edge(&self) {
        if self.thread.is_none() || !self.is_sampling() {
            return;
        }
        let mut ended = self.shared.ended.subscribe();
        let round = {
            let mut state = self.shared.lock();
            state.wanted = state.wanted.max(MetricScope::Edge);
            state.begun + 1
        };
        self.wake();
        let limit = tokio::time::timeout(EDGE_LIMIT, ended.wait_for(|last| *last >= round));
        if limit.await.is_err() {
            tracing::debug!("no gpu readings at the end of the attempt in time");
        }
    }

    fn is_sampling(&self) -> bool {
        matches!(&*self.shared.inventory.borrow(), Some(Reading::Known(_)))
    }

    fn collect(&self, window: WindowHandle) -> GpuWindow {
        let inventory = match &*self.shared.inventory.borrow() {
            None => return GpuWindow::missing("no answer from the driver"),
            Some(Reading::NotAvailable { not_available }) => {
                return GpuWindow::missing(not_available.clone());
            }
            Some(Reading::Known(inventory)) if inventory.gpus.is_empty() => {
                return GpuWindow::missing("the driver lists no GPU");
            }
            Some(Reading::Known(inventory)) => inventory.clone(),
        };
        let uuids: Vec<String> = inventory.gpus.iter().map(|gpu| gpu.uuid.clone()).collect();
        let now = MonoNs::now();
        let mut state = self.shared.lock();
        let calling = state.calling;
        let unknown = state.owner_unknown.clone();
        let buffer = state.close(window.id, now);
        // Released before `window` is dropped, which locks again.
        drop(state);
        let Some(mut buffer) = buffer else {
            return GpuWindow::missing("the window belongs to another sampler");
        };
        let usual = usual_gap(self.options.period);
        match calling.filter(|(_, since)| now.since(*since) > usual) {
            Some((metric, since)) => {
                let seconds = now.since(since).as_secs_f64();
                let reason =
                    format!("no answer from a driver call ({}) for {seconds:.3} s", metric.name());
                buffer.note_gap(now, usual, &reason);
            }
            None => buffer.note_gap(now, usual, "the sampler was idle or not scheduled"),
        }
        self.hand_over(&inventory, &uuids, unknown.as_deref(), buffer)
    }

    fn hand_over(
        &self,
        inventory: &GpuInventory,
        uuids: &[String],
        unknown: Option<&str>,
        buffer: WindowBuffer,
    ) -> GpuWindow {
        let Finished { mut series, gaps, stride, rounds_left_out } = buffer.finish(uuids);
        let attribution = attribute(&self.options.gpus, &inventory.gpus, unknown, &mut series);
        let stride = u32::try_from(stride).unwrap_or(u32::MAX);
        let period = u32::try_from(self.options.period.as_millis()).unwrap_or(u32::MAX);
        GpuWindow {
            series: Reading::Known(series),
            period_ms: period.saturating_mul(stride),
            attribution: Some(attribution),
            gaps,
            rounds_left_out,
        }
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
            Err(_) => tracing::warn!("gpu sampler hangs in the driver, abandoned"),
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

fn before(instant: MonoNs, time: Duration) -> MonoNs {
    MonoNs(instant.0.saturating_sub(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)))
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

    #[tokio::test]
    async fn a_simulated_gpu_fills_windows() {
        let script = GpuScript::blackwell(3);
        let handle =
            Sampler::start(GpuSource::Simulated(script.clone()), SamplerOptions::default());
        let inventory = handle.inventory().await;
        let gpu = &inventory.known().expect("simulated GPUs are always there").gpus[0];
        assert_eq!(gpu.uuid, script.gpus[0].uuid);
        assert_eq!(gpu.memory_total, Reading::Known(Bytes(97_887 << 20)));

        let window = handle.begin_window(WindowPlan::default());
        let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
        let samples = loop {
            let state = handle.shared.lock().last_round;
            if state.since(window_start(&handle, &window)) > Duration::from_millis(350) {
                break handle.end_window(window).await;
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

    fn window_start(handle: &GpuHandle, window: &WindowHandle) -> MonoNs {
        handle.shared.lock().windows[&window.id].began()
    }

    #[tokio::test]
    async fn without_gpus_every_reading_has_the_reason() {
        let reason = "the endpoint is on another machine";
        let handle =
            Sampler::start(GpuSource::None { reason: reason.into() }, SamplerOptions::default());
        assert_eq!(handle.inventory().await, Reading::missing(reason));
        let window = handle.begin_window(WindowPlan::default());
        assert_eq!(handle.end_window(window).await, GpuWindow::missing(reason));
        assert_eq!(handle.latest(), []);
        handle.stop().await;
    }

    #[tokio::test]
    async fn a_hanging_driver_call_does_not_block_the_agent() {
        let (release, hung) = mpsc::channel::<()>();
        let handle = GpuHandle::spawn(SamplerOptions::default(), move |_| {
            // Ends when the test drops its side.
            let _ = hung.recv();
        });
        let window = handle.begin_window(WindowPlan::default());
        assert_eq!(
            handle.end_window(window).await,
            GpuWindow::missing("no answer from the driver")
        );
        let begun = MonoNs::now();
        handle.stop().await;
        assert!(MonoNs::now().since(begun) < STOP_LIMIT * 3);
        drop(release);
    }

    #[tokio::test]
    async fn a_dropped_window_is_discarded() {
        let handle = Sampler::start(
            GpuSource::Simulated(GpuScript::blackwell(0)),
            SamplerOptions::default(),
        );
        let window = handle.begin_window(WindowPlan::default());
        assert_eq!(handle.shared.lock().windows.len(), 1);
        drop(window);
        assert_eq!(handle.shared.lock().windows.len(), 0);
        handle.stop().await;
    }
}
