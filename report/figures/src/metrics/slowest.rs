//! The slowest requests of a host, and what its GPUs did nearest to them.

use regatta_types::attempt::AttemptReport;
use regatta_types::gpu::{ClockReasons, GpuSample};
use regatta_types::suite::Case;
use regatta_types::time::{MonoNs, UnixNs};
use regatta_types::trace::RequestTrace;

use super::figures::told;
use super::timeline::THROTTLED;
use super::{is_streamed, measured, serving};

const KEPT: usize = 3;

/// A request that took long beside the others of its case.
#[derive(Debug, Clone, PartialEq)]
pub struct SlowRequest {
    pub request_id: String,
    /// When it was sent, or due.
    pub at: UnixNs,
    /// End to end as its case tells it, seconds.
    pub e2e_s: f64,
    /// The same as a multiple of the median of its case.
    pub of_median: f64,
    /// Time to first token as its case tells it, seconds; `None` without a stream.
    pub ttft_s: Option<f64>,
    /// The longest gap between two of its chunks, seconds.
    pub longest_gap_s: Option<f64>,
    /// When clocks of the endpoint's GPUs were held by a limit or a fault nearest to it, in the
    /// same attempt.
    pub throttle: Option<Throttle>,
}

/// Clocks that were held.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Throttle {
    pub reason: &'static str,
    /// Seconds from the request: negative before it, 0 while it was in flight.
    pub away_s: f64,
}

/// The slowest of them all, the slowest first. `usable` are attempts with the case each is of and
/// its median end-to-end time.
pub fn slowest<'r>(
    usable: impl Iterator<Item = (&'r Case, Option<f64>, &'r AttemptReport)>,
) -> Vec<SlowRequest> {
    let mut slow: Vec<(f64, &RequestTrace, &Case, &AttemptReport)> = Vec::new();
    for (case, median, report) in usable {
        let Some(median) = median.filter(|median| *median > 0.0) else { continue };
        let ok = measured(&report.traces).filter(|trace| trace.is_ok());
        slow.extend(ok.filter_map(|t| Some((end_to_end(case, t)? / median, t, case, report))));
        // Of equally slow ones the first by its name, so that the order of attempts is no matter.
        slow.sort_by(|a, b| {
            b.0.total_cmp(&a.0).then_with(|| (&a.3.key, a.1.seq).cmp(&(&b.3.key, b.1.seq)))
        });
        slow.truncate(KEPT);
    }
    let request =
        |(of_median, trace, case, report): (f64, &RequestTrace, &Case, &AttemptReport)| {
            let begin = trace.t_due()?;
            let end = trace.t_last().unwrap_or(begin);
            let ttft = told(&case.load, trace.ttft(), trace.ttft_sched());
            let gaps =
                trace.chunks.windows(2).map(|pair| pair[1].at.since(pair[0].at).as_secs_f64());
            Some(SlowRequest {
                request_id: report.key.request_id(trace.seq),
                at: report.anchor.to_unix(begin),
                e2e_s: end_to_end(case, trace)?,
                of_median,
                ttft_s: ttft.filter(|_| is_streamed(trace)),
                longest_gap_s: gaps.filter(|_| is_streamed(trace)).reduce(f64::max),
                throttle: throttle(report, begin, end),
            })
        };
    slow.into_iter().filter_map(request).collect()
}

fn end_to_end(case: &Case, trace: &RequestTrace) -> Option<f64> {
    told(&case.load, trace.e2e(), trace.e2e_sched())
}

/// The sample nearest to a stretch of time in which clocks were held by a limit or a fault.
fn throttle(report: &AttemptReport, begin: MonoNs, end: MonoNs) -> Option<Throttle> {
    let samples = serving(&report.gpu).flat_map(|series| &series.samples);
    // The worst reason has the highest bit.
    let limits = || ClockReasons::NAMES.iter().rev().filter(|(bit, _)| THROTTLED & bit != 0);
    let found = samples.filter_map(|sample: &GpuSample| {
        let reasons = sample.reasons?;
        let reason = limits().find(|(bit, _)| reasons.has(*bit))?.1;
        // Of the two at least one is zero.
        let away = [sample.at.since(end), begin.since(sample.at)].map(|time| time.as_secs_f64());
        Some(Throttle { reason, away_s: away[0] - away[1] })
    });
    found.min_by(|a, b| a.away_s.abs().total_cmp(&b.away_s.abs()))
}
