//! The sampling thread: rounds of readings on a grid of instants.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use regatta_types::gpu::{EnergyReading, TelemetryEnd};
use regatta_types::reading::Reading;
use regatta_types::time::MonoNs;

use super::error::GpuError;
use super::metric::{Metric, PerMetric};
use super::nvml::{self, NvmlProbe};
use super::owner::Owners;
use super::probe::{Probe, Readings};
use super::processes::SeenProcess;
use super::shared::{MetricScope, SamplerShared};
use super::window::{GpuRound, MetricResult};

/// A round may take one part in this many of the time. After a longer one the next rounds are
/// skipped, because NVML calls hold a lock that the engine also needs.
const SHARE: u32 = 20;
/// Longest rest after a round, unless the round itself was longer: one call that hangs must not
/// end the telemetry of an attempt.
const REST_MAX: Duration = Duration::from_secs(2);
/// Retry a missing library or driver after this long, when a window opens.
pub(super) const RETRY: Duration = Duration::from_secs(10);
/// After this many failures in a row a call is disabled until the next window opens.
const FAILURES: u32 = 3;
/// Memory in use, summed over processes, is read at most once in this many rounds.
const SUMS_EVERY: Duration = Duration::from_secs(1);

/// Samples the real driver. If it is missing, tries again when a window opens, at most once in
/// `retry`.
pub(super) fn sample_nvml(
    library: Option<&Path>,
    shared: &SamplerShared,
    period: Duration,
    retry: Duration,
) {
    while !shared.stop.load(Ordering::Acquire) {
        let tried = MonoNs::now();
        let sampling = nvml::load(library).and_then(|nvml| {
            sample(&NvmlProbe::new(&nvml)?, shared, period);
            Ok(())
        });
        let Err(error) = sampling else { return };
        shared.inventory.send_replace(Some(Reading::missing(error.to_string())));
        while !shared.stop.load(Ordering::Acquire) {
            let wanted = std::mem::take(&mut shared.lock().wanted);
            if wanted == MetricScope::All && MonoNs::now().since(tried) >= retry {
                break;
            }
            // Until a window opens or the sampler is to stop.
            std::thread::park();
        }
    }
}

/// Runs rounds on a fixed grid of instants until stopped.
pub(super) fn sample(probe: &impl Probe, shared: &SamplerShared, period: Duration) {
    let inventory = probe.inventory();
    let mut sampling = Sampling {
        probe,
        shared,
        owners: Owners::default(),
        gpus: inventory.gpus.iter().map(|gpu| Asked::new(gpu.uuid.clone())).collect(),
    };
    {
        let mut state = shared.lock();
        state.resize(inventory.gpus.len());
        state.wanted = MetricScope::All;
    }
    let start = MonoNs::now();
    let grid = Grid { start, period };
    let (mut number, mut due) = (0_u64, start);
    let mut last = LastRound::default();
    while !shared.stop.load(Ordering::Acquire) {
        let wanted = wait(due, shared);
        if shared.stop.load(Ordering::Acquire) {
            return;
        }
        let at = MonoNs::now();
        {
            let mut state = shared.lock();
            state.begun += 1;
            for window in state.windows.values_mut() {
                window.note_gap(at, usual_gap(period), &last.reason());
                window.rounds_left_out += last.left_out;
            }
        }
        let rounds = sampling.round(at, at.since(start), wanted);
        {
            let mut state = shared.lock();
            state.calling = None;
            state.owner_unknown = sampling.owners.why_unknown().map(str::to_owned);
            state.record(at, &rounds);
            shared.ended.send_replace(state.begun);
        }
        if number == 0 {
            // Known to others together with the first readings.
            shared.inventory.send_replace(Some(Reading::Known(inventory.clone())));
        }
        let took = MonoNs::now().since(at);
        let rest = took.saturating_mul(SHARE).min(REST_MAX.max(took.saturating_mul(2)));
        let next = grid.next(number, at.after(period.max(rest)));
        let usual = grid.next(number, at.after(period));
        last = LastRound { took, slowest: slowest(&rounds), left_out: next - usual };
        number = next;
        due = grid.instant(number);
    }
}

/// A time without rounds that is longer than this is worth telling.
pub(super) fn usual_gap(period: Duration) -> Duration {
    period * 5
}

#[derive(Debug, Default)]
struct LastRound {
    took: Duration,
    slowest: Option<(Metric, Duration)>,
    left_out: u64,
}

impl LastRound {
    /// Why there may have been no round for a while.
    fn reason(&self) -> String {
        match self.slowest {
            Some((metric, took)) if self.left_out > 0 => format!(
                "a sampling round took {:.3} s, of which {:.3} s for the slowest call ({})",
                self.took.as_secs_f64(),
                took.as_secs_f64(),
                metric.name()
            ),
            Some(_) | None => "the sampling thread was not scheduled".to_owned(),
        }
    }
}

fn slowest(rounds: &[GpuRound]) -> Option<(Metric, Duration)> {
    let calls = rounds.iter().flat_map(|round| Metric::ALL.into_iter().zip(&round.results));
    calls.filter_map(|(metric, result)| Some((metric, result.took()?))).max_by_key(|call| call.1)
}

/// Instants at which rounds begin.
#[derive(Debug, Clone, Copy)]
struct Grid {
    start: MonoNs,
    period: Duration,
}

impl Grid {
    fn instant(self, round: u64) -> MonoNs {
        let period = u64::try_from(self.period.as_nanos()).unwrap_or(u64::MAX);
        self.start.after(Duration::from_nanos(period.saturating_mul(round)))
    }

    /// The first round after `round` that is not before `rest`, less half a period: waking a little
    /// late must not cost the next round.
    fn next(self, round: u64, rest: MonoNs) -> u64 {
        let elapsed = rest.since(self.start).saturating_sub(self.period / 2).as_nanos();
        let due = elapsed.div_ceil(self.period.as_nanos().max(1));
        u64::try_from(due).unwrap_or(u64::MAX).max(round + 1)
    }
}

/// Waits until a round is due, an edge is, or somebody wants one. Ends early to stop.
fn wait(due: MonoNs, shared: &SamplerShared) -> MetricScope {
    loop {
        let now = MonoNs::now();
        let mut next = due;
        {
            let mut state = shared.lock();
            let before = state.edges.len();
            state.edges.retain(|edge| *edge > now);
            if state.edges.len() < before {
                state.wanted = state.wanted.max(MetricScope::Edge);
            }
            if state.wanted > MetricScope::Nothing || now >= due {
                return std::mem::take(&mut state.wanted);
            }
            next = state.edges.iter().copied().fold(next, MonoNs::min);
        }
        if shared.stop.load(Ordering::Acquire) {
            return MetricScope::Nothing;
        }
        // Unparked early to stop, by every window and by its end.
        std::thread::park_timeout(next.since(now));
    }
}

/// What is asked of the GPUs, and what they refuse.
struct Sampling<'a, P> {
    probe: &'a P,
    shared: &'a SamplerShared,
    owners: Owners,
    gpus: Vec<Asked>,
}

/// One GPU.
#[derive(Debug)]
struct Asked {
    uuid: String,
    metrics: PerMetric<AskedMetric>,
    ended: Option<TelemetryEnd>,
}

#[derive(Debug, Default)]
struct AskedMetric {
    /// The slot of its period in which it was last asked for.
    slot: Option<u128>,
    /// Failures in a row.
    failures: u32,
    given_up: Option<GpuError>,
}

impl Asked {
    fn new(uuid: String) -> Self {
        Self { uuid, metrics: Default::default(), ended: None }
    }
}

impl AskedMetric {
    fn is_due(&mut self, elapsed: Duration, period: Duration, wanted: bool) -> bool {
        let slot = elapsed.as_nanos() / period.as_nanos().max(1);
        let due = wanted || self.slot.is_none_or(|last| slot > last) || period.is_zero();
        if due {
            self.slot = Some(slot);
        }
        due
    }

    /// Records an answer. Returns whether to stop calling because of it.
    fn note(&mut self, answer: Result<(), &GpuError>) -> bool {
        let Err(error) = answer else {
            self.failures = 0;
            return false;
        };
        self.failures += 1;
        let gives_up = error.is_permanent() || self.failures >= FAILURES;
        if gives_up {
            self.given_up = Some(error.clone());
        }
        gives_up
    }

    /// A window opens: what may have come back is tried again.
    fn revive(&mut self) {
        self.failures = 0;
        self.given_up = self.given_up.take().filter(GpuError::is_permanent);
    }
}

impl<P: Probe> Sampling<'_, P> {
    /// One round of all GPUs.
    fn round(&mut self, at: MonoNs, elapsed: Duration, wanted: MetricScope) -> Vec<GpuRound> {
        if wanted == MetricScope::All {
            let port = self.shared.lock().port;
            self.owners.refresh(port);
            let metrics = self.gpus.iter_mut().flat_map(|gpu| &mut gpu.metrics);
            metrics.for_each(AskedMetric::revive);
        }
        (0..self.gpus.len()).map(|gpu| self.ask(gpu, at, elapsed, wanted)).collect()
    }

    /// One round of one GPU.
    fn ask(&mut self, gpu: usize, at: MonoNs, elapsed: Duration, wanted: MetricScope) -> GpuRound {
        let mut round = GpuRound::default();
        let mut readings = Readings::default();
        readings.sample.at = at;
        for (i, metric) in Metric::ALL.into_iter().enumerate() {
            let is_wanted = match wanted {
                MetricScope::Nothing => false,
                MetricScope::Edge => metric.is_at_edges(),
                MetricScope::All => true,
            };
            let is_sum = metric == Metric::Memory && self.probe.sums_memory(gpu);
            let period = if is_sum { SUMS_EVERY } else { metric.period() };
            let asked = &mut self.gpus[gpu].metrics[i];
            if !asked.is_due(elapsed, period, is_wanted) {
                continue;
            }
            if let Some(error) = &asked.given_up {
                round.results[i] = MetricResult::GivenUp(error.clone());
                continue;
            }
            let begun = MonoNs::now();
            self.shared.lock().calling = Some((metric, begun));
            let answer = self.probe.read(gpu, metric, &mut readings);
            let ended = MonoNs::now();
            let gives_up = asked.note(answer.as_ref().map(|&()| ()));
            round.results[i] = match answer {
                Ok(()) => MetricResult::Read(ended.since(begun)),
                Err(error) => {
                    if error == GpuError::Lost {
                        self.lose(gpu, ended);
                    } else if gives_up {
                        let metric = metric.name();
                        tracing::info!(gpu, metric, %error, "gpu metric disabled after repeated \
                            errors");
                    }
                    MetricResult::Failed(error, ended.since(begun))
                }
            };
            if metric == Metric::Energy {
                let at = ended;
                round.energy = readings.energy.map(|millijoules| EnergyReading { at, millijoules });
            }
        }
        round.sample = readings.sample;
        round.processes = readings.processes.map(|list| {
            let seen = list.into_iter().map(|process| {
                let (owner, name) = self.owners.owner(process.pid);
                SeenProcess { pid: process.pid, name, owner, memory: process.memory }
            });
            seen.collect()
        });
        round.ended.clone_from(&self.gpus[gpu].ended);
        round
    }

    /// The GPU is gone for good: nothing is asked of it any more.
    fn lose(&mut self, gpu: usize, at: MonoNs) {
        let gpu = &mut self.gpus[gpu];
        for metric in &mut gpu.metrics {
            metric.given_up.get_or_insert(GpuError::Lost);
        }
        if gpu.ended.is_none() {
            tracing::warn!(uuid = gpu.uuid, "gpu lost, end of its telemetry");
            gpu.ended = Some(TelemetryEnd { at, reason: GpuError::Lost.to_string() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_stay_on_the_grid_and_slow_ones_skip_rounds() {
        let grid = Grid { start: MonoNs(1_000), period: Duration::from_millis(100) };
        let after = |round, ms: u64| grid.next(round, grid.start.after(Duration::from_millis(ms)));
        // A round of 1 ms that woke 0 or 3 ms late; rest is begin + period.
        assert_eq!((after(0, 100), after(7, 803)), (1, 8));
        // 10 ms in the driver at 5 %: 200 ms from begin to begin.
        assert_eq!(after(7, 900), 9);
        // Hung for 5 s.
        assert_eq!(after(7, 100_700), 1007);
    }

    #[test]
    fn slow_metrics_are_due_once_per_period() {
        let mut asked = AskedMetric::default();
        let period = Metric::ClockSm.period();
        let due: Vec<u64> = (0..11)
            .map(|round| round * 100)
            .filter(|ms| asked.is_due(Duration::from_millis(*ms), period, false))
            .collect();
        assert_eq!(due, [0, 300, 500, 800, 1000]);
        assert!(asked.is_due(Duration::from_millis(1001), period, true), "at an edge");
    }

    #[test]
    fn a_call_that_fails_three_times_is_disabled_until_the_next_window() {
        let mut asked = AskedMetric::default();
        let error = GpuError::Unexpected(999);
        assert!(!asked.note(Err(&error)));
        assert!(!asked.note(Ok(())));
        assert_eq!([0; 3].map(|_| asked.note(Err(&error))), [false, false, true]);
        asked.revive();
        assert_eq!((asked.given_up.clone(), asked.failures), (None, 0));
        assert!(asked.note(Err(&GpuError::NotSupported)));
        asked.revive();
        assert_eq!(asked.given_up, Some(GpuError::NotSupported), "for good");
    }
}
