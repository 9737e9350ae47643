//! What engines said of themselves over one or several attempts.

use std::collections::BTreeSet;

use regatta_types::engine::{EngineSample, EngineWindow};
use regatta_types::time::MonoNs;
use serde::Serialize;

use super::{Distribution, count};
use crate::absent::{Absent, Figure, told};

/// An engine's own metrics over a set of attempts. `None`: not reported by the engine, or no such
/// event.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct EngineFigures {
    /// Samples in all attempts.
    pub samples: usize,
    /// Times that it did not answer.
    pub failed: u32,
    /// Attempts over which a counter ran backwards, as only a restart makes it do; none of their
    /// counters is in the figures.
    pub restarts: u32,
    /// Most requests worked on at once.
    pub running_max: Option<f64>,
    /// Most requests that waited at once.
    pub waiting_max: Option<f64>,
    /// Largest share of the KV cache in use.
    pub kv_peak: Option<f64>,
    /// Prompt tokens found in the prefix cache, as a share of those looked up.
    pub prefix_hit_share: Option<f64>,
    /// Requests put back to make room.
    pub preemptions: Option<f64>,
    /// Mean time that a request waited for its turn, seconds.
    pub queue_mean_s: Option<f64>,
    /// Drafted tokens that were accepted, as a share of all.
    pub acceptance: Option<f64>,
}

type Counter = fn(&EngineSample) -> Option<f64>;

const COUNTERS: [Counter; 7] = [
    |s| s.prefix_queries,
    |s| s.prefix_hits,
    |s| s.preemptions,
    |s| s.queue_s,
    |s| s.queued,
    |s| s.drafted,
    |s| s.accepted,
];

/// Sums up `windows`, one of each attempt.
pub fn engine_figures<'a>(
    windows: impl Iterator<Item = &'a EngineWindow>,
) -> Figure<EngineFigures> {
    let windows: Vec<&EngineWindow> = windows.collect();
    let known = windows.iter().filter_map(|w| w.samples.known()).map(Vec::as_slice);
    let mut known: Vec<&[EngineSample]> = known.filter(|samples| !samples.is_empty()).collect();
    if known.is_empty() {
        let reason = windows.iter().find_map(|w| told(&w.samples).err());
        return Err(reason.unwrap_or(Absent::NoEngineSamples));
    }
    let highest = |value: Counter| {
        Distribution::new(known.iter().flat_map(|s| s.iter()).filter_map(value)).max()
    };
    let mut figures = EngineFigures {
        samples: known.iter().map(|samples| samples.len()).sum(),
        failed: windows.iter().map(|window| window.failed).sum(),
        running_max: highest(|s| s.running),
        waiting_max: highest(|s| s.waiting),
        // A share, but in percent from some engines.
        kv_peak: highest(|s| s.kv_use).map(|peak| if peak > 1.0 { peak / 100.0 } else { peak }),
        ..EngineFigures::default()
    };
    let all = known.len();
    known.retain(|samples| restarts(samples).is_empty());
    figures.restarts = count(all - known.len());
    let grown = |counter: Counter| -> Option<f64> {
        let ends = |s: &&[EngineSample]| Some(counter(s.last()?)? - counter(s.first()?)?);
        known.iter().filter_map(ends).reduce(|sum, more| sum + more)
    };
    let share = |part: Counter, whole: Counter| {
        Some(grown(part)? / grown(whole).filter(|whole| *whole > 0.0)?)
    };
    figures.preemptions = grown(|s| s.preemptions);
    figures.prefix_hit_share = share(|s| s.prefix_hits, |s| s.prefix_queries);
    figures.queue_mean_s = share(|s| s.queue_s, |s| s.queued);
    figures.acceptance = share(|s| s.accepted, |s| s.drafted);
    Ok(figures)
}

/// When a counter was first seen below its last value: the engine was started again.
pub fn restarts(samples: &[EngineSample]) -> BTreeSet<MonoNs> {
    let falls = |counter: Counter| {
        let mut before = f64::NEG_INFINITY;
        let known = samples.iter().filter_map(move |s| Some((s.at, counter(s)?)));
        let fell = known.filter(move |(_, now)| std::mem::replace(&mut before, *now) > *now);
        fell.map(|(at, _)| at)
    };
    COUNTERS.into_iter().flat_map(falls).collect()
}

#[cfg(test)]
mod tests {
    use regatta_types::reading::Reading;

    use super::*;

    fn window(samples: Vec<EngineSample>) -> EngineWindow {
        EngineWindow { samples: Reading::Known(samples), period_ms: 1_000, failed: 1 }
    }

    /// The counters at a second after this many requests, each of 100 tokens, 25 of them cached, and
    /// half a second in the queue.
    fn sample(second: u64, requests: f64) -> EngineSample {
        EngineSample {
            at: MonoNs(second * 1_000_000_000),
            running: Some(requests),
            waiting: Some(2.0 * requests),
            kv_use: Some(requests / 10.0),
            prefix_queries: Some(7_000.0 + 100.0 * requests),
            prefix_hits: Some(500.0 + 25.0 * requests),
            preemptions: Some(3.0 + requests),
            queue_s: Some(0.5 * requests),
            queued: Some(requests),
            drafted: None,
            accepted: None,
        }
    }

    #[test]
    fn gauges_give_their_peak_and_counters_what_they_grew_by() {
        let first = window(vec![sample(0, 0.0), sample(1, 4.0), sample(2, 4.0)]);
        let second = window(vec![sample(10, 4.0), sample(12, 6.0)]);
        let figures = engine_figures([&first, &second].into_iter());
        let expected = EngineFigures {
            samples: 5,
            failed: 2,
            restarts: 0,
            running_max: Some(6.0),
            waiting_max: Some(12.0),
            kv_peak: Some(0.6),
            prefix_hit_share: Some(0.25),
            preemptions: Some(6.0),
            queue_mean_s: Some(0.5),
            acceptance: None,
        };
        assert_eq!(figures, Ok(expected));
    }

    #[test]
    fn kv_cache_usage_in_percent_is_a_share() {
        let mut full = sample(0, 1.0);
        full.kv_use = Some(37.5);
        let figures = engine_figures([&window(vec![full, sample(1, 5.0)])].into_iter());
        assert_eq!(figures.unwrap().kv_peak, Some(0.375));
    }

    #[test]
    fn counters_of_a_restarted_engine_are_ignored() {
        let restarted = window(vec![sample(0, 4.0), sample(1, 6.0), sample(2, 1.0)]);
        let figures = engine_figures([&restarted].into_iter());
        let known = figures.unwrap();
        assert_eq!((known.restarts, known.preemptions, known.running_max), (1, None, Some(6.0)));
        let none = EngineWindow::missing("/metrics: status 404");
        let told = Absent::Told("/metrics: status 404".to_owned());
        assert_eq!(engine_figures([&none].into_iter()), Err(told));
    }
}
