//! How late the measured thread itself is: a timer on it that should go off every 10 ms.
//!
//! A thread that is starved of CPU, or busy with too many streams, stamps late. The watchdog is
//! late by as much, and says so.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use regatta_sim::Alarm;
use regatta_types::time::MonoNs;
use regatta_types::validity::{Finding, FindingCode, Validity};
use tokio::time::sleep;

use super::lateness::{ADVICE, Lateness};

const PERIOD: Duration = Duration::from_millis(10);
/// A single stall above this spoils an attempt.
const LONGEST: Duration = Duration::from_secs(1);
/// The least that the p99 of the lateness may be.
const LEAST_LIMIT: Duration = Duration::from_millis(5);
/// The same where only single gaps between chunks are concerned.
const LEAST_GAP_LIMIT: Duration = Duration::from_millis(1);

/// The requests of an attempt, on the whole.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Typical {
    /// Median time to first token.
    pub(super) ttft: Option<Duration>,
    /// Median of their mean gaps between two chunks.
    pub(super) gap: Option<Duration>,
    /// Whether the kernel has stamped what came; then lateness of reads decides, not of the timer.
    pub(super) stamped: bool,
}

impl Typical {
    /// How late the client may be: 5 ms, or 1 % of the TTFT if that is more.
    pub(super) fn limit(self) -> Duration {
        LEAST_LIMIT.max(self.ttft.unwrap_or_default() / 100)
    }
}

/// Lateness of the measured thread's timer.
#[derive(Debug)]
pub(super) struct Stalls {
    lateness: Lateness,
    /// When the next tick is due, while one is waited for.
    due: Option<MonoNs>,
}

impl Stalls {
    pub(super) fn new() -> Self {
        Self { lateness: Lateness::new(), due: None }
    }

    fn tick(&mut self, now: MonoNs) {
        if let Some(due) = self.due.take() {
            self.lateness.add(now.since(due));
        }
    }

    /// Measuring ends now: a tick that is overdue will not come any more, and counts.
    pub(super) fn end(&mut self, now: MonoNs) {
        if self.due.is_some_and(|due| due < now) {
            self.tick(now);
        }
    }

    /// What the lateness does to an attempt with this pace that took so long. For single gaps
    /// between chunks the limit is a tenth of such a gap, but not below 1 ms.
    pub(super) fn findings(&self, typical: Typical, took: Duration) -> Vec<Finding> {
        const TICKS: &str = "ticks of the agent's timer";
        let gap_limit = typical.gap.map(|gap| LEAST_GAP_LIMIT.max(gap / 10));
        let limited =
            (!typical.stamped).then(|| self.lateness.judge(TICKS, typical.limit(), took)).flatten();
        let limited =
            limited.or_else(|| gap_limit.and_then(|limit| self.lateness.judge_gaps(TICKS, limit)));
        let longest = self.lateness.longest();
        let stall = (longest > LONGEST).then(|| Finding {
            code: FindingCode::ClientStall,
            validity: Validity::Invalid,
            evidence: format!("the agent stalled for {longest:.1?}"),
            advice: ADVICE.to_owned(),
        });
        limited.into_iter().chain(stall).collect()
    }
}

/// Watches until dropped. The timer is one that the reactor waits for as for a socket; without a
/// descriptor for it, the runtime's own does.
pub(super) async fn watch(stalls: Rc<RefCell<Stalls>>) {
    let mut alarm = Alarm::new().ok();
    loop {
        let due = MonoNs::now().after(PERIOD);
        stalls.borrow_mut().due = Some(due);
        let kept = match &mut alarm {
            Some(alarm) => alarm.until(due).await.is_ok(),
            None => false,
        };
        if !kept {
            sleep(PERIOD).await;
        }
        stalls.borrow_mut().tick(MonoNs::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stalls(late: impl IntoIterator<Item = u64>) -> Stalls {
        let mut stalls = Stalls::new();
        for ms in late {
            stalls.lateness.add(Duration::from_millis(ms));
        }
        stalls
    }

    /// In an attempt whose ticks were all of its time.
    fn findings(stalls: &Stalls, typical: Typical) -> Vec<Finding> {
        let took = PERIOD * u32::try_from(stalls.lateness.count()).unwrap();
        stalls.findings(typical, took)
    }

    fn verdicts(stalls: &Stalls, typical: Typical) -> Vec<(String, Validity)> {
        findings(stalls, typical).into_iter().map(|f| (f.code.to_string(), f.validity)).collect()
    }

    fn codes(stalls: &Stalls, ttft_ms: Option<u64>) -> Vec<(String, Validity)> {
        let ttft = ttft_ms.map(Duration::from_millis);
        verdicts(stalls, Typical { ttft, ..Typical::default() })
    }

    /// `on_time` ticks and some late ones.
    fn with(on_time: usize, late: &[u64]) -> Vec<(String, Validity)> {
        codes(&stalls(std::iter::repeat_n(0, on_time).chain(late.iter().copied())), None)
    }

    fn limited(validity: Validity) -> Vec<(String, Validity)> {
        vec![("client_limited".to_owned(), validity)]
    }

    #[test]
    fn the_percentile_invalidates_a_long_attempt() {
        assert_eq!(with(397, &[400, 400, 400]), []);
        assert_eq!(with(395, &[6, 6, 6, 6, 6]), limited(Validity::Invalid));
    }

    #[test]
    fn only_significant_lateness_invalidates_a_short_attempt() {
        assert_eq!(with(99, &[14]), [], "one late moment, 9 ms of a second");
        assert_eq!(with(98, &[8, 8]), limited(Validity::Degraded));
        assert_eq!(with(98, &[11, 11]), limited(Validity::Invalid));
        assert_eq!(with(99, &[400]), limited(Validity::Invalid));
        assert_eq!(with(0, &[400]), limited(Validity::Invalid));
    }

    #[test]
    fn slow_answers_raise_the_limit() {
        let late = stalls(std::iter::repeat_n(1, 98).chain([8, 8]));
        assert_eq!(codes(&late, Some(900)), []);
    }

    #[test]
    fn lateness_over_a_tenth_of_a_gap_degrades() {
        let late = |n: usize| stalls(std::iter::repeat_n(0, 392).chain(std::iter::repeat_n(4, n)));
        let typical = |ms| Typical { gap: Some(Duration::from_millis(ms)), ..Typical::default() };
        assert_eq!(verdicts(&late(8), typical(20)), limited(Validity::Degraded));
        assert_eq!(verdicts(&late(8), typical(50)), [], "4.25 ms of 50 ms");
        assert_eq!(verdicts(&late(2), typical(20)), [], "not at its 99th percentile");
        let few = stalls(std::iter::repeat_n(4, 100));
        assert_eq!(verdicts(&few, typical(20)), [], "no 99th percentile to speak of");
        let on_time = stalls(std::iter::repeat_n(0, 400));
        assert_eq!(verdicts(&on_time, typical(1)), [], "never below 1 ms");
    }

    #[test]
    fn kernel_timestamps_replace_ticks() {
        let late = stalls(std::iter::repeat_n(400, 400));
        let stamped = Typical { stamped: true, ..Typical::default() };
        assert_eq!(verdicts(&late, stamped), []);
        assert_eq!(verdicts(&late, Typical::default()), limited(Validity::Invalid));
    }

    #[test]
    fn the_evidence_contains_the_figures() {
        let late = stalls(std::iter::repeat_n(0, 48).chain([8, 9]));
        assert_eq!(
            findings(&late, Typical::default())[0].evidence,
            "p98.0 lateness of 50 ticks of the agent's timer was 8.2ms (limit 5.0ms), in total 7.0ms \
             over the limit in 500.0ms"
        );
    }

    #[test]
    fn a_stall_at_the_end_is_detected() {
        let mut stalls = Stalls::new();
        stalls.due = Some(MonoNs(10_000_000));
        stalls.end(MonoNs(9_000_000));
        assert_eq!(
            (stalls.lateness.count(), stalls.lateness.longest()),
            (0, Duration::ZERO),
            "it was not due yet"
        );
        stalls.end(MonoNs(60_000_000));
        assert_eq!(
            (stalls.lateness.count(), stalls.lateness.longest()),
            (1, Duration::from_millis(50))
        );
    }

    #[test]
    fn a_stall_of_one_second_invalidates_the_attempt() {
        let late = stalls(std::iter::repeat_n(0, 1000).chain([1001]));
        assert_eq!(codes(&late, None), [("client_stall".to_owned(), Validity::Invalid)]);
    }

    #[test]
    fn without_ticks_there_is_no_finding() {
        assert_eq!(codes(&stalls([]), None), []);
    }
}
