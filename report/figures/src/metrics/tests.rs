//! Figures of handmade traces.

use std::time::Duration;

use regatta_types::failure::{Failure, FailureKind};
use regatta_types::gpu::{GpuSample, GpuSeries, GpuWindow};
use regatta_types::reading::Reading;
use regatta_types::suite::{Arrivals, Load, Ramp, Slo};
use regatta_types::time::MonoNs;
use regatta_types::trace::{ChunkCounts, FinishReason, Outcome, Phase, RequestTrace, TokenSource};
use regatta_types::units::Bytes;

use super::{Figures, Goodput, Steady, gpu_figures};
use crate::absent::Absent;
use regatta_types::testing::request;

/// A request that came to such an end before it had 50 tokens.
fn ended(outcome: Outcome) -> RequestTrace {
    RequestTrace { outcome, ..request(0, 5.0, 1.0, 50) }
}

fn failed() -> RequestTrace {
    ended(Outcome::Failed(Failure::new(FailureKind::Reset, "gone")))
}

fn steady(traces: &[RequestTrace], slo: &Slo) -> Result<Steady, Absent> {
    Steady::of(&traces.iter().collect::<Vec<_>>(), slo)
}

/// Two streams of four requests each; a request lasts 1 s: 0.1 s to the first of 91 tokens, then
/// 10 ms each. Sends at 0, 1, 2 and 3 s, so the steady window is 1 s to 3 s.
fn two_streams() -> Vec<RequestTrace> {
    (0..8_u64).map(|i| request(i / 2 * 1_000, 100.0, 10.0, 91)).collect()
}

fn close(a: Option<f64>, b: f64) -> bool {
    a.is_some_and(|a| (a - b).abs() <= 1e-9 * b.abs())
}

#[test]
fn speeds_are_ratios_of_sums_and_latencies_medians() {
    // 100 tokens at 10 ms and 300 at 30 ms: 99 / 0.99 s and 299 / 8.97 s.
    let traces = [request(0, 100.0, 10.0, 100), request(2_000, 300.0, 30.0, 300)];
    let figures = Figures::of(&traces);
    assert!(close(figures.decode.per_second(), 398.0 / 9.96));
    assert!(close(figures.decode_tps.median(), f64::midpoint(100.0, 1000.0 / 30.0)));
    assert!(close(figures.e2e.per_second(), 400.0 / (1.09 + 9.27)));
    assert!(close(figures.ttft_s.median(), 0.2));
    assert!(close(figures.inter_token_s.p50, 0.03), "most tokens took 30 ms");
    assert!(close(figures.chunk_gap_s.max, 0.03));
    assert_eq!(figures.tokens.prompt.known(), Some(192));
    assert_eq!(figures.tokens.completion.known(), Some(400));
    assert_eq!(figures.tokens.reasoning.known(), None, "not told is not zero");
}

#[test]
fn a_sum_that_only_some_requests_told_is_no_total() {
    let told = request(0, 100.0, 10.0, 40);
    let silent = RequestTrace { usage: None, ..told.clone() };
    let tokens = Figures::of(&[told, silent]).tokens;
    assert_eq!((tokens.prompt.known(), tokens.prompt.sum), (None, 96));
    assert_eq!((tokens.prompt.reported, tokens.prompt.of), (1, 2));
    let json = serde_json::to_value(&tokens).unwrap();
    assert_eq!(json["prompt"], serde_json::Value::Null);
    assert_eq!(json["partly_told"]["prompt"]["at_least"], 96);
}

#[test]
fn failures_are_counted_by_kind_and_enter_no_figure() {
    let ok = request(0, 100.0, 10.0, 50);
    let stopped = RequestTrace { finish_reason: Some(FinishReason::Stop), ..ok.clone() };
    let never = RequestTrace::new(3, 0, Phase::Measured);
    let figures = Figures::of(&[failed(), stopped, ended(Outcome::Cancelled), never, ok]);
    let requests = &figures.requests;
    assert_eq!((requests.ok, requests.stopped, requests.truncated), (2, 1, 1));
    assert_eq!((requests.failures(), requests.cancelled, requests.not_sent), (1, 1, 1));
    assert_eq!(requests.failed.get(&FailureKind::Reset), Some(&1));
    assert_eq!(figures.ttft_s.n(), 2);
    assert!(close(figures.ttft_s.min(), 0.1));
    assert_eq!(requests.error_rate(), Some(1.0 / 3.0), "of those that ran to an end");
    assert_eq!(Figures::default().requests.error_rate(), None);
}

#[test]
fn a_buffered_stream_has_no_streaming_figures() {
    let figures = Figures::of(&[request(0, 900.0, 0.01, 64)]);
    assert_eq!((figures.ttft_s.n(), figures.decode_tps.n()), (0, 0));
    assert_eq!(figures.e2e_s.n(), 1);
}

#[test]
fn short_answers_have_a_first_token_and_no_decode_speed() {
    let figures = Figures::of(&[request(0, 80.0, 10.0, 5)]);
    assert!(close(figures.ttft_s.median(), 0.08));
    assert_eq!(figures.decode.per_second(), None);
}

#[test]
fn counted_chunks_are_marked() {
    let mut per_chunk = request(0, 100.0, 10.0, 40);
    let chunks_only = RequestTrace { usage: None, ..per_chunk.clone() };
    per_chunk.chunk_counts = Some(ChunkCounts::TokenIds);
    per_chunk.chunks.iter_mut().for_each(|chunk| chunk.tokens = Some(2));
    let figures = Figures::of(&[chunks_only, per_chunk]);
    assert!(figures.tokens.is_approximate());
    assert_eq!(figures.tokens.sources.get(&TokenSource::TokenIds), Some(&1));
}

#[test]
fn steady_output_counts_tokens_that_arrive_between_ramp_and_last_send() {
    let rate = steady(&two_streams(), &Slo::default()).unwrap().output;
    assert!(close(Some(rate.seconds), 2.0));
    // Each request's last token falls on the second: the first two end on the window's begin,
    // the last two inside end on its last instant.
    assert!(close(Some(rate.tokens), 2.0 * (1.0 + 2.0 * 91.0)));
}

#[test]
fn no_steady_window_says_why() {
    let two = [request(0, 100.0, 10.0, 50), request(600, 100.0, 10.0, 50)];
    assert_eq!(steady(&two, &Slo::default()), Err(Absent::FewerThanThreeRequests));
    let at_once = [0, 1, 2].map(|i| request(i, 100.0, 10.0, 50));
    assert_eq!(steady(&at_once, &Slo::default()), Err(Absent::NoSteadyPart));
}

#[test]
fn gpu_figures_take_the_first_baseline_and_the_highest_peak() {
    let sample = |mib: u64, watts: Option<f64>| GpuSample {
        at: MonoNs(1_000_000_000),
        memory_used: Some(Bytes(mib << 20)),
        power_w: watts,
        utilization_pct: Some(50),
        ..GpuSample::default()
    };
    let window = |baseline: u64, peak: u64| {
        let series = GpuSeries {
            uuid: "GPU-1".to_owned(),
            serves: true,
            baseline: Some(sample(baseline, None)),
            samples: vec![sample(peak - 1, Some(100.0)), sample(peak, Some(300.0))],
            unavailable: [("temperature".to_owned(), "not supported".to_owned())].into(),
            ..GpuSeries::default()
        };
        GpuWindow::of(Reading::Known(vec![series]), 100)
    };
    let (first, second) = (window(10, 40), window(20, 30));
    let figures = gpu_figures(&[&first, &second]).unwrap();
    let gpu = &figures[0];
    assert_eq!(gpu.memory_baseline, Some(Bytes(10 << 20)));
    assert_eq!(gpu.memory_peak, Some(Bytes(40 << 20)));
    assert_eq!((gpu.power_mean_w, gpu.power_max_w), (Some(200.0), Some(300.0)));
    assert_eq!((gpu.temperature_max_c, gpu.utilization_mean_pct), (None, Some(50.0)));
    assert_eq!(gpu.unavailable["temperature"], "not supported");
    let none = GpuWindow::missing("no driver");
    assert_eq!(gpu_figures(&[&none]), Err(Absent::Told("no driver".to_owned())));
}

#[test]
fn a_chunk_of_several_tokens_shares_its_gap() {
    let mut coarse = request(0, 100.0, 40.0, 20);
    coarse.usage.as_mut().unwrap().completion = 80;
    let figures = Figures::of(&[coarse]);
    assert!(close(figures.inter_token_s.p50, 0.01));
    // The gap itself is what the reader of the text sees.
    assert!(close(figures.chunk_gap_s.max, 0.04));
    assert!(close(figures.decode.per_second(), 76.0 / Duration::from_millis(760).as_secs_f64()));
}

#[test]
fn open_loops_have_times_from_the_scheduled_instant() {
    let mut late = request(1_000, 100.0, 10.0, 40);
    late.scheduled = Some(MonoNs(990_000_000));
    let failed = RequestTrace { outcome: failed().outcome, ..late.clone() };
    let figures = Figures::of(&[late, failed]);
    assert!(close(figures.ttft_s.median(), 0.1));
    assert!(close(figures.ttft_sched_s.median(), 0.11));
    assert!(close(figures.e2e_sched_s.median(), 0.5));
    assert!(close(figures.send_lateness_s.median(), 0.01));
    assert_eq!(figures.send_lateness_s.n(), 2, "a send is late whatever became of it");
    let open = Load::Open { rate: 1.0, arrivals: Arrivals::Poisson, max_in_flight: 9 };
    assert!(close(figures.first_token(&open).median(), 0.11));
    let closed = Load::Closed { streams: 1, ramp: Ramp::None };
    assert!(close(figures.first_token(&closed).median(), 0.1));
}

#[test]
fn the_end_of_a_response_is_told_where_it_comes_late() {
    let mut late = request(0, 100.0, 10.0, 40);
    late.done = late.t_last().map(|at| at.after(Duration::from_millis(80)));
    let figures = Figures::of(&[late, request(0, 100.0, 10.0, 40)]);
    assert_eq!(figures.e2e_done_s.n(), 1);
    assert!(close(figures.e2e_done_s.median(), 0.57));
}

#[test]
fn rates_of_requests_are_of_those_that_end_in_the_steady_window() {
    let mut traces = two_streams();
    traces[2] = request(1_000, 500.0, 5.0, 91);
    let slo = Slo { ttft: Some(Duration::from_millis(300)), ..Slo::default() };
    let steady = steady(&traces, &slo).unwrap();
    assert_eq!((steady.ended, steady.good), (6, Some(5)));
    assert!(close(steady.request_rate(), 6.0 / steady.output.seconds));
    assert!(close(steady.goodput(), 5.0 / steady.output.seconds));
    assert_eq!(Goodput::of(&slo, &traces).and_then(Goodput::share), Some(7.0 / 8.0));
    let sum = steady.and(steady);
    assert_eq!((sum.ended, sum.good), (12, Some(10)));
    assert!(close(sum.request_rate(), 6.0 / steady.output.seconds));
}
