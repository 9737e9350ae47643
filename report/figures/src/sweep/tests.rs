//! Sweeps of made-up endpoints.

use std::time::Duration;

use regatta_types::time::MonoNs;
use regatta_types::trace::{Outcome, Phase, RequestTrace, SendStamp};
use regatta_types::validity::FindingCode;

use super::{LevelVerdict, Saturation, SweepLevel, Unjudged};
use regatta_types::failure::{Failure, FailureKind};
use regatta_types::suite::{Arrivals, Load};
use regatta_types::testing::{Timing, trace};

const SECOND: u64 = 1_000_000_000;

fn level(traces: &[RequestTrace]) -> SweepLevel {
    SweepLevel::of(traces, []).unwrap()
}

fn verdict(before: &[RequestTrace], traces: &[RequestTrace]) -> LevelVerdict {
    level(traces).after(Some(&level(before)))
}

fn saturated(before: &[RequestTrace], traces: &[RequestTrace]) -> Option<Saturation> {
    found(verdict(before, traces))
}

fn found(verdict: LevelVerdict) -> Option<Saturation> {
    if let LevelVerdict::Saturated(saturation) = verdict { Some(saturation) } else { None }
}

/// As a level of an open loop, with findings that make it invalid.
fn at_rate(traces: &[RequestTrace], invalid: &[FindingCode]) -> Option<LevelVerdict> {
    let load = Load::Open { rate: 1.0, arrivals: Arrivals::Constant, max_in_flight: 1 };
    Some(SweepLevel::of(traces, invalid)?.verdict(&load, None))
}

fn overloaded(traces: &[RequestTrace]) -> Option<Saturation> {
    found(at_rate(traces, &[]).unwrap())
}

const SHORT: LevelVerdict = LevelVerdict::Unjudged(Unjudged::Short);

/// A closed loop of `rounds` requests a stream, each of 50 tokens after 100 ms.
fn closed(streams: u32, rounds: u32, token_ms: f64) -> Vec<RequestTrace> {
    let mut out = Vec::new();
    for stream in 0..streams {
        // Streams are apart by a little, as answers of different lengths would make them.
        let mut at = MonoNs(SECOND).after(Duration::from_millis(u64::from(stream) * 7));
        for _ in 0..rounds {
            let one =
                trace(0, Phase::Measured, at, Timing { ttft_ms: 100.0, token_ms, tokens: 50 });
            at = one.done.unwrap();
            out.push(RequestTrace { stream, ..one });
        }
    }
    out
}

#[test]
fn a_level_that_adds_less_than_a_twentieth_is_the_last_and_says_by_how_much() {
    let (four, eight) = (closed(4, 12, 20.0), closed(8, 12, 20.0));
    assert_eq!(saturated(&four, &eight), None, "twice the output");
    let slow = closed(8, 12, 40.0);
    let said = "194.2 tok/s at 8 streams, 4.8 % above the 185.3 tok/s at 4 (in the steady windows)";
    assert_eq!(saturated(&four, &slow).unwrap().to_string(), said);
}

#[test]
fn too_few_requests_for_a_steady_window_are_compared_while_all_streams_were_busy() {
    let (four, slow) = (closed(4, 12, 20.0), closed(8, 2, 45.0));
    let said = saturated(&four, &slow).unwrap().to_string();
    assert!(said.ends_with("(while all streams were busy)"), "{said}");
    let no_output = LevelVerdict::Unjudged(Unjudged::NoOutput);
    let mut silent = closed(4, 12, 20.0);
    silent.iter_mut().for_each(|trace| trace.chunks.clear());
    assert_eq!(verdict(&silent, &closed(8, 1, 20.0)), no_output);
}

#[test]
fn a_level_whose_streams_had_nothing_to_do_says_nothing() {
    let four = closed(4, 3, 20.0);
    let nothing = LevelVerdict::Unjudged(Unjudged::NothingBelow);
    assert_eq!(verdict(&four, &four), nothing);
    assert_eq!(verdict(&four, &[]), nothing);
    assert_eq!(level(&four).after(None), nothing);
    let drifting = SweepLevel::of(&four, &[FindingCode::Drifting]);
    assert_eq!(drifting, None, "the output of a closed loop is what drifted");
}

/// An open loop of `rate` requests a second for `seconds` at an endpoint that answers `capacity` a
/// second, one after another, each within 2 s.
fn open(rate: f64, capacity: f64, seconds: f64) -> Vec<RequestTrace> {
    let mut out = Vec::new();
    let (mut at, mut free, mut seq) = (0.0_f64, 0.0_f64, 0_u32);
    while at < seconds {
        let begin = free.max(at);
        // A wobble of the endpoint, so that there is some scatter.
        free = begin + (1.0 + 0.3 * f64::from(seq).sin()) / capacity;
        let due = MonoNs(SECOND).after(Duration::from_secs_f64(at));
        let ttft_ms = (free - at) * 1e3 + 50.0;
        let one = trace(seq, Phase::Measured, due, Timing { ttft_ms, token_ms: 20.0, tokens: 100 });
        out.push(RequestTrace { scheduled: Some(due), ..one });
        at += 1.0 / rate;
        seq += 1;
    }
    out
}

#[test]
fn requests_that_come_faster_than_they_are_answered_overload() {
    let judged = |traces: &[RequestTrace]| at_rate(traces, &[]).unwrap();
    assert_eq!(judged(&open(8.0, 10.0, 60.0)), LevelVerdict::NotSaturated, "answered as they come");
    let said = overloaded(&open(11.0, 10.0, 60.0)).unwrap().to_string();
    assert!(said.starts_with("over the last 57 s, requests in flight rose from"), "{said}");
    assert!(overloaded(&open(30.0, 10.0, 60.0)).is_some(), "three times as many as it can");
    assert_eq!(judged(&open(11.0, 10.0, 25.0)), SHORT, "too short to say");
    assert_eq!(judged(&open(8.0, 10.0, 25.0)), SHORT, "too short to say that it is not");
}

/// Forty requests a second at an engine that answers fifteen were once "not saturated at any level",
/// since the level took less than 30 s.
#[test]
fn far_fewer_requests_completed_than_offered_are_a_backlog_even_in_a_short_level() {
    let short = open(40.0, 15.0, 10.0);
    let Some(Saturation::Backlog { seconds, per_second, in_flight }) = overloaded(&short) else {
        panic!("{:?}", at_rate(&short, &[]));
    };
    assert_eq!((seconds * 100.0).round(), 353.0);
    assert_eq!(per_second.map(f64::round), [40.0, 15.0]);
    assert_eq!(in_flight, [193, 281]);
    assert_eq!(at_rate(&open(40.0, 15.0, 1.0), &[]), Some(SHORT), "one second shows nothing");
    assert_eq!(overloaded(&open(40.0, 60.0, 10.0)), None, "answered as they come");
}

#[test]
fn an_overloaded_level_is_judged_though_requests_were_dropped_or_became_slower() {
    let mut dropping = open(40.0, 15.0, 10.0);
    for trace in dropping.iter_mut().skip(300) {
        *trace = RequestTrace {
            scheduled: trace.scheduled,
            ..RequestTrace::new(trace.seq, 0, trace.phase)
        };
    }
    let limited = [FindingCode::ClientLimited, FindingCode::Drifting];
    let saturated = |traces: &[RequestTrace], invalid: &[FindingCode]| {
        at_rate(traces, invalid).map(|verdict| found(verdict).is_some())
    };
    assert_eq!(saturated(&dropping, &limited), Some(true));
    assert_eq!(saturated(&dropping, &[FindingCode::EngineChanged]), None);
    assert_eq!(saturated(&open(40.0, 15.0, 10.0), &limited), None, "late, and nothing dropped");
    let served = open(8.0, 10.0, 60.0);
    let invalid = Some(LevelVerdict::Unjudged(Unjudged::Invalid));
    assert_eq!(at_rate(&served, &[FindingCode::Drifting]), invalid);
}

#[test]
fn requests_turned_away_for_load_are_not_completed_and_an_engine_that_answers_nothing_is_broken() {
    let fail = |share: usize, kind: FailureKind, status: Option<u16>| {
        let mut traces = open(20.0, 60.0, 40.0);
        for trace in traces.iter_mut().step_by(share) {
            let failure = Failure { http_status: status, ..Failure::new(kind, "x") };
            trace.outcome = Outcome::Failed(failure);
        }
        overloaded(&traces).is_some()
    };
    assert!(fail(2, FailureKind::HttpStatus, Some(503)));
    assert!(fail(2, FailureKind::RequestTimeout, None));
    assert!(!fail(2, FailureKind::HttpStatus, Some(400)), "an error of another kind");
    assert!(!fail(1, FailureKind::RequestTimeout, None));
}

#[test]
fn only_the_last_two_minutes_of_an_open_loop_count() {
    let mut recovered = open(12.0, 10.0, 30.0);
    let later = |at: MonoNs| at.after(Duration::from_secs(40));
    for mut one in open(8.0, 10.0, 130.0) {
        one.scheduled = one.scheduled.map(later);
        one.sent = one.sent.map(|s| SendStamp { before: later(s.before), after: later(s.after) });
        one.chunks.iter_mut().for_each(|chunk| chunk.at = later(chunk.at));
        one.done = one.done.map(later);
        recovered.push(one);
    }
    assert_eq!(at_rate(&recovered, &[]), Some(LevelVerdict::NotSaturated));
}

#[test]
fn a_closed_loop_has_no_overload_and_an_open_one_no_saturation_of_streams() {
    assert_eq!(at_rate(&closed(8, 100, 20.0), &[]), Some(SHORT));
    let level = open(8.0, 10.0, 60.0);
    assert_eq!(saturated(&level, &level), None);
}
