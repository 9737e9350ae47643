//! The prompts of a suite during the engine warm-up.

use regatta_types::suite::{Message, Role};
use serde_json::Value;

use super::*;

fn message(role: Role, content: &str) -> Message {
    Message { role, content: content.to_owned() }
}

fn shape(id: &str, prompt: Prompt, max_tokens: u32) -> Case {
    Case { prompt, max_tokens, min_max_tokens: max_tokens, ..testing::case(id) }
}

fn alone(id: &str, content: &str) -> Case {
    shape(id, Prompt::Messages(vec![message(Role::User, content)]), 500)
}

/// Warms up with these shapes and one more request.
async fn warm_up_with(server: &Server, shapes: Vec<Case>) -> AttemptReport {
    let wants = Wants { shapes, ..Wants::default() };
    let preparation = Preparation { wants, ..preparation(EngineWarmup::Requests(1)) };
    let (host, halt) = (HostId::new("host").unwrap(), Halt::default());
    let mut worker = worker(server).0;
    within("engine warm-up", worker.warm_up(&preparation, &host, &halt)).await
}

/// The requests that a server has seen: the limit of each and its messages, the first without its
/// first line.
fn seen(server: &Server) -> Vec<(u64, Vec<String>)> {
    let of = |body: &str| {
        let body: Value = serde_json::from_str(body).unwrap();
        let messages = body["messages"].as_array().unwrap().iter();
        let mut said: Vec<_> =
            messages.map(|m| m["content"].as_str().unwrap().to_owned()).collect();
        said[0] = said[0].split_once("]\n").expect("a first line").1.to_owned();
        (body["max_tokens"].as_u64().unwrap(), said)
    };
    server.seen().iter().map(|seen| of(&seen.body)).collect()
}

#[tokio::test]
async fn each_shape_is_sent_once_for_a_short_answer_before_the_warmup() {
    let server = Server::always(vec![Step::Write(answer(3))]).await;
    let system = vec![message(Role::System, "Be brief."), message(Role::User, "Why?")];
    let turns = vec!["Hello.".to_owned(), "And then?".to_owned()];
    let shapes = vec![
        shape("system", Prompt::Messages(system), 500),
        shape("one", Prompt::Messages(vec![message(Role::User, "Yes or no?")]), 1),
        shape("talk", Prompt::Conversation { opening: Vec::new(), turns }, 6),
    ];
    let report = warm_up_with(&server, shapes).await;
    assert_eq!(report.outcome, AttemptOutcome::Completed);
    let seen = seen(&server);
    let sent: Vec<(u64, Vec<&str>)> = seen
        .iter()
        .map(|(limit, all)| (*limit, all.iter().map(String::as_str).collect()))
        .collect();
    assert_eq!(
        sent[..5],
        [
            (24, vec!["Say yes."]),
            (8, vec!["Be brief.", "Why?"]),
            (1, vec!["Yes or no?"]),
            (6, vec!["Hello."]),
            (6, vec!["Hello.", "CHAPTER 1. Loomings.", "And then?"]),
        ]
    );
    assert_eq!((sent.len(), sent[5].0), (6, 64), "one request of the warm-up itself");
    assert!(report.traces.iter().all(|t| t.phase == Phase::Warmup && t.answer.text.is_none()));
    let turns: Vec<Option<u32>> = report.traces.iter().map(|t| t.turn).collect();
    assert_eq!(turns, [None, None, None, Some(0), Some(1), None]);
}

#[tokio::test]
async fn a_refused_shape_is_recorded_and_the_warmup_goes_on() {
    let refusal = plain("400 Bad Request", "text/plain", "too long");
    let server = Server::start(move |n, _| match n {
        1 => vec![Step::Write(refusal.clone())],
        _ => vec![Step::Write(answer(3))],
    })
    .await;
    let report =
        warm_up_with(&server, vec![alone("long", "Why? Why?"), alone("short", "Why?")]).await;
    assert_eq!(report.outcome, AttemptOutcome::Completed);
    let outcomes: Vec<_> = report.traces.iter().map(|t| t.outcome.status()).collect();
    assert_eq!(outcomes, ["ok", "failed", "ok", "ok"]);
    assert_eq!(seen(&server).len(), 4);
}

#[tokio::test]
async fn an_engine_that_does_not_answer_is_not_asked_for_every_shape() {
    let server = Server::start(|n, _| match n {
        0 => vec![Step::Write(answer(3))],
        _ => vec![Step::Close],
    })
    .await;
    let shapes = (0..9).map(|n| alone(&format!("c{n}"), &"Why? ".repeat(n + 1))).collect();
    let report = warm_up_with(&server, shapes).await;
    let outcomes: Vec<_> = report.traces.iter().map(|t| t.outcome.status()).collect();
    assert_eq!(outcomes, ["ok", "failed", "failed"], "a look, a shape, and the warm-up itself");
}
