//! How late this process itself is, and when that spoils what it measures.

use std::time::Duration;

use regatta_types::validity::{Finding, FindingCode, Validity};

/// Width of a class of the histogram; tokio's timer goes off in whole milliseconds.
const CLASS: Duration = Duration::from_micros(250);
/// Up to 1 s; later ones share the last class.
const CLASSES: usize = 4000;
/// Values that a 99th percentile needs for a distribution-free 95 % interval.
const P99_COUNT: u64 = 368;
/// With fewer, one part in so many of the attempt's time may be lateness beyond the limit.
const SHARE: u32 = 100;
/// What to do about it.
pub(super) const ADVICE: &str = "leave the agent a core of its own (for example with taskset or CPU \
                                 affinity of the engine), or measure with fewer streams";

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

    /// Time by which values are beyond `limit`, over all of them: the lower ends of their classes,
    /// so never too much.
    fn beyond(&self, limit: Duration) -> Duration {
        let classes = self.classes.iter().zip(0_u32..);
        classes.map(|(&n, begin)| (CLASS * begin).saturating_sub(limit) * n).sum()
    }

    /// Whether the 99th percentile is beyond a limit that concerns only single gaps between chunks:
    /// the means of an attempt stay right, so that it is degraded. Fewer than 368 values say nothing.
    pub(super) fn judge_gaps(&self, what: &str, limit: Duration) -> Option<Finding> {
        let (percent, late) = self.p99().filter(|_| self.count >= P99_COUNT)?;
        (late > limit).then(|| Finding {
            code: FindingCode::ClientLimited,
            validity: Validity::Degraded,
            evidence: format!(
                "of {} {what} percentile {percent:.1} was {late:.1?} late, over a tenth of the time \
                 between two chunks (limit {limit:.1?})",
                self.count
            ),
            advice: ADVICE.to_owned(),
        })
    }

    /// What the lateness of these (`what` names them) does to an attempt that took so long.
    ///
    /// With 368 values or more a 99th percentile over the limit is `client_limited` and spoils the
    /// attempt. Fewer have no 99th percentile to speak of: there the lateness beyond the limit, in
    /// sum, spoils an attempt if it is over 1 % of its time; else a second-largest lateness over the
    /// limit only degrades it.
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
                "of {} {what} percentile {percent:.1} was {late:.1?} late (limit {limit:.1?}); \
                 beyond the limit in sum {beyond:.1?} of {took:.1?}",
                self.count
            ),
            advice: ADVICE.to_owned(),
        })
    }
}
