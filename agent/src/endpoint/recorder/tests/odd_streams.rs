//! Streams of engines and proxies that are not as most are: an answer of 64 tokens, one every 20 ms
//! from 100 ms on.

use regatta_types::trace::HiddenTokens;
use serde_json::{Value, json};

use super::*;

const TOKENS: u64 = 64;

fn usage(completion: u64) -> Value {
    json!({ "prompt_tokens": 20, "completion_tokens": completion })
}

fn event(delta: &Value, finish: Option<&str>, usage: &Value) -> Value {
    json!({ "choices": [{ "delta": delta, "finish_reason": finish }], "usage": usage })
}

/// Plays the role, one event for each token, and the end of the answer.
fn answer(
    role_usage: &Value,
    token: impl Fn(u64) -> Value,
    end: impl IntoIterator<Item = Value>,
) -> RequestTrace {
    let mut trace = RequestTrace::new(0, 0, Phase::Measured);
    let begin = MonoNs(1);
    trace.sent = Some(SendStamp { before: begin, after: begin });
    let mut recorder = Recorder::new(trace, expected(256));
    let mut feed = |event: Value, ms: u64| {
        let at = MonoNs(begin.0 + ms * 1_000_000);
        recorder.feed(format!("data: {event}\n\n").as_bytes(), at)
    };
    feed(event(&json!({ "role": "assistant", "content": "" }), None, role_usage), 50);
    (0..TOKENS).for_each(|i| _ = feed(token(i), 100 + 20 * i));
    end.into_iter().for_each(|last| _ = feed(last, 100 + 20 * TOKENS));
    recorder.conclude(Ending::Complete, MonoNs(u64::MAX))
}

/// The end of an answer with its usage in the same event, and in one of its own.
fn end_with(completion: u64) -> Value {
    event(&json!({}), Some("length"), &usage(completion))
}

fn end() -> Value {
    event(&json!({}), Some("length"), &Value::Null)
}

fn usage_only(completion: u64) -> Value {
    json!({ "choices": [], "usage": usage(completion) })
}

fn close(value: Option<f64>, expected: f64) {
    let value = value.unwrap();
    assert!((value - expected).abs() < 1e-6, "{value} instead of {expected}");
}

fn assert_exact(trace: &RequestTrace, source: TokenSource, name: &str) {
    assert_eq!(trace.outcome, Outcome::Ok, "{name}");
    assert_eq!(trace.token_source(), Some(source), "{name}");
    assert_eq!(trace.completion_tokens(), Some(64.0), "{name}");
    close(trace.ttft(), 0.1);
    close(trace.decode_tps(), 50.0);
}

/// Zeros with every event gave the last chunk all tokens, and no decode speed or one of thousands.
#[test]
fn usage_that_does_not_count_up_with_the_events_is_not_shared_out_by_them() {
    let word = |usage: Value| move |_| event(&json!({ "content": "word " }), None, &usage);
    let none = Value::Null;
    for (name, trace) in [
        ("none but the last", answer(&none, word(none.clone()), [end(), usage_only(64)])),
        ("zeros", answer(&usage(0), word(usage(0)), [end_with(64)])),
        ("zeros, then one apart", answer(&usage(0), word(usage(0)), [end(), usage_only(64)])),
        ("each by itself, then all", answer(&usage(0), word(usage(1)), [end_with(64)])),
        ("each by itself", answer(&usage(0), word(usage(1)), [end()])),
        ("all with every event", answer(&usage(64), word(usage(64)), [end_with(64)])),
        ("a last zero", answer(&none, word(none.clone()), [end_with(64), usage_only(0)])),
    ] {
        assert_exact(&trace, TokenSource::Usage, name);
    }
    let counting = |i| event(&json!({ "content": "word " }), None, &usage(i + 1));
    let trace = answer(&usage(0), counting, [end_with(64)]);
    assert_exact(&trace, TokenSource::ContinuousUsage, "counting up");
}

/// Half of the tokens in a field that was not read: 100 tok/s instead of 50.
#[test]
fn tokens_in_any_field_are_stamped() {
    let reasoning = |word: &str| json!({ "reasoning_details": [{ "text": word }] });
    let call = |word: &str| json!({ "tool_calls": [{ "function": { "arguments": word } }] });
    let content = |word: &str| json!({ "content": word });
    type Field<'a> = &'a dyn Fn(&str) -> Value;
    let fields: [(Field<'_>, Field<'_>, f64); 3] = [
        (&reasoning, &content, 0.1 + 0.02 * 32.0),
        (&content, &call, 0.1),
        (&call, &content, 0.1 + 0.02 * 32.0),
    ];
    for (first, second, ttfa) in fields {
        let token = |i| {
            let delta = if i < TOKENS / 2 { first("word ") } else { second("word ") };
            event(&delta, None, &Value::Null)
        };
        let trace = answer(&Value::Null, token, [end(), usage_only(64)]);
        assert_exact(&trace, TokenSource::Usage, "all fields");
        close(trace.ttfa(), ttfa);
        assert_eq!(trace.hidden_tokens(), None);
    }
}

#[test]
fn hidden_tokens_have_no_part_in_the_decode_speed() {
    // In a field that nobody knows.
    let token = |i| {
        let field = if i < TOKENS / 2 { "mystery" } else { "content" };
        event(&json!({ field: "word " }), None, &Value::Null)
    };
    let trace = answer(&Value::Null, token, [end(), usage_only(64)]);
    assert_eq!(trace.hidden_tokens(), Some(HiddenTokens::Unknown));
    assert_eq!((trace.decode_tps(), trace.completion_tokens()), (None, Some(64.0)));
    // Only in the usage.
    let word = |_| event(&json!({ "content": "word " }), None, &Value::Null);
    let mut last = usage_only(164);
    last["usage"]["completion_tokens_details"] = json!({ "reasoning_tokens": 100 });
    let trace = answer(&Value::Null, word, [end(), last]);
    assert_eq!(trace.hidden_tokens(), Some(HiddenTokens::Counted(100)));
    close(trace.decode_tps(), 50.0);
}

/// The time to the first answer token was that of the reasoning.
#[test]
fn reasoning_in_the_text_ends_at_its_closing_tag() {
    let token = |i| {
        let word = if i == 40 { "</think>\n\n" } else { " word" };
        event(&json!({ "content": word }), None, &Value::Null)
    };
    let trace = answer(&Value::Null, token, [end(), usage_only(64)]);
    assert!(trace.inline_reasoning);
    assert_exact(&trace, TokenSource::Usage, "inline");
    close(trace.ttfa(), 0.1 + 0.02 * 41.0);
    let tags = |i| {
        let word = if i == 0 { "<think>" } else { " why" };
        event(&json!({ "content": word }), None, &Value::Null)
    };
    let trace = answer(&Value::Null, tags, [end(), usage_only(64)]);
    assert_eq!((trace.inline_reasoning, trace.ttfa()), (true, None));
}

#[test]
fn a_prompt_counted_without_its_cached_part_is_completed() {
    let counts = |prompt: u64, cached: u64| {
        let token = |_| event(&json!({ "content": "word " }), None, &Value::Null);
        let mut last = usage_only(64);
        last["usage"]["prompt_tokens"] = prompt.into();
        last["usage"]["prompt_tokens_details"] = json!({ "cached_tokens": cached });
        let usage = answer(&Value::Null, token, [end(), last]).usage.unwrap();
        (usage.prompt, usage.cached)
    };
    assert_eq!(counts(100, 4_000), (4_100, Some(4_000)));
    assert_eq!(counts(4_100, 4_000), (4_100, Some(4_000)));
}

/// An answer that the engine gave up was a success whose length was blamed on `ignore_eos`.
#[test]
fn an_answer_that_the_engine_gave_up_is_a_failure() {
    for (word, kind) in [
        ("abort", Some(FailureKind::Aborted)),
        ("error", Some(FailureKind::Aborted)),
        ("cancelled", Some(FailureKind::Aborted)),
        ("mystery", Some(FailureKind::Aborted)),
        ("stop", None),
        ("eos", None),
        ("tool_calls", None),
    ] {
        let token = |_| event(&json!({ "content": "word " }), None, &Value::Null);
        let last = event(&json!({}), Some(word), &Value::Null);
        let trace = answer(&Value::Null, token, [last, usage_only(64)]);
        let failure = match &trace.outcome {
            Outcome::Failed(failure) => Some(failure.kind),
            Outcome::Ok | Outcome::Cancelled | Outcome::NotSent => None,
        };
        assert_eq!(failure, kind, "{word}");
    }
}
