use std::net::{Ipv4Addr, TcpListener};

use regatta_types::suite::{Message, Role};
use regatta_types::trace::{ChunkKind, FinishReason, Phase, TokenSource, Usage};
use tokio::io::AsyncWriteExt;

use super::super::testing::{
    FINISH, STREAM_HEAD, Server, Step, USAGE, answer, attempt_key, chunk, content, endpoint_at,
    event, plain, within,
};
use super::super::{Ask, ConversationTurn, Endpoint, Fields, Prepared};
use super::*;

mod stamps;

fn patient() -> Timeouts {
    let long = Duration::from_secs(15);
    Timeouts { connect: long, first_token: long, chunk: long, request: long }
}

fn prepared(endpoint: &Endpoint, timeouts: Timeouts) -> Prepared {
    let messages = [Message { role: Role::User, content: "Say something.".to_owned() }];
    let ask = Ask {
        messages: &messages,
        max_tokens: 16,
        temperature: 0.5,
        seed: Some(7),
        timeouts,
        keep_text: true,
    };
    Prepared::of_ask(endpoint, &attempt_key(), &ask, Fields::default()).unwrap()
}

async fn request(connection: &mut StreamConnection, prepared: &Prepared) -> RequestTrace {
    let trace = RequestTrace::new(0, 0, Phase::Measured);
    let (_stopper, mut stop) = Stop::new();
    let chunks = AtomicU64::new(0);
    within("the request", async {
        match connection.ensure_connected(prepared.connect_limit()).await {
            Err(failure) => failed(trace, failure),
            Ok(()) => {
                let built = prepared.build(ConversationTurn::first(0));
                let sending = Sending { built, trace, stop: &mut stop, chunks: &chunks };
                connection.send(sending).await
            }
        }
    })
    .await
}

async fn once(steps: Vec<Step>, timeouts: Timeouts) -> RequestTrace {
    let server = Server::always(steps).await;
    let endpoint = server.endpoint();
    request(&mut endpoint.connection(), &prepared(&endpoint, timeouts)).await
}

fn stream(parts: &[&str]) -> Step {
    Step::Write((STREAM_HEAD.to_owned() + &parts.concat()).into_bytes())
}

#[tokio::test]
async fn every_fault_has_its_kind() {
    let json = "application/json";
    let error = r#"{"error":{"message":"broken\u001b[31m engine","code":500}}"#;
    let mut invalid = content("\u{e9}").into_bytes();
    let at = invalid.iter().position(|&b| b == 0xc3).unwrap();
    invalid[at] = 0xff;
    let invalid = [STREAM_HEAD.as_bytes(), &invalid].concat();
    let long = "x".repeat(300 << 10);
    let words = content("w").repeat(200);
    let gzip = STREAM_HEAD.replace("\r\n\r\n", "\r\nContent-Encoding: gzip\r\n\r\n");
    let cases: Vec<(&str, Vec<Step>, FailureKind, &str)> = vec![
        ("reset before the head", vec![Step::Reset], FailureKind::Reset, "before the response"),
        ("close before the head", vec![Step::Close], FailureKind::Reset, "before the response"),
        (
            "reset in the stream",
            vec![stream(&[&content("a")]), Step::Reset],
            FailureKind::IncompleteStream,
            "in the middle",
        ),
        (
            "close in the stream",
            vec![stream(&[&content("a")]), Step::Close],
            FailureKind::IncompleteStream,
            "closed the connection in the middle",
        ),
        (
            "end without finish reason",
            vec![stream(&[&content("a"), "0\r\n\r\n"])],
            FailureKind::IncompleteStream,
            "without a finish reason",
        ),
        (
            "[DONE] without finish reason",
            vec![stream(&[&content("a"), &event("[DONE]"), "0\r\n\r\n"])],
            FailureKind::IncompleteStream,
            "without a finish reason",
        ),
        (
            "503 with an error object",
            vec![Step::Write(plain("503 Service Unavailable", json, error))],
            FailureKind::HttpStatus,
            "broken [31m engine",
        ),
        (
            "404 with a string",
            vec![Step::Write(plain("404 Not Found", json, r#"{"detail":"Not Found"}"#))],
            FailureKind::HttpStatus,
            "Not Found",
        ),
        (
            "429 without a body",
            vec![Step::Write(plain("429 Too Many Requests", json, ""))],
            FailureKind::HttpStatus,
            "429 Too Many Requests",
        ),
        (
            "429 that says when to come again",
            vec![Step::Write(plain("429 Too Many Requests\r\nRetry-After: 7", json, error))],
            FailureKind::HttpStatus,
            "retry after 7: broken [31m engine",
        ),
        (
            "a redirect",
            vec![Step::Write(plain("307 Temporary Redirect\r\nLocation: /x", "text/plain", ""))],
            FailureKind::HttpStatus,
            "307",
        ),
        (
            "error event, then [DONE]",
            vec![stream(&[&content("a"), &event(error), &event("[DONE]"), "0\r\n\r\n"])],
            FailureKind::ErrorEvent,
            "broken",
        ),
        (
            "error as a string",
            vec![stream(&[&event(r#"{"error":"no"}"#)])],
            FailureKind::ErrorEvent,
            "no",
        ),
        (
            "error object instead of a stream",
            vec![Step::Write(plain("200 OK", json, error))],
            FailureKind::ErrorEvent,
            "broken",
        ),
        (
            "an answer that is not streamed",
            vec![Step::Write(plain("200 OK", json, r#"{"choices":[]}"#))],
            FailureKind::BadStream,
            "not an event stream",
        ),
        (
            "a compressed stream",
            vec![Step::Write(gzip.into_bytes()), Step::Close],
            FailureKind::BadStream,
            "gzip",
        ),
        ("silence before the head", vec![Step::Hang], FailureKind::FirstTokenTimeout, "300ms"),
        (
            "pings instead of a token",
            vec![stream(&[&chunk(": ping\n\n")]), Step::Hang],
            FailureKind::FirstTokenTimeout,
            "300ms",
        ),
        (
            "silence in the stream",
            vec![stream(&[&content("a")]), Step::Hang],
            FailureKind::ChunkTimeout,
            "200ms",
        ),
        (
            "malformed JSON",
            vec![stream(&[&event(r#"{"choices":[{"#)])],
            FailureKind::BadStream,
            "invalid JSON",
        ),
        ("invalid UTF-8", vec![Step::Write(invalid)], FailureKind::BadStream, "invalid JSON"),
        (
            "broken chunk framing",
            vec![stream(&[&content("a"), "zz\r\n"])],
            FailureKind::BadStream,
            "chunk size",
        ),
        (
            "no HTTP at all",
            vec![Step::Write(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec())],
            FailureKind::BadStream,
            "not HTTP",
        ),
        ("a giant event", vec![stream(&[&event(&long)])], FailureKind::LimitExceeded, "exceeds"),
        (
            "a giant head",
            vec![Step::Write(format!("HTTP/1.1 200 OK\r\nA: {long}\r\n\r\n").into_bytes())],
            FailureKind::LimitExceeded,
            "head is too long",
        ),
        (
            "a line without end",
            vec![stream(&[]), Step::Flood(chunk(&"x".repeat(8192)).into_bytes())],
            FailureKind::LimitExceeded,
            "exceeds",
        ),
        (
            "events without end",
            vec![stream(&[]), Step::Flood(words.into_bytes())],
            FailureKind::LimitExceeded,
            "more than 1032 events",
        ),
        (
            "comments without end",
            vec![stream(&[]), Step::Flood(chunk(&": ping\n\n".repeat(1000)).into_bytes())],
            FailureKind::LimitExceeded,
            "the body exceeds",
        ),
        (
            "no text",
            vec![stream(&[&event(FINISH), &event("[DONE]"), "0\r\n\r\n"])],
            FailureKind::EmptyAnswer,
            "empty answer",
        ),
        (
            "another model of the list",
            vec![stream(&[&event(r#"{"model":"other","choices":[]}"#)])],
            FailureKind::WrongModel,
            "other",
        ),
    ];
    for (name, steps, kind, part) in cases {
        // Only the limit in question is to be reached, however busy the machine is.
        let mut timeouts = patient();
        if kind == FailureKind::FirstTokenTimeout {
            timeouts.first_token = Duration::from_millis(300);
        } else if kind == FailureKind::ChunkTimeout {
            timeouts.chunk = Duration::from_millis(200);
        }
        let trace = once(steps, timeouts).await;
        let Outcome::Failed(failure) = &trace.outcome else {
            panic!("{name}: {:?}", trace.outcome);
        };
        assert_eq!(failure.kind, kind, "{name}: {failure}");
        assert!(failure.message.contains(part), "{name}: {failure}");
        assert_eq!(failure.http_status, trace.http_status, "{name}");
        assert!(trace.sent.is_some(), "{name}");
    }
}

#[tokio::test]
async fn data_before_a_fault_is_kept() {
    let timeouts = Timeouts { chunk: Duration::from_millis(200), ..patient() };
    let trace = once(vec![stream(&[&content("a"), &content("b")]), Step::Hang], timeouts).await;
    assert_eq!(trace.chunks.len(), 2);
    assert_eq!(trace.answer.text.as_deref(), Some("ab"));
}

#[tokio::test]
async fn the_limit_on_the_whole_request_holds_after_the_first_token() {
    let timeouts = Timeouts { request: Duration::from_millis(300), ..patient() };
    let begun = MonoNs::now();
    let trace = once(vec![stream(&[&content("a")]), Step::Hang], timeouts).await;
    let took = MonoNs::now().since(begun);
    let Outcome::Failed(failure) = &trace.outcome else { panic!("{:?}", trace.outcome) };
    assert_eq!((failure.kind, trace.chunks.len()), (FailureKind::RequestTimeout, 1));
    assert!(took < patient().chunk / 2, "not before the limit between chunks: {took:?}");
}

/// A million comments, each its own chunk, once held off the limit of a second until all of
/// them were read, four seconds later.
#[tokio::test]
async fn a_steady_flow_of_bytes_does_not_defer_timeouts() {
    let comments = chunk(":\n").repeat(150_000);
    let whole = stream(&[&content("a"), &comments, &event(FINISH), &event("[DONE]"), "0\r\n\r\n"]);
    // Reading this many takes several times this long on any machine.
    let timeouts = Timeouts { chunk: Duration::from_millis(5), ..patient() };
    let trace = once(vec![whole], timeouts).await;
    let Outcome::Failed(failure) = &trace.outcome else { panic!("{:?}", trace.outcome) };
    assert_eq!((failure.kind, trace.chunks.len()), (FailureKind::ChunkTimeout, 1));
}

#[tokio::test]
async fn a_closed_port_is_unreachable() {
    let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let endpoint = endpoint_at(address);
    let trace = request(&mut endpoint.connection(), &prepared(&endpoint, patient())).await;
    let Outcome::Failed(failure) = &trace.outcome else { panic!("{:?}", trace.outcome) };
    assert_eq!(failure.kind, FailureKind::Unreachable);
    assert_eq!((trace.sent, trace.connection, trace.http_status), (None, None, None));
}

/// A full backlog drops the next handshake, so that connecting hangs.
#[tokio::test]
async fn a_connection_that_is_never_accepted_times_out() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let listener = socket.listen(0).unwrap();
    let endpoint = endpoint_at(listener.local_addr().unwrap());
    let prepared =
        prepared(&endpoint, Timeouts { connect: Duration::from_millis(200), ..patient() });
    let mut connections = Vec::new();
    for _ in 0..64 {
        let mut connection = endpoint.connection();
        match connection.ensure_connected(prepared.connect_limit()).await {
            Ok(()) => connections.push(connection),
            Err(failure) => return assert_eq!(failure.kind, FailureKind::ConnectTimeout),
        }
    }
    panic!("64 connections went into a backlog of 0");
}

#[tokio::test]
async fn a_complete_answer_fills_the_trace() {
    let parts = [
        event(r#"{"choices":[{"delta":{"role":"assistant","content":null}}]}"#),
        event(r#"{"choices":[{"delta":{"reasoning_content":"hm"}}]}"#),
        content("a\u{e9}"),
        event(FINISH),
        event(USAGE),
        event("[DONE]"),
    ];
    let server = Server::always(vec![Step::Write(
        (STREAM_HEAD.to_owned() + &parts.concat() + "0\r\n\r\n").into(),
    )])
    .await;
    let endpoint = server.endpoint();
    let trace = request(&mut endpoint.connection(), &prepared(&endpoint, patient())).await;
    assert_eq!(trace.outcome, Outcome::Ok);
    assert_eq!(trace.http_status, Some(200));
    assert_eq!(trace.events, 6);
    assert_eq!(trace.finish_reason, Some(FinishReason::Stop));
    let usage = Usage { prompt: 3, completion: 2, cached: None, reasoning: None };
    assert_eq!(trace.usage, Some(usage));
    assert_eq!(trace.token_source(), Some(TokenSource::Usage));
    let kinds: Vec<_> = trace.chunks.iter().map(|c| (c.kind, c.chars)).collect();
    assert_eq!(kinds, [(ChunkKind::Reasoning, 2), (ChunkKind::Answer, 2)]);
    assert_eq!(trace.answer.text.as_deref(), Some("hma\u{e9}"));
    assert_eq!(trace.connection, Some(Connection::New));
    let sent = trace.sent.unwrap();
    let order = [sent.before, sent.after, trace.header.unwrap(), trace.first_byte.unwrap()];
    assert!(order.is_sorted(), "{order:?}");
    assert!(trace.first_byte <= trace.t_first() && trace.t_last() <= trace.done);

    let seen = &server.seen()[0];
    assert!(seen.head.starts_with("POST /v1/chat/completions HTTP/1.1\r\n"), "{}", seen.head);
    assert!(seen.head.contains("x-request-id: night/gpu-01/case/r1/a1/0\r\n"), "{}", seen.head);
    assert!(seen.head.contains("accept: text/event-stream\r\n"), "{}", seen.head);
    assert!(!seen.head.contains("accept-encoding"), "{}", seen.head);
    assert_eq!(
        seen.body,
        r#"{"model":"tiny","messages":[{"role":"user","content":"[471280690]\nSay something."}],"max_tokens":        16,"temperature":0.5,"seed":7,"stream":true,"stream_options":{"include_usage":true}}"#
    );
}

#[tokio::test]
async fn a_complete_answer_needs_no_done_and_no_clean_close() {
    for end in [vec![Step::Write(b"0\r\n\r\n".to_vec())], vec![Step::Close], vec![Step::Reset]] {
        let parts = stream(&[&content("a"), &event(FINISH), &event(USAGE)]);
        let trace = once([vec![parts], end.clone()].concat(), patient()).await;
        assert_eq!(trace.outcome, Outcome::Ok, "{end:?}");
        assert_eq!(trace.done.is_some(), matches!(end[..], [Step::Write(_)]), "{end:?}");
    }
}

#[tokio::test]
async fn a_connection_is_reused_while_the_server_keeps_it() {
    let server = Server::always(vec![Step::Write(answer(3))]).await;
    let endpoint = server.endpoint();
    let (mut connection, prepared) = (endpoint.connection(), prepared(&endpoint, patient()));
    let mut seen = Vec::new();
    for _ in 0..3 {
        let trace = request(&mut connection, &prepared).await;
        assert_eq!(trace.outcome, Outcome::Ok);
        seen.push((trace.connection, trace.connect.is_some()));
    }
    let reused = (Some(Connection::Reused), false);
    assert_eq!(seen, [(Some(Connection::New), true), reused, reused]);
    assert!(server.seen().iter().all(|request| request.connection == 0));
}

#[tokio::test]
async fn a_closed_connection_is_reopened_before_the_send() {
    let server = Server::always(vec![Step::Write(answer(3)), Step::Close]).await;
    let endpoint = server.endpoint();
    let (mut connection, prepared) = (endpoint.connection(), prepared(&endpoint, patient()));
    for n in 0..20 {
        let trace = request(&mut connection, &prepared).await;
        assert_eq!(trace.outcome, Outcome::Ok, "request {n}");
        assert_eq!(trace.connection, Some(Connection::New), "request {n}");
        assert!(trace.connect.is_some(), "request {n}");
    }
    assert_eq!(server.seen().len(), 20, "each request is sent once");
}

#[tokio::test]
async fn a_request_is_never_sent_twice() {
    let server =
        Server::start(|n, _| if n == 1 { vec![Step::Reset] } else { vec![Step::Write(answer(3))] })
            .await;
    let endpoint = server.endpoint();
    let (mut connection, prepared) = (endpoint.connection(), prepared(&endpoint, patient()));
    let mut outcomes = Vec::new();
    for _ in 0..3 {
        outcomes.push(request(&mut connection, &prepared).await.outcome.status());
    }
    assert_eq!(outcomes, ["ok", "failed", "ok"]);
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn a_stopped_request_keeps_what_has_arrived() {
    let server = Server::always(vec![stream(&[&content("a")]), Step::Hang]).await;
    let endpoint = server.endpoint();
    let prepared = prepared(&endpoint, patient());
    let mut connection = endpoint.connection();
    connection.ensure_connected(prepared.connect_limit()).await.unwrap();
    let (stopper, mut stop) = Stop::new();
    let chunks = AtomicU64::new(0);
    let trace = RequestTrace::new(0, 0, Phase::Measured);
    let sending = Sending {
        built: prepared.build(ConversationTurn::first(0)),
        trace,
        stop: &mut stop,
        chunks: &chunks,
    };
    let stopping = async {
        while chunks.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        drop(stopper);
    };
    let (trace, ()) =
        within("stopping", async { tokio::join!(connection.send(sending), stopping) }).await;
    assert_eq!(trace.outcome, Outcome::Cancelled);
    assert_eq!(trace.chunks.len(), 1);
    assert_eq!(trace.done, None);
}

/// A stream with a new event each time the task runs.
#[tokio::test]
async fn a_stop_that_arrives_with_bytes_is_detected() {
    let endpoint = endpoint_at((Ipv4Addr::LOCALHOST, 1).into());
    let (ours, mut theirs) = tokio::io::duplex(1 << 20);
    let mut connection = StreamConnection::over(Arc::clone(endpoint.target()), ours).await;
    let (stopper, mut stop) = Stop::new();
    let chunks = AtomicU64::new(0);
    let prepared = prepared(&endpoint, patient());
    let trace = RequestTrace::new(0, 0, Phase::Measured);
    let built = prepared.build(ConversationTurn::first(0));
    let sending = Sending { built, trace, stop: &mut stop, chunks: &chunks };
    let serving = async move {
        theirs.write_all(STREAM_HEAD.as_bytes()).await.unwrap();
        let mut stopper = Some(stopper);
        for sent in 0..100 {
            // In the end nobody reads any more.
            let _ = theirs.write_all(content("a").as_bytes()).await;
            if sent == 10 {
                stopper = None;
            }
            tokio::task::yield_now().await;
        }
        drop(stopper);
    };
    let (trace, ()) =
        within("a stop", async { tokio::join!(biased; connection.send(sending), serving) }).await;
    assert_eq!(trace.outcome, Outcome::Cancelled);
    assert!(trace.chunks.len() < 20, "{} chunks", trace.chunks.len());
}
