//! Attempts that drift, and attempts that only look so.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use regatta_types::time::MonoNs;
use regatta_types::trace::{Phase, RequestTrace};

use super::{Absent, Change, Drift, Effect};
use crate::metrics::Estimate as _;
use regatta_types::testing::{Timing, trace};

/// A closed loop: this many requests on each stream, with the time per token of each.
fn requests(streams: u32, each: u32, mut token_ms: impl FnMut(u32) -> f64) -> Vec<RequestTrace> {
    let mut free = vec![MonoNs(1_000_000_000); streams as usize];
    let mut out = Vec::new();
    for round in 0..each {
        for (stream, at) in (0..).zip(&mut free) {
            let pace = Timing { ttft_ms: 50.0, token_ms: token_ms(round), tokens: 40 };
            let mut one = trace(round, Phase::Measured, *at, pace);
            one.stream = stream;
            *at = one.done.unwrap();
            out.push(one);
        }
    }
    out
}

fn drift(traces: &[RequestTrace]) -> Option<Drift> {
    Drift::of(&traces.iter().collect::<Vec<_>>()).ok()
}

fn wobble(rng: &mut ChaCha8Rng) -> f64 {
    1.0 + 0.01
        * (rng.random::<f64>() + rng.random::<f64>() - rng.random::<f64>() - rng.random::<f64>())
}

#[test]
fn a_slow_down_is_found_with_its_size() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let slowing = requests(1, 100, |i| 10.0 * (1.0 + 0.0006 * f64::from(i)) * wobble(&mut rng));
    let found = drift(&slowing).unwrap();
    assert!(found.is_drifting());
    assert!((found.change + 0.044).abs() < 0.006, "{found:?}");
    assert_eq!((found.requests, found.blocks), (100, 100));
    let (low, high) = found.slope_ci99;
    assert!(low < found.slope_per_minute && found.slope_per_minute < high && high < 0.0);
}

#[test]
fn steady_attempts_are_called_drifting_in_less_than_one_of_a_hundred() {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let noisy = |rng: &mut ChaCha8Rng| 1.0 + 4.0 * (wobble(rng) - 1.0);
    let attempts = (0..1_000).map(|_| requests(1, 24, |_| 10.0 * noisy(&mut rng)));
    let wrong = attempts.filter(|traces| drift(traces).unwrap().is_drifting()).count();
    assert!(wrong < 10, "{wrong} of 1000");
}

#[test]
fn the_drain_of_a_closed_loop_is_no_drift() {
    // The last round of each stream runs twice as fast, because fewer are in flight.
    let mut uneven = requests(4, 16, |round| if round == 15 { 5.0 } else { 10.0 });
    let ends = uneven.iter().position(|t| t.stream == 0 && t.seq == 14).unwrap();
    uneven.remove(ends + 4);
    assert!(!drift(&uneven).unwrap().is_drifting());
}

#[test]
fn later_turns_are_slower_by_their_prompts_and_not_by_drift() {
    let mut talk = requests(1, 36, |i| 10.0 + f64::from(i / 12));
    assert!(drift(&talk).unwrap().is_drifting());
    talk.iter_mut().for_each(|trace| trace.turn = Some(trace.seq / 12));
    assert!(!drift(&talk).unwrap().is_drifting());
}

#[test]
fn too_few_requests_say_how_many_are_needed() {
    let few = requests(4, 3, |_| 10.0);
    let found = Drift::of(&few.iter().collect::<Vec<_>>());
    assert_eq!(found, Err(Absent::TooFewRequests { got: 12, needed: 48 }));
    assert!(drift(&requests(1, 12, |_| 10.0)).is_some());
}

#[test]
fn the_interval_of_a_change_is_welchs() {
    // r = scipy.stats.ttest_ind(b, a, equal_var=False).confidence_interval(0.99)
    let (a, b) = ([3.72, 3.69, 3.75, 3.70], [3.61, 3.66, 3.58, 3.63, 3.64]);
    let [before, after] = [&a[..], &b].map(|values| Effect::of(values).unwrap());
    let change = Change { before, after };
    assert!((change.mean() + 0.091).abs() < 1e-9, "{change:?}");
    let (low, high) = change.t_interval(0.99);
    let is_welchs = (low - -0.157783258).abs() < 1e-7 && (high - -0.024216742).abs() < 1e-7;
    assert!(is_welchs, "{low} {high}");
}
