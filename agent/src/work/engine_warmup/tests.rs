use regatta_types::failure::{Failure, FailureKind};
use regatta_types::trace::{Chunk, ChunkKind, SendStamp};

use super::*;

/// A request of 65 one-token chunks at a speed.
fn at_speed(tokens_per_second: u64) -> RequestTrace {
    let mut trace = RequestTrace::new(0, 0, Phase::Warmup);
    trace.sent = Some(SendStamp { before: MonoNs(0), after: MonoNs(0) });
    let gap = 1_000_000_000 / tokens_per_second;
    trace.chunks = (1..=65)
        .map(|n| Chunk {
            at: MonoNs(n * gap),
            late_us: None,
            kind: ChunkKind::Answer,
            chars: 4,
            tokens: None,
        })
        .collect();
    trace.outcome = Outcome::Ok;
    trace
}

fn failure() -> RequestTrace {
    let mut trace = RequestTrace::new(0, 0, Phase::Warmup);
    trace.outcome = Outcome::Failed(Failure::new(FailureKind::Reset, "gone"));
    trace
}

fn steady(traces: &[RequestTrace], seconds: u64) -> Next {
    next(&EngineWarmup::UntilSteady, traces, Duration::from_secs(seconds))
}

#[test]
fn three_equal_speeds_are_steady_and_two_are_not() {
    let mut traces = vec![at_speed(50), at_speed(100)];
    assert_eq!(steady(&traces, 1), Next::Request);
    traces.push(at_speed(102));
    assert_eq!(steady(&traces, 1), Next::Request);
    traces.push(at_speed(101));
    assert_eq!(steady(&traces, 1), Next::Enough);
}

#[test]
fn an_engine_that_is_unsteady_for_a_minute_is_a_finding() {
    let traces = [at_speed(50), at_speed(100), at_speed(50)];
    assert_eq!(
        steady(&traces, 60),
        Next::NotSteady(
            "60 s after the first request, the last 3 speeds still differed by 100.0 %".to_owned()
        )
    );
    let traces = [at_speed(50), failure(), at_speed(50)];
    let none = "60 s after the first request, fewer than 3 of 3 requests had a measurable speed"
        .to_owned();
    assert_eq!(steady(&traces, 60), Next::NotSteady(none));
}

#[test]
fn three_requests_are_made_however_long_they_take() {
    let traces = [at_speed(50), at_speed(100), at_speed(101)];
    assert_eq!(steady(&traces[..2], 600), Next::Request);
    assert!(matches!(steady(&traces, 600), Next::NotSteady(_)));
}

#[test]
fn answers_too_short_for_a_decode_speed_are_judged_by_their_end_to_end_speed() {
    let short = || {
        let mut trace = at_speed(100);
        trace.chunks.truncate(8);
        trace
    };
    assert_eq!(steady(&[short(), short(), short()], 1), Next::Enough);
}

#[test]
fn failures_end_the_warmup_only_in_a_row() {
    let traces = [failure(), failure(), at_speed(10), failure(), failure()];
    assert_eq!(steady(&traces, 1), Next::Request);
    assert!(matches!(steady(&[failure(), failure(), failure()], 1), Next::Failed(_)));
    assert!(matches!(
        next(&EngineWarmup::Requests(9), &[failure(), failure(), failure()], Duration::ZERO),
        Next::Failed(_)
    ));
}
