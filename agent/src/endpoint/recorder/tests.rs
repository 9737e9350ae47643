//! Plays the streams recorded from real engines to the recorder, and compares with what an
//! independent decoder (`tests/fixtures/wire/decode.py`) made of them.

mod odd_streams;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use proptest::prelude::*;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use regatta_types::suite::{Message, Role, Timeouts};
use regatta_types::trace::{Phase, SendStamp, TokenSource, Usage};
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::super::testing::{attempt_key, endpoint_at, within};
use super::super::{Ask, ConversationTurn, Fields, Prepared, Sending, Stop, StreamConnection};
use super::*;

/// What the other decoder says of a recording.
#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Decoded {
    status: u16,
    error: Option<String>,
    #[serde(flatten)]
    stream: Option<DecodedStream>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct DecodedStream {
    text: String,
    reasoning: String,
    usage: Option<DecodedUsage>,
    finish_reason: Option<String>,
    events: u32,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct DecodedUsage {
    prompt: u64,
    completion: u64,
    cached: Option<u64>,
    reasoning: Option<u64>,
}

struct Recording {
    name: String,
    raw: Vec<u8>,
    expected: Decoded,
}

fn recordings() -> Vec<Recording> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/wire");
    let expected = std::fs::read(folder.join("expected.json")).unwrap();
    let expected: BTreeMap<String, Decoded> = serde_json::from_slice(&expected).unwrap();
    let all: Vec<Recording> = expected
        .into_iter()
        .map(|(name, expected)| {
            let raw = std::fs::read(folder.join(format!("{name}.http"))).unwrap();
            Recording { name, raw, expected }
        })
        .collect();
    assert!(all.len() > 60, "{} recordings", all.len());
    all
}

fn streams() -> impl Iterator<Item = (String, Vec<u8>, DecodedStream)> {
    recordings().into_iter().filter_map(|recording| {
        let stream = recording.expected.stream?;
        Some((recording.name, body(&recording.raw), stream))
    })
}

/// The body of a recorded response, without its chunk framing.
fn body(raw: &[u8]) -> Vec<u8> {
    let head = raw.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
    assert!(String::from_utf8_lossy(&raw[..head]).to_lowercase().contains("chunked"));
    let (mut rest, mut body) = (&raw[head..], Vec::new());
    while let Some(at) = rest.windows(2).position(|w| w == b"\r\n") {
        let size = usize::from_str_radix(str::from_utf8(&rest[..at]).unwrap(), 16).unwrap();
        if size == 0 {
            break;
        }
        body.extend_from_slice(&rest[at + 2..at + 2 + size]);
        rest = &rest[at + 4 + size..];
    }
    body
}

fn expected(max_tokens: u32) -> Expected {
    Expected {
        limits: Limits::new(4096, max_tokens),
        other_models: Arc::new([]),
        max_tokens,
        keep_text: true,
    }
}

fn play<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> RequestTrace {
    let trace = RequestTrace::new(0, 0, Phase::Measured);
    let mut recorder = Recorder::new(trace, expected(4096));
    for (at, piece) in (1..).zip(pieces) {
        if recorder.feed(piece, MonoNs(at)) != Wanted::More {
            break;
        }
    }
    recorder.conclude(Ending::Complete, MonoNs(u64::MAX))
}

fn decoded(trace: &RequestTrace) -> DecodedStream {
    // The other decoder leaves reasoning in the text.
    let kind_of = |chunk: &Chunk| {
        if trace.inline_reasoning { ChunkKind::Answer } else { chunk.kind }
    };
    let length = |kind| -> usize {
        let chunks = trace.chunks.iter().filter(|chunk| kind_of(chunk) == kind);
        chunks.map(|chunk| usize::try_from(chunk.chars).unwrap()).sum()
    };
    let both = trace.answer.text.clone().unwrap_or_default();
    let at = both.char_indices().nth(length(ChunkKind::Reasoning)).map_or(both.len(), |(at, _)| at);
    let (reasoning, text) = both.split_at(at);
    assert_eq!(text.chars().count(), length(ChunkKind::Answer));
    DecodedStream {
        text: text.to_owned(),
        reasoning: reasoning.to_owned(),
        usage: trace.usage.map(|Usage { prompt, completion, cached, reasoning }| DecodedUsage {
            prompt,
            completion,
            cached,
            reasoning,
        }),
        finish_reason: trace.finish_reason.as_ref().map(|reason| reason.name().to_owned()),
        events: trace.events,
    }
}

#[tokio::test]
async fn recordings_played_over_http_decode_as_the_other_decoder_says() {
    let endpoint = endpoint_at((Ipv4Addr::LOCALHOST, 1).into());
    let ask = Ask {
        messages: &[Message { role: Role::User, content: "Hello.".to_owned() }],
        max_tokens: 4096,
        temperature: 0.0,
        seed: None,
        timeouts: Timeouts::default(),
        keep_text: true,
    };
    let prepared = Prepared::of_ask(&endpoint, &attempt_key(), &ask, Fields::default()).unwrap();
    for Recording { name, raw, expected } in recordings() {
        let (ours, mut theirs) = tokio::io::duplex(1 << 20);
        let server = async move {
            let mut request = [0; 4096];
            assert!(theirs.read(&mut request).await.unwrap() > 0);
            theirs.write_all(&raw).await.unwrap();
            theirs.shutdown().await.unwrap();
        };
        let mut connection = StreamConnection::over(Arc::clone(endpoint.target()), ours).await;
        let (_stopper, mut stop) = Stop::new();
        let sending = Sending {
            built: prepared.build(ConversationTurn::first(0)),
            trace: RequestTrace::new(0, 0, Phase::Measured),
            stop: &mut stop,
            chunks: &std::sync::atomic::AtomicU64::new(0),
        };
        let (trace, ()) =
            within(&name, async { tokio::join!(connection.send(sending), server) }).await;
        assert_eq!(trace.http_status, Some(expected.status), "{name}");
        match (expected.stream, trace.outcome.clone()) {
            (Some(stream), outcome) => {
                let whole = stream.finish_reason.is_some()
                    && !(stream.text.is_empty() && stream.reasoning.is_empty());
                assert_eq!(outcome == Outcome::Ok, whole, "{name}: {outcome:?}");
                assert_eq!(decoded(&trace), stream, "{name}");
            }
            (None, Outcome::Failed(failure)) => {
                let message = regatta_types::clean::excerpt(&expected.error.unwrap(), 300);
                assert_eq!((failure.kind, failure.message), (FailureKind::HttpStatus, message));
            }
            (None, outcome) => panic!("{name}: {outcome:?}"),
        }
    }
}

fn events(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
    let mut decoder = Decoder::new(1 << 20);
    let mut events = Vec::new();
    for piece in pieces {
        let keep = |data: &[u8]| {
            events.push(data.to_vec());
            ControlFlow::Continue(())
        };
        decoder.push(piece, keep).unwrap();
    }
    events
}

#[test]
fn every_split_in_two_gives_the_same_events() {
    for (name, body, _) in streams() {
        let whole = events(&[&body]);
        for cut in 0..=body.len() {
            let (head, tail) = body.split_at(cut);
            assert!(events(&[head, tail]) == whole, "{name} cut at {cut}");
        }
    }
}

/// The work grows with the square of the length; unoptimized, the long recordings would take a
/// minute, so they are left to optimized builds. What they could show beyond their events, which
/// are compared above in any build, the others show as well.
#[test]
fn every_split_in_two_fills_the_trace_alike() {
    let longest = if cfg!(debug_assertions) { 4 << 10 } else { usize::MAX };
    for (name, body, expected) in streams().filter(|(_, body, _)| body.len() <= longest) {
        for cut in 0..=body.len() {
            let (head, tail) = body.split_at(cut);
            assert_eq!(decoded(&play([head, tail])), expected, "{name} cut at {cut}");
        }
    }
}

#[test]
fn a_thousand_random_splits_fill_the_trace_alike() {
    let mut random = SmallRng::seed_from_u64(1);
    let streams: Vec<_> = streams().collect();
    for (name, body, expected) in streams.iter().cycle().take(1000) {
        let mut cuts = vec![0, body.len()];
        cuts.extend((0..random.random_range(1..50)).map(|_| random.random_range(0..body.len())));
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|pair| &body[pair[0]..pair[1]]);
        assert_eq!(decoded(&play(pieces)), *expected, "{name} cut at {cuts:?}");
    }
}

#[test]
fn engines_that_count_every_chunk_are_believed_and_agree_with_their_total() {
    for (name, source) in [
        ("vllm/stream-token-ids", TokenSource::TokenIds),
        ("vllm/stream-usage-continuous", TokenSource::ContinuousUsage),
    ] {
        let (_, body, expected) = streams().find(|(stream, ..)| stream == name).unwrap();
        let trace = play([body.as_slice()]);
        assert_eq!(trace.token_source(), Some(source), "{name}");
        let total = expected.usage.unwrap().completion as f64;
        assert_eq!(trace.completion_tokens(), Some(total), "{name}");
    }
}

#[test]
fn tokens_without_text_belong_to_the_next_chunk_and_the_last_to_the_last() {
    let event = |text: &str, ids: &str| {
        format!(r#"data: {{"choices":[{{"delta":{{"content":"{text}"}},"token_ids":{ids}}}]}}"#)
            + "\n\n"
    };
    let stream = [event("", "[1]"), event("\u{e9}", "[2]"), event("a", "[3]"), event("", "[4]")];
    let trace = play([stream.concat().as_bytes()]);
    let tokens: Vec<_> = trace.chunks.iter().map(|chunk| chunk.tokens).collect();
    assert_eq!(tokens, [Some(2), Some(2)]);
}

#[test]
fn the_engines_own_timings_are_kept() {
    let (_, body, _) = streams().find(|(name, ..)| name == "llamacpp/stream-usage").unwrap();
    let timings = play([body.as_slice()]).server_timings.unwrap();
    assert!(timings.prompt_ms > 0.0 && timings.predicted_ms > timings.prompt_ms, "{timings:?}");
}

#[test]
fn text_is_dropped_unless_it_is_to_be_kept() {
    let (_, body, stream) = streams().find(|(name, ..)| name == "vllm/stream").unwrap();
    let quiet = Expected { keep_text: false, ..expected(64) };
    let mut recorder = Recorder::new(RequestTrace::new(0, 0, Phase::Measured), quiet);
    recorder.feed(&body, MonoNs(1));
    let answer = recorder.conclude(Ending::Complete, MonoNs(2)).answer;
    assert_eq!(answer.text, None);
    assert_eq!(answer.sha256, hex::encode(Sha256::digest(&stream.text)));
    assert_eq!(answer.chars, stream.text.chars().count() as u64);
}

#[test]
fn a_last_event_without_its_blank_line_counts_unless_it_is_cut() {
    let text = r#"data: {"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}"#;
    assert_eq!(play([text.as_bytes()]).outcome, Outcome::Ok);
    let cut = play([&text.as_bytes()[..text.len() - 2]]);
    let Outcome::Failed(failure) = cut.outcome else { panic!("{:?}", cut.outcome) };
    assert_eq!((failure.kind, cut.events), (FailureKind::IncompleteStream, 0));
}

proptest! {
    /// Any bytes from an engine are recorded or classified, and never cause a panic.
    #[test]
    fn no_stream_panics(
        parts in prop::collection::vec(
            prop_oneof![
                prop::collection::vec(any::<u8>(), 0..20),
                prop::sample::select(vec![
                    "data: ", "\n\n", "[DONE]", "{\"choices\":[", "{\"delta\":{\"content\":\"\u{1f600}\"}",
                    ",\"token_ids\":[1,2]", "}", "]", ",", "\"usage\":{\"prompt_tokens\":1,",
                    "\"completion_tokens\":18446744073709551615}", "\"error\":", "null", "\"\\ud83d\"", "-1",
                    ",\"finish_reason\":\"stop\"",
                ])
                .prop_map(|text| text.as_bytes().to_vec()),
            ],
            0..30,
        ),
    ) {
        let trace = play(parts.iter().map(Vec::as_slice));
        prop_assert!(trace.chunks.iter().all(|chunk| chunk.chars > 0));
        prop_assert!(!trace.is_ok() || trace.finish_reason.is_some());
    }
}
