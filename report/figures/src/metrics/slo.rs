//! Which requests were good enough.

use std::time::Duration;

use regatta_types::suite::Slo;
use regatta_types::trace::{Outcome, RequestTrace};
use serde::ser::{Serialize, SerializeStruct as _, Serializer};

use super::is_streamed;

/// Requests that kept every limit of a case, of those it offered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Goodput {
    pub good: u32,
    /// Ended, failed or were not sent; excludes only requests that we stopped.
    pub offered: u32,
}

impl Goodput {
    /// `None` where the case has no limit.
    pub fn of<'a>(slo: &Slo, traces: impl IntoIterator<Item = &'a RequestTrace>) -> Option<Self> {
        let mut out = Self::default();
        for good in traces.into_iter().filter_map(|trace| is_good(slo, trace)) {
            out.good += u32::from(good);
            out.offered += 1;
        }
        slo.is_set().then_some(out)
    }

    pub fn and(self, other: Self) -> Self {
        Self { good: self.good + other.good, offered: self.offered + other.offered }
    }

    /// Share of the offered requests; `None` without any.
    pub fn share(self) -> Option<f64> {
        (self.offered > 0).then(|| f64::from(self.good) / f64::from(self.offered))
    }
}

impl Serialize for Goodput {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Goodput", 3)?;
        out.serialize_field("good", &self.good)?;
        out.serialize_field("offered", &self.offered)?;
        out.serialize_field("share", &self.share())?;
        out.end()
    }
}

/// Whether a request kept every limit; `None` for one that we stopped.
///
/// A limit on a figure that the request cannot have, such as the time per token of a short answer or
/// the time to first token of a buffered stream, is no limit to it. Times count from the scheduled instant where there is one.
pub(super) fn is_good(slo: &Slo, trace: &RequestTrace) -> Option<bool> {
    match trace.outcome {
        Outcome::Failed(_) | Outcome::NotSent => return Some(false),
        Outcome::Cancelled => return None,
        Outcome::Ok => {}
    }
    let ttft = trace.ttft_sched().or_else(|| trace.ttft());
    let of_stream = |value: Option<f64>| value.filter(|_| is_streamed(trace));
    let kept = [
        (slo.ttft, of_stream(ttft)),
        (slo.tpot, of_stream(trace.tpot())),
        (slo.e2e, trace.e2e_sched().or_else(|| trace.e2e())),
    ];
    let is_kept = |(limit, value): (Duration, f64)| value <= limit.as_secs_f64();
    Some(kept.into_iter().all(|(limit, value)| limit.zip(value).is_none_or(is_kept)))
}

#[cfg(test)]
mod tests {
    use regatta_types::failure::{Failure, FailureKind};
    use regatta_types::time::MonoNs;
    use regatta_types::trace::Phase;

    use super::*;
    use regatta_types::testing::request;

    fn limits(ttft_ms: u64, tpot_ms: u64) -> Slo {
        let ms = |ms| Some(Duration::from_millis(ms));
        Slo { ttft: ms(ttft_ms), tpot: ms(tpot_ms), e2e: None }
    }

    #[test]
    fn a_good_request_keeps_every_limit_that_it_can_have() {
        let slo = limits(500, 30);
        let good = |trace: &RequestTrace| is_good(&slo, trace);
        assert_eq!(good(&request(5_000, 400.0, 20.0, 50)), Some(true));
        assert_eq!(good(&request(5_000, 600.0, 20.0, 50)), Some(false), "too late");
        assert_eq!(good(&request(5_000, 400.0, 40.0, 50)), Some(false), "too slow");
        assert_eq!(good(&request(5_000, 400.0, 40.0, 1)), Some(true), "no time per token to keep");
        let whole = Slo { e2e: Some(Duration::from_millis(900)), ..Slo::default() };
        assert_eq!(is_good(&whole, &request(5_000, 400.0, 20.0, 50)), Some(false));
    }

    #[test]
    fn a_stream_that_was_buffered_has_no_time_to_first_token_to_keep() {
        // All of it came at once after 0.6 s: when its first token was there nobody knows.
        let buffered = request(5_000, 600.0, 0.0, 50);
        assert!(buffered.is_buffered());
        assert_eq!(is_good(&limits(500, 30), &buffered), Some(true));
        let whole = Slo { e2e: Some(Duration::from_millis(500)), ..limits(500, 30) };
        assert_eq!(is_good(&whole, &buffered), Some(false), "its end is known");
    }

    #[test]
    fn times_count_from_the_scheduled_instant() {
        let mut late = request(5_000, 400.0, 20.0, 50);
        late.scheduled = Some(MonoNs(4_800_000_000));
        assert_eq!(is_good(&limits(500, 30), &late), Some(false));
        assert_eq!(is_good(&limits(600, 30), &late), Some(true));
    }

    #[test]
    fn failed_and_unsent_requests_miss_the_slo_and_stopped_ones_are_excluded() {
        let mut failed = request(5_000, 400.0, 20.0, 50);
        failed.outcome = Outcome::Failed(Failure::new(FailureKind::Reset, "gone"));
        let mut stopped = request(5_000, 400.0, 20.0, 50);
        stopped.outcome = Outcome::Cancelled;
        let unsent = RequestTrace::new(9, 0, Phase::Measured);
        let traces = [failed, stopped, unsent, request(5_000, 400.0, 20.0, 50)];
        let goodput = Goodput::of(&limits(500, 30), &traces).unwrap();
        assert_eq!(goodput, Goodput { good: 1, offered: 3 });
        assert_eq!(Goodput::of(&Slo::default(), &traces), None, "nothing to keep");
    }
}
