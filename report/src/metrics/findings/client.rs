//! Remarks on the client itself, where the traces show that it was what was measured.

use regatta_types::attempt::AttemptReport;
use regatta_types::suite::Load;
use regatta_types::validity::{Finding, Validity};

use super::{Judged, remark};
use crate::metrics::real;

/// The 99th percentile of the lateness of sends may be this, seconds.
const P99_S: f64 = 0.005;

/// No more than this share of the sends may be later than this.
const LATE_SHARE: f64 = 0.01;
const LATE_S: f64 = 0.05;

/// Share of one core beyond which the measuring thread may be what limits.
const CPU_SHARE: f64 = 0.8;

const ADVICE: &str = "leave the agent a core of its own, or measure at a lower rate";

/// Requests that were due and had no free slot.
pub(super) fn not_sent(judged: &Judged<'_>) -> Option<Finding> {
    let unsent = judged.figures.requests.not_sent;
    let most = match judged.case.load {
        Load::Open { max_in_flight, .. } => max_in_flight,
        Load::Closed { .. } => return None,
    };
    (unsent > 0).then(|| {
        let evidence = format!(
            "{unsent} of {} requests were not sent: {most} were under way when they were due",
            judged.traces.len()
        );
        let advice = "the rate is above what the endpoint answers; if not, raise --max-in-flight";
        remark("client_limited", Validity::Invalid, evidence, advice)
    })
}

/// Sends of an open loop that came too long after their scheduled instant.
pub(super) fn late_sends(judged: &Judged<'_>) -> Option<Finding> {
    let lateness = &judged.figures.send_lateness_s;
    let p99 = lateness.quantile(0.99)?;
    let late = lateness.above(LATE_S);
    let share = real(late) / real(lateness.n());
    (p99 > P99_S || share > LATE_SHARE).then(|| {
        let evidence = format!(
            "sends were late by {:.1} ms at p99 (limit 5 ms), {late} of {} by over 50 ms (limit 1 %)",
            p99 * 1e3,
            lateness.n()
        );
        remark("client_limited", Validity::Invalid, evidence, ADVICE)
    })
}

/// CPU of the measuring thread.
pub(super) fn cpu(judged: &Judged<'_>) -> Option<Finding> {
    let share = cpu_share(judged.report)?;
    (share > CPU_SHARE).then(|| {
        let evidence =
            format!("the measuring thread used {:.0} % of a core (limit 80 %)", share * 100.0);
        remark("client_cpu", Validity::Degraded, evidence, ADVICE)
    })
}

/// CPU time of the thread that measured over the time it measured for.
pub(crate) fn cpu_share(report: &AttemptReport) -> Option<f64> {
    let seconds = report.finished.since(report.began).as_secs_f64();
    report.client_cpu.filter(|_| seconds > 0.0).map(|cpu| cpu.as_secs_f64() / seconds)
}
