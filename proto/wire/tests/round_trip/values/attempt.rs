use std::time::Duration;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use regatta_types::attempt::{AttemptOutcome, AttemptReport, Started};
use regatta_types::engine::{EngineSample, EngineWatch, EngineWindow};
use regatta_types::failure::{Failure, FailureKind};
use regatta_types::time::{ClockAnchor, MonoNs};
use regatta_types::trace::{
    Answer, Chunk, ChunkCounts, ChunkKind, Connection, FinishReason, Outcome, Phase, RequestTrace,
    SendStamp, ServerTimings, Usage,
};
use regatta_types::validity::{Finding, Validity};

use super::facts::{engine, reading};
use super::{boot, duration, finite, gpu_window, instance, lease, mono, text, unix};

fn status() -> impl Strategy<Value = u16> {
    100_u16..=999
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let kind = proptest::sample::select(&FailureKind::ALL[..]);
    let failure = (kind, text(), option::of(status())).prop_map(|(kind, message, http_status)| {
        Outcome::Failed(Failure { kind, message, http_status })
    });
    prop_oneof![Just(Outcome::Ok), failure, Just(Outcome::Cancelled), Just(Outcome::NotSent)]
}

/// Which chunks carry their tokens.
#[derive(Debug, Clone, Copy)]
enum Tokens {
    None,
    Some,
    All,
}

/// Chunks in order of time, some of one read, with tokens for all, some or none.
fn chunks() -> impl Strategy<Value = Vec<Chunk>> {
    let kind = proptest::sample::select(vec![
        ChunkKind::Reasoning,
        ChunkKind::Answer,
        ChunkKind::ToolCall,
    ]);
    let gap = prop_oneof![Just(0), 1_u64..100_000_000];
    let tokens = prop_oneof![Just(Tokens::None), Just(Tokens::Some), Just(Tokens::All)];
    let chunk = (gap, kind, any::<u32>(), any::<u32>(), any::<(bool, Option<u32>)>());
    (any::<u32>(), tokens, vec(chunk, 0..40)).prop_map(|(first, tokens, chunks)| {
        let mut at = MonoNs(first.into());
        chunks
            .into_iter()
            .map(|(gap, kind, chars, n, (told, late_us))| {
                at = at.after(Duration::from_nanos(gap));
                let told = match tokens {
                    Tokens::None => false,
                    Tokens::Some => told,
                    Tokens::All => true,
                };
                Chunk { at, late_us, kind, chars, tokens: told.then_some(n) }
            })
            .collect()
    })
}

fn trace() -> impl Strategy<Value = RequestTrace> {
    let phase = prop_oneof![Just(Phase::Warmup), Just(Phase::Measured)];
    let connection = prop_oneof![Just(Connection::New), Just(Connection::Reused)];
    let sent = (mono(), mono()).prop_map(|(before, after)| SendStamp { before, after });
    let stamps = (
        option::of(mono()),
        option::of(connection),
        option::of(duration()),
        option::of(sent),
        option::of(mono()),
        option::of(mono()),
        option::of(mono()),
    );
    let usage = (any::<u64>(), any::<u64>(), option::of(any::<u64>()), option::of(any::<u64>()))
        .prop_map(|(prompt, completion, cached, reasoning)| Usage {
            prompt,
            completion,
            cached,
            reasoning,
        });
    let timings = (finite(), finite())
        .prop_map(|(prompt_ms, predicted_ms)| ServerTimings { prompt_ms, predicted_ms });
    let answer = ("([0-9a-f]{64})?", any::<u64>(), option::of(text()))
        .prop_map(|(sha256, chars, text)| Answer { sha256, chars, text });
    let engine = (
        option::of(status()),
        option::of("stop|length|tool_calls|[a-z_]{0,20}".prop_map(|w| FinishReason::parse(&w))),
        option::of(usage),
        option::of(timings),
        answer,
    );
    let counts = (any::<u32>(), any::<u32>(), any::<u32>());
    let chunk_counts = prop_oneof![Just(ChunkCounts::TokenIds), Just(ChunkCounts::ContinuousUsage)];
    let more = (
        option::of(any::<u32>()),
        option::of(any::<u32>()),
        option::of(chunk_counts),
        option::of(any::<u64>()),
        (any::<u32>(), any::<bool>()),
    );
    (counts, phase, stamps, chunks(), outcome(), engine, more).prop_map(
        |((seq, stream, events), phase, stamps, chunks, outcome, engine, more)| RequestTrace {
            seq,
            stream,
            phase,
            turn: more.0,
            max_tokens: more.1,
            chunk_counts: more.2,
            tokenizer_count: more.3,
            blank_events: more.4.0,
            inline_reasoning: more.4.1,
            scheduled: stamps.0,
            connection: stamps.1,
            connect: stamps.2,
            sent: stamps.3,
            header: stamps.4,
            first_byte: stamps.5,
            chunks,
            events,
            done: stamps.6,
            outcome,
            http_status: engine.0,
            finish_reason: engine.1,
            usage: engine.2,
            server_timings: engine.3,
            answer: engine.4,
        },
    )
}

pub(crate) fn findings() -> impl Strategy<Value = Vec<Finding>> {
    let validity = proptest::sample::select(vec![Validity::Degraded, Validity::Invalid]);
    let finding =
        (text(), validity, text(), text()).prop_map(|(code, validity, evidence, advice)| Finding {
            code: code.as_str().into(),
            validity,
            evidence,
            advice,
        });
    vec(finding, 0..3)
}

fn anchor() -> impl Strategy<Value = ClockAnchor> {
    (mono(), unix()).prop_map(|(mono, unix)| ClockAnchor { mono, unix })
}

pub(crate) fn started() -> impl Strategy<Value = Started> {
    (lease(), instance(), boot(), anchor(), option::of(mono())).prop_map(
        |(lease, instance, boot, anchor, planned_start)| Started {
            lease,
            instance,
            boot,
            anchor,
            planned_start,
        },
    )
}

fn watch() -> impl Strategy<Value = EngineWatch> {
    let number = || option::of(finite());
    let load = (mono(), number(), number(), number(), number(), number());
    let rest = (number(), number(), number(), number(), number());
    let sample = (load, rest).prop_map(|(load, rest)| EngineSample {
        at: load.0,
        running: load.1,
        waiting: load.2,
        kv_use: load.3,
        prefix_queries: load.4,
        prefix_hits: load.5,
        preemptions: rest.0,
        queue_s: rest.1,
        queued: rest.2,
        drafted: rest.3,
        accepted: rest.4,
    });
    let metrics = (reading(vec(sample, 0..4)), any::<u32>(), any::<u32>())
        .prop_map(|(samples, period_ms, failed)| EngineWindow { samples, period_ms, failed });
    let watched = (engine(), engine(), metrics).prop_map(|(before, after, metrics)| EngineWatch {
        before,
        after,
        metrics,
    });
    prop_oneof![watched, Just(EngineWatch::default())]
}

pub(crate) fn report() -> impl Strategy<Value = AttemptReport> {
    let outcome = prop_oneof![
        Just(AttemptOutcome::Completed),
        Just(AttemptOutcome::Cancelled),
        Just(AttemptOutcome::Interrupted),
        text().prop_map(AttemptOutcome::Failed),
    ];
    let edges = (mono(), mono(), option::of(duration()));
    // Boxed: all of them together are too much for a test's stack.
    (
        started(),
        outcome,
        edges,
        vec(trace().boxed(), 0..4),
        gpu_window().boxed(),
        findings(),
        watch().boxed(),
    )
        .prop_map(
            |(started, outcome, (began, finished, client_cpu), traces, gpu, findings, engine)| {
                AttemptReport {
                    key: started.lease.key,
                    epoch: started.lease.epoch,
                    instance: started.instance,
                    boot: started.boot,
                    outcome,
                    anchor: started.anchor,
                    planned_start: started.planned_start,
                    began,
                    finished,
                    traces,
                    gpu,
                    engine,
                    findings,
                    client_cpu,
                }
            },
        )
}
