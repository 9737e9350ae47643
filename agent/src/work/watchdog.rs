//! How late the measured thread itself is: a timer on it that should go off every 10 ms.
//!
//! A thread that is starved of CPU, or busy with too many streams, stamps late. The watchdog is late
//! by as much, and says so.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use regatta_types::time::MonoNs;
use regatta_types::validity::{Finding, Validity};
use tokio::time::{Instant, sleep_until};

const PERIOD: Duration = Duration::from_millis(10);
/// Width of a class of the histogram; tokio's timer goes off in whole milliseconds.
const CLASS: Duration = Duration::from_micros(250);
/// Up to 1 s; later ones share the last class.
const CLASSES: usize = 4000;
/// A stall above this spoils an attempt by itself.
const LONGEST: Duration = Duration::from_secs(1);
/// The least that the p99 of the lateness may be.
const LEAST_LIMIT: Duration = Duration::from_millis(5);

/// Periods that a 99th percentile needs for a distribution-free 95 % interval.
const P99_NEEDS: u64 = 368;

/// Lateness of the measured thread's timer.
#[derive(Debug)]
pub(super) struct Stalls {
    classes: Vec<u32>,
    count: u64,
    longest: Duration,
}

impl Stalls {
    pub(super) fn new() -> Self {
        Self { classes: vec![0; CLASSES], count: 0, longest: Duration::ZERO }
    }

    fn add(&mut self, late: Duration) {
        let class = usize::try_from(late.as_nanos() / CLASS.as_nanos()).unwrap_or(usize::MAX);
        self.classes[class.min(CLASSES - 1)] += 1;
        self.count += 1;
        self.longest = self.longest.max(late);
    }

    /// Upper end of the class that holds the 99th percentile; `None` with fewer than two periods.
    /// Of fewer than a hundred it is the second largest: one late moment is no percentile, and an
    /// attempt of half a second has fifty.
    fn p99(&self) -> Option<Duration> {
        let rank = (self.count * 99).div_ceil(100).min(self.count.checked_sub(1)?);
        if rank == 0 {
            return None;
        }
        let mut seen = 0;
        let class = self.classes.iter().position(|&n| {
            seen += u64::from(n);
            n > 0 && seen >= rank
        })?;
        Some(self.longest.min(CLASS * u32::try_from(class + 1).unwrap_or(u32::MAX)))
    }

    /// Time by which the timer was late beyond `limit`, over all periods.
    fn beyond(&self, limit: Duration) -> Duration {
        let classes = self.classes.iter().zip(1_u32..);
        classes.map(|(&n, end)| (CLASS * end).saturating_sub(limit) * n).sum()
    }

    /// What the lateness does to an attempt whose median TTFT is this.
    pub(super) fn findings(&self, median_ttft: Option<Duration>) -> Vec<Finding> {
        const ADVICE: &str = "leave the agent a core of its own (for example with taskset or CPU \
                              affinity of the engine), or measure with fewer streams";
        let mut findings = Vec::new();
        let limit = LEAST_LIMIT.max(median_ttft.unwrap_or_default() / 100);
        if let Some(p99) = self.p99()
            && p99 > limit
        {
            // A percentile with an interval, or lateness that weighs in the attempt's whole time.
            let beyond = self.beyond(limit);
            let watched = PERIOD.mul_f64(self.count as f64);
            let heavy = self.count >= P99_NEEDS || beyond > watched / 100;
            findings.push(Finding {
                code: "client_limited".to_owned(),
                validity: if heavy { Validity::Invalid } else { Validity::Degraded },
                evidence: format!(
                    "the agent's own timer was {p99:.1?} late at the 99th percentile of {}, over \
                     the limit of {limit:.1?}, by {beyond:.1?} in all",
                    self.count
                ),
                advice: ADVICE.to_owned(),
            });
        }
        if self.longest > LONGEST {
            findings.push(Finding {
                code: "client_stall".to_owned(),
                validity: Validity::Invalid,
                evidence: format!("the agent stood still for {:.1?}", self.longest),
                advice: ADVICE.to_owned(),
            });
        }
        findings
    }
}

/// Watches until dropped.
pub(super) async fn watch(stalls: Rc<RefCell<Stalls>>) {
    loop {
        let due = MonoNs::now().after(PERIOD);
        sleep_until(Instant::now() + PERIOD).await;
        stalls.borrow_mut().add(MonoNs::now().since(due));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stalls(late: impl IntoIterator<Item = u64>) -> Stalls {
        let mut stalls = Stalls::new();
        for ms in late {
            stalls.add(Duration::from_millis(ms));
        }
        stalls
    }

    fn codes(stalls: &Stalls, ttft_ms: Option<u64>) -> Vec<String> {
        stalls.findings(ttft_ms.map(Duration::from_millis)).into_iter().map(|f| f.code).collect()
    }

    #[test]
    fn one_late_period_in_a_hundred_is_let_pass() {
        let late = stalls(std::iter::repeat_n(1, 99).chain([400]));
        assert_eq!(codes(&late, None), Vec::<String>::new());
    }

    #[test]
    fn two_in_a_hundred_limit_unless_answers_are_slow() {
        let late = stalls(std::iter::repeat_n(1, 98).chain([8, 8]));
        assert_eq!(codes(&late, None), ["client_limited"]);
        assert_eq!(codes(&late, Some(900)), Vec::<String>::new());
    }

    #[test]
    fn a_short_attempt_is_spoilt_only_by_lateness_that_weighs() {
        let validity = |stalls: &Stalls| stalls.findings(None)[0].validity;
        let light = stalls(std::iter::repeat_n(0, 98).chain([8, 8]));
        assert_eq!(validity(&light), Validity::Degraded);
        let heavy = stalls(std::iter::repeat_n(0, 98).chain([40, 40]));
        assert_eq!(validity(&heavy), Validity::Invalid);
        let long = stalls(std::iter::repeat_n(0, 980).chain([8; 20]));
        assert_eq!(validity(&long), Validity::Invalid, "here the percentile has an interval");
        let single = stalls([400]);
        assert_eq!(single.findings(None), [], "one period is no percentile");
    }

    #[test]
    fn a_single_second_spoils_the_attempt() {
        let late = stalls(std::iter::repeat_n(0, 1000).chain([1001]));
        assert_eq!(codes(&late, None), ["client_stall"]);
    }

    #[test]
    fn nothing_watched_says_nothing() {
        assert_eq!(codes(&stalls([]), None), Vec::<String>::new());
    }
}
