//! The engine the other tests measure does what they rely on.

use std::time::Duration;

use regatta_tests::engine::LlamaCpp;
use regatta_tests::http;

fn ask(engine: &LlamaCpp, tokens: u32, stream: bool) -> String {
    let question = format!(
        r#"{{"model":"{}","messages":[{{"role":"user","content":"hello"}}],"max_tokens":{tokens},
            "temperature":0,"stream":{stream},"stream_options":{{"include_usage":true}}}}"#,
        engine.model
    );
    http::post(engine.port, "/v1/chat/completions", &question)
}

#[test]
fn two_engines_run_side_by_side_and_count_their_own_tokens() {
    let (first, second) = (LlamaCpp::start_as("one"), LlamaCpp::start_as("two"));
    assert!(http::get(second.port, "/v1/models").contains(r#""id":"two""#));
    assert!(ask(&first, 20, false).contains(r#""completion_tokens":20"#));
    assert!(ask(&first, 30, true).contains(r#""finish_reason":"length""#));
    assert_eq!((first.tokens_predicted_total(), second.tokens_predicted_total()), (50, 0));
}

#[test]
fn an_answer_streams_one_token_a_chunk_and_ends_with_usage_and_timings() {
    let engine = LlamaCpp::start();
    let answer = ask(&engine, 40, true);
    let events: Vec<_> = answer.lines().filter_map(|l| l.strip_prefix("data: ")).collect();
    assert_eq!(events.iter().filter(|e| e.contains(r#""content":""#)).count(), 40);
    assert_eq!(events.last(), Some(&"[DONE]"));
    let usage = events[events.len() - 2];
    assert!(usage.contains(r#""completion_tokens":40"#) && usage.contains(r#""prompt_ms":"#));
}

#[test]
fn an_engine_ends_with_its_test() {
    let engine = LlamaCpp::start();
    let port = engine.port;
    engine.process.signal(rustix::process::Signal::TERM);
    assert_eq!(engine.process.wait(Duration::from_secs(10)).code, Some(0));
    assert!(std::net::TcpListener::bind(("127.0.0.1", port)).is_ok(), "the port is free again");
}
