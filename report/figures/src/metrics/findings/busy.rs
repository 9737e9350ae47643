//! Whether the engine worked for another client, too.

use regatta_types::engine::EngineSample;
use regatta_types::time::MonoNs;
use regatta_types::trace::RequestTrace;
use regatta_types::validity::FindingCode;

use super::{AttemptFinding, AttemptInput, FindingEvidence, Share, degraded};
use crate::metrics::{Distribution, count};

/// Engines update their gauges this often, or more often; nanoseconds.
const AGE_NS: u64 = 1_000_000_000;
/// Fewest samples with more requests than the agent's, and one in how many samples has to be such:
/// a gauge may count a request that has just ended.
const FEWEST: usize = 2;
const ONE_IN: usize = 4;

pub(super) fn engine_busy(judged: &AttemptInput<'_>) -> Option<AttemptFinding> {
    let own = InFlight::of(&judged.report.traces);
    let samples = judged.report.engine.metrics.samples.known()?;
    let all =
        |sample: &EngineSample| Some((sample.at, sample.running? + sample.waiting.unwrap_or(0.0)));
    let known: Vec<(MonoNs, f64)> = samples.iter().filter_map(all).collect();
    let more = known.iter().filter(|(at, all)| all - f64::from(own.most_before(*at)) >= 1.0);
    let beyond = Distribution::new(more.map(|(at, all)| all - f64::from(own.at(*at))));
    if beyond.n() < FEWEST || beyond.n() * ONE_IN < known.len() {
        return None;
    }
    let samples = Share { n: count(beyond.n()), of: count(known.len()) };
    let evidence = FindingEvidence::EngineBusy { beyond: beyond.median()?, samples };
    Some(degraded(FindingCode::EngineBusy, evidence))
}

/// The agent's requests in flight from each instant on at which that changed.
struct InFlight(Vec<(MonoNs, i32)>);

impl InFlight {
    /// Whether an engine still works on a request that failed is not known: it may, to the end.
    fn of(traces: &[RequestTrace]) -> Self {
        let end =
            |trace: &RequestTrace| trace.done.filter(|_| trace.is_ok()).unwrap_or(MonoNs(u64::MAX));
        let edges = |trace: &RequestTrace| Some([(trace.t_send()?, 1), (end(trace), -1)]);
        let mut steps: Vec<(MonoNs, i32)> = traces.iter().filter_map(edges).flatten().collect();
        steps.sort_unstable();
        let mut in_flight = 0;
        for (_, step) in &mut steps {
            in_flight += *step;
            *step = in_flight;
        }
        Self(steps)
    }

    /// The steps up to this instant.
    fn until(&self, at: MonoNs) -> &[(MonoNs, i32)] {
        &self.0[..self.0.partition_point(|(when, _)| *when <= at)]
    }

    fn at(&self, at: MonoNs) -> i32 {
        self.until(at).last().map_or(0, |(_, n)| *n)
    }

    /// The most at once in the time for which a sample may stand.
    fn most_before(&self, at: MonoNs) -> i32 {
        let begin = MonoNs(at.0.saturating_sub(AGE_NS));
        let since = self.until(begin).len().saturating_sub(1);
        self.until(at)[since..].iter().map(|(_, n)| *n).max().unwrap_or(0)
    }
}
