//! What fuzzing checks: bytes in, a panic if something is wrong. Driven by cargo-fuzz, and by a short
//! run among the agent's tests (`agent/tests/fuzz.rs`).
//!
//! The first bytes of an input say where the rest is cut into pieces.

use std::ops::ControlFlow;
use std::sync::Arc;

use regatta_agent::endpoint::sse::{Decoder, TooLong};
use regatta_agent::endpoint::{Ending, Expected, Limits, Recorder, Wanted};
use regatta_types::time::MonoNs;
use regatta_types::trace::{Phase, RequestTrace};

/// The rest of an input, and the pieces into which its first bytes cut it.
fn pieces(input: &[u8]) -> (&[u8], Vec<&[u8]>) {
    let (&count, rest) = input.split_first().unwrap_or((&0, input));
    let (sizes, body) = rest.split_at(usize::from(count % 16).min(rest.len()));
    let mut pieces = Vec::with_capacity(sizes.len() + 1);
    let mut left = body;
    for &size in sizes {
        let (piece, more) = left.split_at(usize::from(size).min(left.len()));
        pieces.push(piece);
        left = more;
    }
    pieces.push(left);
    (body, pieces)
}

/// Server-sent events are the same however their bytes are cut, with a limit so small that it is
/// often reached.
pub(crate) fn sse(input: &[u8]) {
    let (body, pieces) = pieces(input);
    for limit in [24, 1 << 20] {
        assert_eq!(decode(&pieces, limit), decode(&[body], limit));
    }
}

fn decode(pieces: &[&[u8]], limit: usize) -> (Vec<Vec<u8>>, Result<(), TooLong>) {
    let mut decoder = Decoder::new(limit);
    let mut events = Vec::new();
    let mut keep = |data: &[u8]| {
        events.push(data.to_vec());
        ControlFlow::Continue(())
    };
    let pushed = pieces.iter().try_for_each(|piece| decoder.push(piece, &mut keep));
    let result = pushed.and_then(|()| decoder.finish(&mut keep));
    (events, result)
}

/// A response's body makes the same trace however it is cut. With debug assertions, each event that
/// a template reads is compared with what the parser makes of it.
pub(crate) fn recorder(input: &[u8]) {
    let (body, pieces) = pieces(input);
    let whole = record(&[body]);
    assert_eq!(record(&pieces), whole);
    assert!(whole.chunks.iter().all(|chunk| chunk.chars > 0));
    assert!(!whole.is_ok() || (whole.finish_reason.is_some() && !whole.chunks.is_empty()));
}

fn record(pieces: &[&[u8]]) -> RequestTrace {
    let expected = Expected {
        limits: Limits::new(4096, 512),
        other_models: Arc::new(["other".to_owned()]),
        max_tokens: 16,
        keep_text: true,
    };
    let mut recorder = Recorder::new(RequestTrace::new(0, 0, Phase::Measured), expected);
    for piece in pieces {
        if recorder.feed(piece, MonoNs(1)) != Wanted::More {
            break;
        }
    }
    recorder.conclude(Ending::Complete, MonoNs(2))
}
