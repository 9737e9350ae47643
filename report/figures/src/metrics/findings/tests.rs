//! Attempts and their findings.

use std::time::Duration;

use itertools::Itertools as _;
use regatta_types::attempt::AttemptReport;
use regatta_types::engine::{EngineSample, EngineWatch, EngineWindow};
use regatta_types::event::Disposition;
use regatta_types::failure::{Failure, FailureKind};
use regatta_types::gpu::{GpuProcess, GpuSeries, ProcessMemory, ProcessOwner, TelemetryEnd};
use regatta_types::reading::Reading;
use regatta_types::suite::{Case, Length, Load, Prompt, Ramp, TextPrompt};
use regatta_types::time::MonoNs;
use regatta_types::trace::{ChunkCounts, FinishReason, Outcome, RequestTrace};
use regatta_types::units::Bytes;

use super::{AttemptFinding, AttemptInput, FindingEvidence, Share, derived_findings};
use crate::metrics::{Drift, Figures};
use regatta_types::testing::{RunBuilder, request};

/// A case that asks for answers of 40 tokens, on one stream.
fn case() -> Case {
    RunBuilder::new(&["Case"], 1).tokens(40).build().record.header.suite.cases.remove(0)
}

/// A case of two streams that begin so.
fn load(ramp: Ramp) -> Case {
    Case { load: Load::Closed { streams: 2, ramp }, ..case() }
}

/// A request as it should be.
fn good() -> RequestTrace {
    request(0, 100.0, 10.0, 40)
}

fn report(traces: Vec<RequestTrace>) -> AttemptReport {
    let record = RunBuilder::new(&["Case"], 1).fleet(1).build();
    let counted = record.attempts.into_iter().find(|a| a.disposition == Disposition::Counted);
    let mut report = counted.unwrap().report;
    report.began = traces.iter().filter_map(RequestTrace::t_send).min().unwrap_or_default();
    report.finished = traces.iter().filter_map(|t| t.done).max().unwrap_or(report.began);
    report.traces = traces;
    report.engine = EngineWatch::default();
    report
}

fn findings(case: &Case, report: &AttemptReport) -> Vec<AttemptFinding> {
    let traces: Vec<&RequestTrace> = report.traces.iter().collect();
    let figures = Figures::of(&report.traces);
    let drift = Drift::of(&traces);
    let judged = AttemptInput { case, report, traces: &traces, figures: &figures, drift: &drift };
    derived_findings(judged)
}

/// Codes with what they do: `degraded cache_hits`.
fn told(found: &[AttemptFinding]) -> String {
    found.iter().map(|f| format!("{} {}", f.validity, f.code)).join(", ")
}

fn codes(case: &Case, traces: Vec<RequestTrace>) -> String {
    told(&findings(case, &report(traces)))
}

fn failed(kind: FailureKind) -> RequestTrace {
    let outcome = Outcome::Failed(Failure::new(kind, "gone"));
    RequestTrace { outcome, ..request(0, 5.0, 1.0, 1) }
}

#[test]
fn a_normal_attempt_has_no_findings() {
    assert_eq!(codes(&case(), vec![good(); 3]), "");
}

#[test]
fn an_attempt_without_a_success_is_invalid() {
    assert_eq!(codes(&case(), vec![failed(FailureKind::Reset)]), "invalid no_ok_request");
}

#[test]
fn an_attempt_most_of_whose_streams_were_buffered_is_invalid() {
    let (held, streamed) = (request(0, 900.0, 0.01, 40), good());
    let most = codes(&case(), vec![held.clone(), held.clone(), streamed.clone()]);
    assert_eq!(most, "invalid buffered_stream");
    let half = codes(&case(), vec![held, streamed]);
    assert_eq!(half, "degraded buffered_stream");
}

#[test]
fn failures_over_one_per_cent_are_told_with_their_kinds() {
    let ok = vec![good(); 99];
    let with = |n: usize| [ok.clone(), vec![failed(FailureKind::Reset); n]].concat();
    assert_eq!(codes(&case(), with(1)), "");
    assert_eq!(codes(&case(), with(2)), "degraded error_rate");
    let found = findings(&case(), &report(with(2)));
    let failed = [(FailureKind::Reset, 2)].into();
    assert_eq!(found[0].evidence, FindingEvidence::ErrorRate { failed, ok: 99 });
}

#[test]
fn empty_answers_are_a_separate_finding() {
    let traces = [vec![good(); 120], vec![failed(FailureKind::EmptyAnswer)]];
    assert_eq!(codes(&case(), traces.concat()), "degraded empty_answers");
}

#[test]
fn answers_of_natural_length_should_not_be_cut_and_those_of_fixed_length_not_end() {
    let (full, mut short) = (good(), request(0, 100.0, 10.0, 30));
    short.finish_reason = Some(FinishReason::Stop);
    let natural = Case { length: Length::Natural, ..case() };
    let traces = vec![full, short];
    assert_eq!(codes(&natural, traces.clone()), "degraded truncated");
    assert_eq!(codes(&case(), traces.clone()), "degraded length_not_fixed");
    let mut varied = traces;
    varied[1].max_tokens = Some(30);
    assert_eq!(codes(&case(), varied), "", "as long as this request asked for");
}

#[test]
fn counts_that_disagree_and_counts_of_chunks_are_found() {
    let chunks_only = RequestTrace { usage: None, ..good() };
    assert_eq!(codes(&case(), vec![chunks_only]), "degraded approximate_tokens");
    let mut doubled = good();
    doubled.chunk_counts = Some(ChunkCounts::TokenIds);
    doubled.chunks.iter_mut().for_each(|chunk| chunk.tokens = Some(2));
    assert_eq!(codes(&case(), vec![doubled]), "degraded token_mismatch");
    let mut split = request(0, 100.0, 10.0, 60);
    split.usage.as_mut().unwrap().completion = 40;
    assert_eq!(codes(&case(), vec![split]), "degraded more_chunks_than_tokens");
}

#[test]
fn cached_tokens_without_shared_prompts_are_a_finding() {
    let mut cached = good();
    cached.usage.as_mut().unwrap().cached = Some(32);
    assert_eq!(codes(&case(), vec![cached.clone()]), "", "the chat template is always the same");
    cached.usage.as_mut().unwrap().cached = Some(48);
    let hits = "degraded cache_hits";
    assert_eq!(codes(&case(), vec![cached.clone()]), hits);
    let text = |shared| Case { prompt: Prompt::Text(TextPrompt { tokens: 96, shared }), ..case() };
    assert_eq!(codes(&text(0), vec![cached.clone()]), hits);
    assert_eq!(codes(&text(32), vec![cached.clone()]), "", "shared on purpose");
    let turns = vec!["One?".to_owned(), "Two?".to_owned()];
    let talk = Case { prompt: Prompt::Conversation { opening: Vec::new(), turns }, ..case() };
    cached.turn = Some(1);
    assert_eq!(codes(&talk, vec![cached.clone()]), "", "a later turn begins like the one before");
    cached.turn = Some(0);
    assert_eq!(codes(&talk, vec![cached]), hits);
}

#[test]
fn a_load_level_needs_twenty_requests_or_thirty_seconds() {
    let load = load(Ramp::None);
    let requests = |n, apart: u64| -> Vec<RequestTrace> {
        let begins = (0..n).map(|i| (u32::from(i % 2 == 1), i / 2 * apart));
        begins.map(|(stream, at)| RequestTrace { stream, ..request(at, 100.0, 10.0, 40) }).collect()
    };
    assert_eq!(codes(&load, requests(8, 500)), "degraded too_few_samples");
    assert_eq!(codes(&load, requests(20, 500)), "");
    assert_eq!(codes(&load, requests(8, 10_000)), "", "long enough");
    assert_eq!(codes(&case(), requests(1, 500)), "", "one stream is no load level");
}

/// Chunks of a token each, `joined` of them in one read after the first `at_first`.
fn coalesced(at_first: usize, joined: usize) -> RequestTrace {
    let mut trace = good();
    let at: Vec<MonoNs> = trace.chunks.iter().map(|chunk| chunk.at).collect();
    let last = |i: usize| if i < at_first { at_first } else { (i / joined + 1) * joined } - 1;
    let chunks = trace.chunks.iter_mut().enumerate();
    chunks.for_each(|(i, chunk)| chunk.at = at[last(i).min(39)]);
    trace
}

#[test]
fn streams_whose_chunks_are_joined_on_their_way_are_a_finding() {
    let found = "degraded coalesced_stream";
    assert_eq!(codes(&case(), vec![coalesced(4, 4); 3]), found);
    assert_eq!(codes(&case(), vec![coalesced(3, 1); 3]), found, "only the first tokens");
    assert_eq!(codes(&case(), vec![coalesced(1, 1); 3]), "");
    assert_eq!(codes(&case(), vec![coalesced(4, 4), good(), good()]), "", "one of three");
    let speed = coalesced(4, 4).decode_tps().unwrap();
    assert!((speed - 100.0).abs() < 1e-6, "{speed}");
}

/// Four streams were requested of an engine that serves one at a time.
#[test]
fn streams_that_wait_for_each_other_are_a_finding() {
    let load = Case { load: Load::Closed { streams: 4, ramp: Ramp::None }, ..case() };
    let traces = |slots: u32| {
        let wait = |i: u32| f64::from(i / slots * 500 - i / 4 * 500);
        let request = |i: u32| RequestTrace {
            stream: i % 4,
            ..request(u64::from(i / 4 * 500), 110.0 + wait(i), 10.0, 40)
        };
        (0..24).map(request).collect::<Vec<_>>()
    };
    assert_eq!(codes(&load, traces(4)), "");
    let found = findings(&load, &report(traces(1)));
    assert_eq!(told(&found), "degraded low_overlap");
    assert_eq!(found[0].evidence, FindingEvidence::LowOverlap { most: 1, streams: 4, slots: None });
    assert_eq!(codes(&load, traces(2)), "degraded low_overlap");
}

#[test]
fn speeds_that_alternate_between_two_values_are_two_engines() {
    let traces = |ms: fn(u32) -> f64| {
        (0..16).map(|i| request(u64::from(i) * 1_000, 100.0, ms(i), 40)).collect::<Vec<_>>()
    };
    let found = findings(&case(), &report(traces(|i| if i % 2 == 0 { 10.0 } else { 12.5 })));
    assert_eq!(told(&found), "degraded mixed_engines");
    let FindingEvidence::MixedEngines { slow, fast } = found[0].evidence else { panic!() };
    assert_eq!([slow.0, fast.0], [8, 8]);
    assert!((slow.1 - 80.0).abs() < 1e-6 && (fast.1 - 100.0).abs() < 1e-6, "{slow:?} {fast:?}");
    assert_eq!(codes(&case(), traces(|i| 10.0 + f64::from(i % 5))), "", "spread, not two groups");
    assert_eq!(codes(&case(), traces(|i| if i == 7 { 30.0 } else { 10.0 })), "", "one request");
}

#[test]
fn prompt_tokens_that_the_text_cannot_have_are_a_finding() {
    let with = |asked: u32, prompt: u64| {
        let text = Prompt::Text(TextPrompt { tokens: asked, shared: 0 });
        let mut trace = good();
        trace.usage.as_mut().unwrap().prompt = prompt;
        codes(&Case { prompt: text, ..case() }, vec![trace; 3])
    };
    assert_eq!(with(4_000, 4_012), "");
    assert_eq!(with(4_000, 12), "degraded prompt_tokens_off");
    assert_eq!(with(4_000, 40_000), "degraded prompt_tokens_off");
}

#[test]
fn tokens_beyond_the_limit_and_hidden_ones_are_a_finding() {
    let with = |change: fn(&mut RequestTrace)| {
        let mut trace = RequestTrace { max_tokens: Some(40), ..good() };
        change(&mut trace);
        codes(&case(), vec![trace; 3])
    };
    let beyond = |trace: &mut RequestTrace| trace.usage.as_mut().unwrap().completion = 80;
    assert_eq!(with(beyond), "degraded usage_beyond_limit, degraded approximate_tokens");
    let hidden = |trace: &mut RequestTrace| {
        trace.chunks.truncate(24);
        trace.usage.as_mut().unwrap().reasoning = Some(16);
    };
    assert_eq!(with(hidden), "degraded hidden_tokens");
    assert_eq!(with(|trace| trace.inline_reasoning = true), "degraded inline_reasoning");
}

/// Where some answers contain their reasoning, one without a closing tag may be all reasoning.
#[test]
fn the_first_answer_token_is_unknown_where_reasoning_may_be_all_there_is() {
    let (open, mut closed) = (good(), good());
    closed.inline_reasoning = true;
    assert_eq!(Figures::of(&[open.clone(), open.clone()]).ttfa_s.n(), 2);
    assert_eq!(Figures::of(&[open, closed]).ttfa_s.n(), 1);
}

#[test]
fn an_attempt_that_slows_down_is_invalid() {
    let requests = |slower: f64| {
        let token_ms = |i: u32| 10.0 * (1.0 + slower * f64::from(i) / 40.0);
        let request = |i| request(u64::from(i) * 1_000, 100.0, token_ms(i), 40);
        (0..40).map(request).collect::<Vec<_>>()
    };
    assert_eq!(codes(&case(), requests(0.02)), "", "within the margin");
    assert_eq!(codes(&case(), requests(0.06)), "invalid drifting");
    assert_eq!(codes(&load(Ramp::Service), requests(0.06)), "invalid drifting");
    assert_eq!(codes(&load(Ramp::None), requests(0.06)), "degraded drifting");
    let varied = Case { min_max_tokens: 30, ..load(Ramp::None) };
    assert_eq!(codes(&varied, requests(0.06)), "invalid drifting");
}

/// The findings about an attempt of 20 s after a change to its only GPU.
fn gpu_codes(change: impl Fn(&mut GpuSeries)) -> String {
    let mut report = report(vec![good(); 3]);
    report.finished = report.began.after(Duration::from_secs(20));
    let Reading::Known(series) = &mut report.gpu.series else { panic!("it has GPUs") };
    change(&mut series[0]);
    told(&findings(&case(), &report))
}

fn process(owner: ProcessOwner, steps: &[(u64, u64)]) -> GpuProcess {
    let memory = steps.iter().map(|&(second, mib)| ProcessMemory {
        at: MonoNs(second * 1_000_000_000),
        used: Some(Bytes(mib << 20)),
    });
    let name = "trainer".to_owned();
    GpuProcess { pid: 9, name, owner, memory: memory.collect(), last_seen: MonoNs(0) }
}

#[test]
fn a_lost_gpu_degrades_its_attempt() {
    let lost = |series: &mut GpuSeries| {
        let reason = "GPU lost".to_owned();
        series.ended = Some(TelemetryEnd { at: MonoNs(5_000_000_000), reason });
    };
    assert_eq!(gpu_codes(lost), "degraded gpu_lost");
    let elsewhere = |series: &mut GpuSeries| {
        lost(series);
        series.serves = false;
    };
    assert_eq!(gpu_codes(elsewhere), "");
}

#[test]
fn a_foreign_process_that_takes_memory_spoils_the_attempt() {
    let with = |owner, steps: &[(u64, u64)]| {
        gpu_codes(|series| series.processes = vec![process(owner, steps)])
    };
    let spoilt = "invalid gpu_shared";
    assert_eq!(with(ProcessOwner::Foreign, &[(0, 100), (8, 200)]), spoilt);
    assert_eq!(with(ProcessOwner::Foreign, &[(8, 100)]), spoilt, "it came during the attempt");
    assert_eq!(with(ProcessOwner::Foreign, &[(0, 300)]), "degraded gpu_shared");
    assert_eq!(with(ProcessOwner::Foreign, &[(0, 100)]), "", "a desktop");
    assert_eq!(with(ProcessOwner::Engine, &[(0, 100), (8, 900)]), "");
    assert_eq!(with(ProcessOwner::Unknown, &[(0, 100), (8, 900)]), "");
}

/// What is found if the engine runs and queues this many requests at these milliseconds.
fn busy(case: &Case, traces: &[RequestTrace], gauges: &[(u64, f64, f64)]) -> Vec<AttemptFinding> {
    let sample = |&(ms, running, waiting): &(u64, f64, f64)| EngineSample {
        at: MonoNs(ms * 1_000_000),
        running: Some(running),
        waiting: Some(waiting),
        ..EngineSample::default()
    };
    let mut report = report(traces.to_vec());
    let samples = Reading::Known(gauges.iter().map(sample).collect());
    report.engine.metrics = EngineWindow { samples, period_ms: 1_000, failed: 0 };
    findings(case, &report)
}

/// A host was 58 % slower since another client used its engine, and nothing said so.
#[test]
fn an_engine_that_works_for_others_too_is_busy() {
    // One stream of 490 ms each, from 0.1 s on.
    let own: Vec<RequestTrace> = (0..6).map(|n| request(100 + 500 * n, 100.0, 10.0, 40)).collect();
    let alone = [(50, 0.0, 0.0), (1_000, 1.0, 0.0), (2_000, 1.0, 0.0), (3_200, 0.0, 0.0)];
    assert_eq!(busy(&case(), &own, &alone), []);
    let shared = [(50, 3.0, 0.0), (1_000, 3.0, 1.0), (2_000, 4.0, 0.0), (3_200, 4.0, 0.0)];
    let found = busy(&case(), &own, &shared);
    assert_eq!(told(&found), "degraded engine_busy");
    let samples = Share { n: 4, of: 4 };
    assert_eq!(found[0].evidence, FindingEvidence::EngineBusy { beyond: 3.0, samples });
    let late = [(50, 0.0, 0.0), (1_000, 2.0, 0.0), (2_000, 1.0, 0.0), (3_200, 1.0, 0.0)];
    assert_eq!(busy(&case(), &own, &late), [], "one sample, and a request that has just ended");
    let mut rare = vec![(1_500, 1.0, 0.0); 7];
    rare.extend([(1_600, 2.0, 0.0); 2]);
    assert_eq!(busy(&case(), &own, &rare), [], "in less than a quarter of the samples");
    rare.pop();
    rare.extend([(1_700, 2.0, 0.0); 2]);
    assert_eq!(told(&busy(&case(), &own, &rare)), "degraded engine_busy");
}

#[test]
fn own_requests_do_not_make_an_engine_busy() {
    let streams = |n: u64| -> Vec<RequestTrace> {
        let of =
            |stream| (0..3).map(move |turn| request(stream * 40 + turn * 500, 100.0, 10.0, 40));
        (0..n).flat_map(of).collect()
    };
    let load = load(Ramp::Service);
    let busy = |traces: &[RequestTrace], running| {
        let gauges = [500, 900, 1_400].map(|ms| (ms, running, 0.0));
        told(&busy(&load, traces, &gauges))
    };
    let few = "degraded too_few_samples";
    assert_eq!(busy(&streams(4), 4.0), few);
    assert_eq!(busy(&streams(4), 5.0), format!("{few}, degraded engine_busy"));
    // An engine may go on with a request whose client has gone.
    let mut timed_out = streams(4);
    let failure = Failure::new(FailureKind::RequestTimeout, "gone");
    timed_out[0].outcome = Outcome::Failed(failure);
    assert!(!busy(&timed_out, 5.0).contains("engine_busy"));
}
