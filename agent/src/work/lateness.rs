//! Lateness of this process, and when it invalidates a measurement.

use std::time::Duration;

use regatta_types::validity::{Finding, FindingCode, Validity};

/// Bucket width of the histogram; tokio's timer has a resolution of a millisecond.
const CLASS: Duration = Duration::from_micros(250);
/// Up to 1 s; larger values share the last bucket.
const CLASSES: usize = 4000;
/// Minimum values for a distribution-free 95 % interval of the 99th percentile.
const P99_COUNT: u64 = 368;
/// With fewer values, the maximum share of the attempt's time over the limit is 1/SHARE.
const SHARE: u32 = 100;
/// Advice.
pub(super) const ADVICE: &str = "Reserve a CPU core for the agent (e.g. with taskset or the \
    engine's CPU affinity), or measure with fewer streams";

/// A histogram of lateness.
#[derive(Debug)]
pub(super) struct Lateness {
    classes: Vec<u32>,
    count: u64,
    longest: Duration,
}

impl Lateness {
    pub(super) fn new() -> Self {
        Self { classes: vec![0; CLASSES], count: 0, longest: Duration::ZERO }
    }

    pub(super) fn add(&mut self, late: Duration) {
        let class = usize::try_from(late.as_nanos() / CLASS.as_nanos()).unwrap_or(usize::MAX);
        self.classes[class.min(CLASSES - 1)] += 1;
        self.count += 1;
        self.longest = self.longest.max(late);
    }

    pub(super) fn longest(&self) -> Duration {
        self.longest
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// The 99th percentile, or with fewer than a hundred values the second largest, since one late
    /// moment is no percentile: the share of values up to it in per cent, and the upper end of its
    /// class. Of a single value it is that one; `None` without any.
    pub(super) fn p99(&self) -> Option<(f64, Duration)> {
        let rank = (self.count * 99).div_ceil(100).min(self.count.checked_sub(1)?).max(1);
        let mut seen = 0;
        let class = self.classes.iter().position(|&n| {
            seen += u64::from(n);
            n > 0 && seen >= rank
        })?;
        let late = self.longest.min(CLASS * u32::try_from(class + 1).unwrap_or(u32::MAX));
        Some((rank as f64 / self.count as f64 * 100.0, late))
    }

    /// Total time over `limit` of all values, from the lower bounds of their buckets, so never
    /// overestimated.
    fn beyond(&self, limit: Duration) -> Duration {
        let classes = self.classes.iter().zip(0_u32..);
        classes.map(|(&n, begin)| (CLASS * begin).saturating_sub(limit) * n).sum()
    }

    /// Checks the 99th percentile against the limit for single gaps between chunks. The means of an
    /// attempt stay correct, so it is only degraded. Requires at least 368 values.
    pub(super) fn judge_gaps(&self, what: &str, limit: Duration) -> Option<Finding> {
        let (percent, late) = self.p99().filter(|_| self.count >= P99_COUNT)?;
        (late > limit).then(|| Finding {
            code: FindingCode::ClientLimited,
            validity: Validity::Degraded,
            evidence: format!(
                "p{percent:.1} lateness of {} {what} was {late:.1?}, over a tenth of the time \
                 between two chunks (limit {limit:.1?})",
                self.count
            ),
            advice: ADVICE.to_owned(),
        })
    }

    /// The effect of the lateness of `what` on an attempt that took `took`.
    ///
    /// With at least 368 values, a 99th percentile over the limit is `client_limited` and
    /// invalidates the attempt. With fewer values, it is invalid if the total lateness over the
    /// limit exceeds 1 % of its time, and degraded if the second-largest lateness exceeds the
    /// limit.
    pub(super) fn judge(&self, what: &str, limit: Duration, took: Duration) -> Option<Finding> {
        let (percent, late) = self.p99()?;
        let beyond = self.beyond(limit);
        let is_over = late > limit;
        let validity = if self.count >= P99_COUNT {
            is_over.then_some(Validity::Invalid)
        } else if beyond > took / SHARE {
            Some(Validity::Invalid)
        } else {
            is_over.then_some(Validity::Degraded)
        };
        Some(Finding {
            code: FindingCode::ClientLimited,
            validity: validity?,
            evidence: format!(
                "p{percent:.1} lateness of {} {what} was {late:.1?} (limit {limit:.1?}), in total \
                 {beyond:.1?} over the limit in {took:.1?}",
                self.count
            ),
            advice: ADVICE.to_owned(),
        })
    }
}
