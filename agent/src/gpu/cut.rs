//! From a window to the samples of its attempt.

use std::time::Duration;

use regatta_types::gpu::{GpuSeries, GpuWindow};
use regatta_types::time::MonoNs;
use regatta_types::trace::{Phase, RequestTrace};

/// A GPU needs so long after a request to come to rest.
const REST: Duration = Duration::from_millis(500);
/// How far back the time before an attempt is kept.
const QUIET: Duration = Duration::from_secs(10);

/// The parts of an attempt's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spans {
    /// From the first warm-up request to the end of the last one, if there were any before
    /// measuring began.
    pub warmup: Option<(MonoNs, MonoNs)>,
    /// Measuring began.
    pub began: MonoNs,
    /// The last response ended.
    pub finished: MonoNs,
}

impl Spans {
    /// Those of an attempt with these requests.
    #[must_use]
    pub fn of(traces: &[RequestTrace], began: MonoNs, finished: MonoNs) -> Self {
        let before = traces.iter().filter(|trace| trace.phase == Phase::Warmup);
        let sent = before.filter_map(|trace| {
            let sent = trace.t_send().filter(|sent| *sent < began)?;
            Some((sent, trace.done.unwrap_or(began)))
        });
        let warmup = sent.reduce(|all, one| (all.0.min(one.0), all.1.max(one.1)));
        Self { warmup, began, finished }
    }

    fn is_quiet(&self, at: MonoNs) -> bool {
        let warm = self.warmup.is_some_and(|(from, until)| (from..until.after(REST)).contains(&at));
        at < self.began && self.began.since(at) <= QUIET && !warm
    }
}

/// Keeps the samples from the first request to the last. The sample before them is the baseline.
/// Quiet samples are those of the last seconds with no request in flight.
#[must_use]
pub fn cut(window: GpuWindow, spans: &Spans) -> GpuWindow {
    let one = |mut series: GpuSeries| {
        let before = series.samples.iter().rev().find(|s| s.at < spans.began).copied();
        series.baseline = before.or(series.baseline);
        series.samples.retain(|s| (spans.began..=spans.finished).contains(&s.at));
        series.quiet.retain(|s| spans.is_quiet(s.at));
        series
    };
    let series = window.series.map(|all| all.into_iter().map(one).collect());
    GpuWindow { series, ..window }
}

#[cfg(test)]
mod tests {
    use regatta_types::gpu::GpuSample;
    use regatta_types::reading::Reading;
    use regatta_types::trace::SendStamp;

    use super::*;

    fn at(seconds: f64) -> MonoNs {
        MonoNs(100_000_000_000).after(Duration::from_secs_f64(seconds))
    }

    fn samples(every: f64) -> Vec<GpuSample> {
        let instants = (0..60).map(|i| at(f64::from(i) * every));
        instants.map(|at| GpuSample { at, ..GpuSample::default() }).collect()
    }

    fn seconds(samples: &[GpuSample]) -> Vec<f64> {
        samples.iter().map(|s| s.at.since(at(0.0)).as_secs_f64()).collect()
    }

    #[test]
    fn quiet_is_neither_warm_up_nor_its_echo_nor_long_ago() {
        let mut warmup = RequestTrace::new(0, 0, Phase::Warmup);
        warmup.sent = Some(SendStamp { before: at(22.0), after: at(22.0) });
        warmup.done = Some(at(24.0));
        // Ramps send warm-up requests after measuring began.
        let mut ramp = warmup.clone();
        ramp.sent = Some(SendStamp { before: at(28.0), after: at(28.0) });
        let spans = Spans::of(&[warmup, ramp], at(26.0), at(29.0));
        assert_eq!(spans.warmup, Some((at(22.0), at(24.0))));
        let series = GpuSeries { samples: samples(1.0), quiet: samples(1.0), ..Default::default() };
        let window = GpuWindow::of(Reading::Known(vec![series]), 100);
        let cut = cut(window, &spans);
        let series = &cut.series.known().unwrap()[0];
        assert_eq!(seconds(&series.samples), [26.0, 27.0, 28.0, 29.0]);
        assert_eq!(series.baseline.map(|s| s.at), Some(at(25.0)));
        assert_eq!(seconds(&series.quiet), [16.0, 17.0, 18.0, 19.0, 20.0, 21.0, 25.0]);
    }
}
