//! Sweeps of made-up endpoints.

use std::time::Duration;

use regatta_types::time::MonoNs;
use regatta_types::trace::{Phase, RequestTrace, SendStamp};

use super::{Saturation, SweepLevel, overloaded};
use regatta_types::testing::{Timing, trace};

const SECOND: u64 = 1_000_000_000;

fn saturated(before: &[RequestTrace], level: &[RequestTrace]) -> Option<Saturation> {
    SweepLevel::of(level).saturated_after(&SweepLevel::of(before))
}

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
    assert_eq!(saturated(&closed(4, 1, 20.0), &closed(8, 1, 20.0)), None);
}

#[test]
fn a_level_whose_streams_had_nothing_to_do_says_nothing() {
    let four = closed(4, 3, 20.0);
    assert_eq!(saturated(&four, &four), None);
    assert_eq!(saturated(&four, &[]), None);
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
    assert_eq!(overloaded(&open(8.0, 10.0, 60.0)), None, "answered as they come");
    let said = overloaded(&open(11.0, 10.0, 60.0)).unwrap().to_string();
    assert!(said.starts_with("over the last 57 s, requests in flight rose from"), "{said}");
    assert!(overloaded(&open(30.0, 10.0, 60.0)).is_some(), "three times as many as it can");
    assert_eq!(overloaded(&open(11.0, 10.0, 25.0)), None, "too short to say");
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
    assert_eq!(overloaded(&recovered), None);
}

#[test]
fn a_closed_loop_has_no_overload_and_an_open_one_no_saturation_of_streams() {
    assert_eq!(overloaded(&closed(8, 100, 20.0)), None);
    let level = open(8.0, 10.0, 60.0);
    assert_eq!(saturated(&level, &level), None);
}
