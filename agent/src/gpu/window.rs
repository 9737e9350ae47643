//! The samples of one attempt: collected between begin and end, bounded, peaks kept.

use std::collections::BTreeMap;
use std::time::Duration;

use regatta_types::gpu::{GpuSample, GpuSeries};
use regatta_types::time::MonoNs;

use super::error::GpuError;
use super::probe::Metric;

/// Most samples a GPU keeps in one window: an hour at 10 Hz. Then neighbours are merged in pairs
/// and from there on two rounds make one sample, so that a long attempt ends with the whole of
/// its time, evenly, instead of its beginning or its end.
pub(super) const LIMIT: usize = 36_000;

/// What one round brought for one GPU.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct GpuRound {
    /// The readings of this round only.
    pub(super) sample: GpuSample,
    /// What each metric of [`Metric::ALL`] did.
    pub(super) results: [MetricResult; 4],
}

/// What one metric did in one round.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) enum MetricResult {
    /// Its turn comes in another round.
    #[default]
    NotAsked,
    /// It is in the sample.
    Read,
    /// It is missing, or is no longer asked for, because of this.
    Failed(GpuError),
}

/// One open window.
#[derive(Debug)]
pub(super) struct WindowBuffer {
    began: MonoNs,
    limit: usize,
    /// Rounds that make one sample.
    stride: usize,
    /// Rounds in the sample that is being made.
    pending: usize,
    gpus: Vec<GpuBuffer>,
}

#[derive(Debug, Default)]
struct GpuBuffer {
    baseline: Option<GpuSample>,
    samples: Vec<GpuSample>,
    pending: Option<GpuSample>,
    tallies: [Tally; 4],
}

/// How one metric fared in a window.
#[derive(Debug, Default)]
struct Tally {
    read: u32,
    failed: u32,
    last_error: Option<GpuError>,
}

impl WindowBuffer {
    /// Opens a window; `latest` has the last known readings of each GPU.
    pub(super) fn new(began: MonoNs, latest: Vec<Option<GpuSample>>, limit: usize) -> Self {
        let gpus = latest
            .into_iter()
            .map(|baseline| GpuBuffer { baseline, ..GpuBuffer::default() })
            .collect();
        Self { began, limit, stride: 1, pending: 0, gpus }
    }

    /// When it opened.
    #[cfg(test)]
    pub(super) fn began(&self) -> MonoNs {
        self.began
    }

    /// Takes one round of all GPUs that began at `at`.
    pub(super) fn push(&mut self, at: MonoNs, rounds: &[GpuRound], latest: &[Option<GpuSample>]) {
        if self.gpus.len() < rounds.len() {
            // Opened before the first round.
            self.gpus.resize_with(rounds.len(), GpuBuffer::default);
        }
        if at < self.began {
            // On its way while the window opened: the last one before it.
            for (gpu, latest) in self.gpus.iter_mut().zip(latest) {
                gpu.baseline = *latest;
            }
            return;
        }
        for (gpu, round) in self.gpus.iter_mut().zip(rounds) {
            gpu.push(round);
        }
        self.pending += 1;
        if self.pending >= self.stride {
            self.close_sample();
            if self.gpus.iter().any(|gpu| gpu.samples.len() >= self.limit) {
                self.gpus.iter_mut().for_each(GpuBuffer::halve);
                self.stride *= 2;
            }
        }
    }

    /// Ends the window: the series of each GPU in `uuids`, and the time between its samples in
    /// rounds. `silence` is how long the source has not answered, if that is unusual.
    pub(super) fn finish(
        mut self,
        uuids: &[String],
        silence: Option<Duration>,
    ) -> (Vec<GpuSeries>, usize) {
        self.close_sample();
        self.gpus.resize_with(uuids.len(), GpuBuffer::default);
        let gpus = self.gpus.into_iter().zip(uuids);
        let series = gpus.map(|(gpu, uuid)| GpuSeries {
            uuid: uuid.clone(),
            baseline: gpu.baseline,
            unavailable: unavailable(&gpu.tallies, silence),
            samples: gpu.samples,
        });
        (series.collect(), self.stride)
    }

    fn close_sample(&mut self) {
        self.pending = 0;
        for gpu in &mut self.gpus {
            gpu.samples.extend(gpu.pending.take());
        }
    }
}

impl GpuBuffer {
    fn push(&mut self, round: &GpuRound) {
        for (tally, result) in self.tallies.iter_mut().zip(&round.results) {
            match result {
                MetricResult::NotAsked => {}
                MetricResult::Read => tally.read += 1,
                MetricResult::Failed(error) => {
                    tally.failed += 1;
                    tally.last_error = Some(error.clone());
                }
            }
        }
        self.pending = Some(match self.pending.take() {
            None => round.sample,
            Some(earlier) => merge(earlier, round.sample),
        });
    }

    fn halve(&mut self) {
        let pairs = self.samples.chunks(2);
        self.samples = pairs.filter_map(|pair| pair.iter().copied().reduce(merge)).collect();
    }
}

/// One sample for two neighbours: the one with more memory in use, so that the peak stays what it
/// was, with the other's readings where it has none.
fn merge(a: GpuSample, b: GpuSample) -> GpuSample {
    let (mut kept, other) = if b.memory_used > a.memory_used { (b, a) } else { (a, b) };
    for metric in Metric::ALL {
        if !metric.is_in(&kept) {
            metric.copy(&other, &mut kept);
        }
    }
    kept
}

fn unavailable(tallies: &[Tally; 4], silence: Option<Duration>) -> BTreeMap<String, String> {
    let mut reasons = BTreeMap::new();
    for (metric, tally) in Metric::ALL.into_iter().zip(tallies) {
        let asked = tally.read + tally.failed;
        let reason = match (&tally.last_error, silence) {
            (Some(error), _) if tally.read == 0 => error.to_string(),
            (Some(error), _) => format!("{error} in {} of {asked} readings", tally.failed),
            (None, Some(silence)) => {
                format!("no answer from the driver for {:.1} s", silence.as_secs_f64())
            }
            (None, None) => continue,
        };
        reasons.insert(metric.name().to_owned(), reason);
    }
    reasons
}

#[cfg(test)]
mod tests {
    use regatta_types::units::Bytes;

    use super::*;

    fn round(at: u64, memory: u64) -> GpuRound {
        let sample =
            GpuSample { at: MonoNs(at), memory_used: Some(Bytes(memory)), ..Default::default() };
        let mut results: [MetricResult; 4] = Default::default();
        results[0] = MetricResult::Read;
        GpuRound { sample, results }
    }

    fn push(window: &mut WindowBuffer, round: &GpuRound) {
        window.push(round.sample.at, std::slice::from_ref(round), &[Some(round.sample)]);
    }

    fn finish(window: WindowBuffer) -> (GpuSeries, usize) {
        let (mut series, stride) = window.finish(&["GPU-a".into()], None);
        (series.remove(0), stride)
    }

    #[test]
    fn the_baseline_is_the_last_sample_before_the_window() {
        let mut window = WindowBuffer::new(MonoNs(100), vec![Some(round(50, 7).sample)], LIMIT);
        push(&mut window, &round(99, 8));
        push(&mut window, &round(100, 9));
        let (series, stride) = finish(window);
        assert_eq!(series.baseline, Some(round(99, 8).sample));
        assert_eq!(series.samples, [round(100, 9).sample]);
        assert_eq!((series.unavailable.len(), stride), (0, 1));
    }

    #[test]
    fn a_window_without_rounds_has_its_baseline_and_says_how_long_nothing_came() {
        let before = round(50, 7).sample;
        let window = WindowBuffer::new(MonoNs(100), vec![Some(before)], LIMIT);
        let (series, _) = window.finish(&["GPU-a".into()], Some(Duration::from_millis(3_240)));
        assert_eq!((series[0].baseline, series[0].samples.len()), (Some(before), 0));
        assert_eq!(series[0].unavailable["power"], "no answer from the driver for 3.2 s");
    }

    #[test]
    fn long_windows_are_thinned_evenly_and_keep_the_memory_peak() {
        for peak_at in 0..40 {
            let mut window = WindowBuffer::new(MonoNs(0), vec![None], 8);
            for i in 0..40 {
                push(&mut window, &round(i, if i == peak_at { 1000 } else { 10 }));
            }
            let (series, stride) = finish(window);
            let peak = series.samples.iter().filter_map(|s| s.memory_used).max();
            assert_eq!(peak, Some(Bytes(1000)), "peak at {peak_at}");
            assert!(series.samples.is_sorted_by_key(|s| s.at));
            assert_eq!((stride, series.samples.len()), (8, 5));
        }
    }

    #[test]
    fn merged_samples_take_missing_readings_from_their_neighbour() {
        let mut warm = round(1, 5).sample;
        warm.temperature_c = Some(60);
        let merged = merge(warm, round(2, 9).sample);
        assert_eq!((merged.at, merged.temperature_c), (MonoNs(2), Some(60)));
    }

    #[test]
    fn reasons_tell_a_call_that_never_worked_from_one_that_failed_at_times() {
        let mut window = WindowBuffer::new(MonoNs(0), vec![None], LIMIT);
        for i in 0..4 {
            let mut round = round(i, 5);
            round.results[1] = MetricResult::Failed(GpuError::NotSupported);
            if i == 3 {
                round.results[0] = MetricResult::Failed(GpuError::Lost);
            }
            push(&mut window, &round);
        }
        let (series, _) = finish(window);
        assert_eq!(series.unavailable["power"], "not supported");
        assert_eq!(series.unavailable["memory"], "GPU lost in 1 of 4 readings");
    }
}
