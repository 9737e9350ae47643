//! The measured part of an attempt, from the first measured request to the last response: its
//! stamps, the CPU time of its thread, and what the agent has to say against itself.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use regatta_types::attempt::AttemptOutcome;
use regatta_types::time::MonoNs;
use regatta_types::trace::{Outcome, Phase, RequestTrace};
use regatta_types::validity::{Finding, FindingCode, Validity};
use rustix::time::{ClockId, clock_gettime};
use tokio::task::JoinSet;

use super::AttemptResult;
use super::lateness::{ADVICE, Lateness};
use super::reads::Reads;
use super::watchdog::{self, Stalls, Typical};

/// Share of one core that a measuring thread may be busy, per cent.
const CPU_LIMIT: f64 = 80.0;
/// Limit on the p99 of the lateness of an open loop's sends.
const SEND_LIMIT: Duration = Duration::from_millis(5);
/// A single send is late if it is later than this; one in a hundred may be.
const SEND_LATE: Duration = Duration::from_millis(50);

/// Open while measured requests run. Must stay on its thread.
#[derive(Debug)]
pub(super) struct Window {
    began: MonoNs,
    cpu: Duration,
    stalls: Rc<RefCell<Stalls>>,
    _watchdog: JoinSet<()>,
}

/// A window that has been closed.
#[derive(Debug)]
pub(super) struct Closed {
    began: MonoNs,
    finished: MonoNs,
    /// CPU time of the thread in between.
    cpu: Duration,
    stalls: Rc<RefCell<Stalls>>,
}

impl Window {
    /// Measured requests begin now.
    pub(super) fn open() -> Self {
        let stalls = Rc::new(RefCell::new(Stalls::new()));
        let mut watchdog = JoinSet::new();
        watchdog.spawn_local(watchdog::watch(Rc::clone(&stalls)));
        Self { began: MonoNs::now(), cpu: thread_cpu(), stalls, _watchdog: watchdog }
    }

    /// The last response has ended.
    pub(super) fn close(self) -> Closed {
        let finished = MonoNs::now();
        self.stalls.borrow_mut().end(finished);
        let cpu = thread_cpu().saturating_sub(self.cpu);
        Closed { began: self.began, finished, cpu, stalls: self.stalls }
    }
}

impl Closed {
    /// What was made in it.
    pub(super) fn made(
        self,
        outcome: AttemptOutcome,
        traces: Vec<RequestTrace>,
        findings: Vec<Finding>,
    ) -> AttemptResult {
        let Self { began, finished, cpu, stalls: _ } = self;
        AttemptResult { outcome, began, finished, cpu: Some(cpu), traces, findings }
    }

    /// What the agent's self-checks say of an attempt with these traces.
    pub(super) fn findings(&self, traces: &[RequestTrace]) -> Vec<Finding> {
        let took = self.finished.since(self.began);
        let reads = Reads::of(traces);
        let typical = typical(traces, reads.are_stamped());
        let mut findings = self.stalls.borrow().findings(typical, took);
        findings.extend(reads.finding(typical.limit()));
        findings.extend(late_sends(traces, took));
        findings.extend(not_sent(traces));
        findings.extend(busy(self.cpu, took));
        findings
    }
}

/// CPU time that this thread has used.
fn thread_cpu() -> Duration {
    let used = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(used.tv_sec).unwrap_or(0);
    Duration::from_secs(seconds) + Duration::from_nanos(u64::try_from(used.tv_nsec).unwrap_or(0))
}

/// How late the sends of an open loop were that had a free slot.
fn late_sends(traces: &[RequestTrace], took: Duration) -> Option<Finding> {
    let mut lateness = Lateness::new();
    let (mut sends, mut late) = (0_usize, 0_usize);
    for trace in traces {
        if let (Some(due), Some(sent)) = (trace.scheduled, trace.t_send()) {
            lateness.add(sent.since(due));
            sends += 1;
            late += usize::from(sent.since(due) > SEND_LATE);
        }
    }
    if late * 100 > sends {
        return Some(Finding {
            code: FindingCode::ClientLimited,
            validity: Validity::Invalid,
            evidence: format!("{late} of {sends} sends were more than {SEND_LATE:?} late"),
            advice: ADVICE.to_owned(),
        });
    }
    lateness.judge("sends", SEND_LIMIT, took)
}

/// Whether requests of an open loop found no free slot.
fn not_sent(traces: &[RequestTrace]) -> Option<Finding> {
    let missing = traces.iter().filter(|trace| trace.outcome == Outcome::NotSent).count();
    (missing > 0).then(|| Finding {
        code: FindingCode::ClientLimited,
        validity: Validity::Invalid,
        evidence: format!(
            "{missing} of {} requests were dropped: the maximum number of requests was in flight",
            traces.iter().filter(|trace| trace.scheduled.is_some()).count()
        ),
        advice: "The endpoint cannot keep up with this rate. Use a lower rate, or raise \
            `--max-in-flight`"
            .to_owned(),
    })
}

fn busy(cpu: Duration, took: Duration) -> Option<Finding> {
    let share = cpu.as_secs_f64() / took.as_secs_f64() * 100.0;
    (share > CPU_LIMIT).then(|| Finding {
        code: FindingCode::ClientCpu,
        validity: Validity::Degraded,
        evidence: format!(
            "the measuring thread was busy {share:.0} % of the time (limit {CPU_LIMIT:.0} %)"
        ),
        advice: ADVICE.to_owned(),
    })
}

fn typical(traces: &[RequestTrace], stamped: bool) -> Typical {
    let of = |what: fn(&RequestTrace) -> Option<f64>| {
        let measured = traces.iter().filter(|t| t.phase == Phase::Measured && t.is_ok());
        median(measured.filter_map(what).collect())
    };
    Typical { ttft: of(RequestTrace::ttft), gap: of(mean_gap), stamped }
}

/// Mean gap between the chunks of a request, seconds.
fn mean_gap(trace: &RequestTrace) -> Option<f64> {
    let gaps = u32::try_from(trace.chunks.len()).ok()?.checked_sub(1).filter(|&gaps| gaps > 0)?;
    Some(trace.t_last()?.since(trace.t_first()?).as_secs_f64() / f64::from(gaps))
}

fn median(mut seconds: Vec<f64>) -> Option<Duration> {
    seconds.sort_by(f64::total_cmp);
    let last = seconds.len().checked_sub(1)?;
    // As reports have it: of an even number, the mean of the two in the middle.
    Some(Duration::from_secs_f64(f64::midpoint(seconds[last / 2], seconds[last.div_ceil(2)])))
}

#[cfg(test)]
mod tests {
    use regatta_types::trace::SendStamp;

    use super::*;

    fn sends(late_us: impl IntoIterator<Item = u64>) -> Vec<RequestTrace> {
        (0..)
            .zip(late_us)
            .map(|(seq, late)| {
                let due = MonoNs(u64::from(seq) * 10_000_000);
                let at = due.after(Duration::from_micros(late));
                let mut trace = RequestTrace::new(seq, 0, Phase::Measured);
                trace.scheduled = Some(due);
                trace.sent = Some(SendStamp { before: at, after: at });
                trace.outcome = Outcome::Ok;
                trace
            })
            .collect()
    }

    fn verdict(traces: &[RequestTrace]) -> Option<Validity> {
        let took = Duration::from_millis(10) * u32::try_from(traces.len()).unwrap();
        let finding = late_sends(traces, took)?;
        assert_eq!(finding.code, FindingCode::ClientLimited);
        Some(finding.validity)
    }

    fn with(on_time: usize, late_ms: &[u64]) -> Option<Validity> {
        let late = late_ms.iter().map(|ms| ms * 1000);
        verdict(&sends(std::iter::repeat_n(100, on_time).chain(late)))
    }

    #[test]
    fn the_percentile_of_lateness_invalidates_an_open_loop() {
        assert_eq!(with(400, &[]), None);
        assert_eq!(with(397, &[30, 30, 30]), None);
        assert_eq!(with(395, &[6, 6, 6, 6, 6]), Some(Validity::Invalid));
    }

    #[test]
    fn one_percent_of_very_late_sends_invalidates_an_open_loop() {
        assert_eq!(with(1_000, &[51; 10]), None, "p99 is on time");
        assert_eq!(with(1_000, &[51; 11]), Some(Validity::Invalid));
        assert_eq!(with(50, &[51]), Some(Validity::Invalid));
    }

    #[test]
    fn only_significant_lateness_invalidates_a_few_sends() {
        assert_eq!(with(99, &[14]), None);
        assert_eq!(with(98, &[8, 8]), Some(Validity::Degraded));
        assert_eq!(with(98, &[11, 11]), Some(Validity::Invalid));
    }

    #[test]
    fn closed_loops_have_no_late_sends() {
        let mut traces = sends([60_000; 100]);
        traces.iter_mut().for_each(|trace| trace.scheduled = None);
        assert_eq!(verdict(&traces), None);
    }

    #[test]
    fn a_dropped_request_invalidates_the_attempt() {
        let mut traces = sends([0; 1000]);
        assert_eq!(not_sent(&traces), None);
        traces[7].outcome = Outcome::NotSent;
        let finding = not_sent(&traces).unwrap();
        assert_eq!(
            (finding.code.as_str(), finding.validity, finding.evidence.as_str()),
            (
                "client_limited",
                Validity::Invalid,
                "1 of 1000 requests were dropped: the maximum number of requests was in flight"
            )
        );
    }

    #[test]
    fn a_busy_measuring_thread_is_a_finding() {
        let ms = Duration::from_millis;
        assert_eq!(busy(ms(800), ms(1000)), None);
        let finding = busy(ms(810), ms(1000)).unwrap();
        assert_eq!((finding.code.as_str(), finding.validity), ("client_cpu", Validity::Degraded));
        assert_eq!(busy(ms(0), ms(0)), None);
    }

    #[test]
    fn the_cpu_time_of_the_thread_is_counted() {
        let before = thread_cpu();
        while thread_cpu() == before {
            std::hint::spin_loop();
        }
        assert!(thread_cpu() > before);
    }
}
