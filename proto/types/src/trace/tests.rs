use super::*;

const MS: u64 = 1_000_000;

/// A trace sent at 1 s whose chunks arrive at the given milliseconds after the send.
fn trace(arrivals_ms: &[u64], completion: Option<u64>) -> RequestTrace {
    let start = 1_000 * MS;
    let mut t = RequestTrace::new(0, 0, Phase::Measured);
    t.sent = Some(SendStamp { before: MonoNs(start), after: MonoNs(start + 10_000) });
    t.chunks = arrivals_ms
        .iter()
        .map(|&ms| Chunk {
            at: MonoNs(start + ms * MS),
            late_us: None,
            kind: ChunkKind::Answer,
            chars: 4,
            tokens: None,
        })
        .collect();
    t.usage = completion.map(|n| Usage { prompt: 10, completion: n, ..Usage::default() });
    t.outcome = Outcome::Ok;
    t
}

fn close(a: Option<f64>, b: f64) {
    let a = a.expect("a value");
    assert!((a - b).abs() < 1e-9 * b.abs().max(1.0), "{a} != {b}");
}

#[test]
fn one_token_a_chunk() {
    let arrivals: Vec<u64> = (0..101).map(|i| 200 + 20 * i).collect();
    let t = trace(&arrivals, Some(101));
    close(t.ttft(), 0.2);
    close(t.decode_tps(), 50.0);
    close(t.tpot(), 0.02);
    close(t.e2e(), 2.2);
    close(t.e2e_tps(), 101.0 / 2.2);
}

#[test]
fn a_first_chunk_of_several_tokens_is_not_decoded_twice() {
    // Ten chunks of four tokens each: 36 tokens in 9 gaps of 80 ms.
    let arrivals: Vec<u64> = (0..10).map(|i| 100 + 80 * i).collect();
    let t = trace(&arrivals, Some(40));
    close(t.decode_tps(), 36.0 / 0.72);
    assert!(t.inter_token().all(|(s, k)| (s - 0.02).abs() < 1e-9 && k == 4.0));
}

/// Three tokens that a proxy joined with the first one made a host look 6 % faster.
#[test]
fn chunks_of_the_first_read_are_not_decoded_after_it() {
    let arrivals: Vec<u64> = (0_u64..51).map(|i| 100 + 20 * i.max(3)).collect();
    let t = trace(&arrivals, Some(51));
    assert_eq!(t.reads().next().map(<[_]>::len), Some(4));
    close(t.decode_tps(), 50.0);
    close(t.tpot(), 0.02);
}

#[test]
fn more_chunks_than_tokens_share_what_there_is() {
    let arrivals: Vec<u64> = (0..40).map(|i| 100 + 10 * i).collect();
    let t = trace(&arrivals, Some(20));
    assert_eq!(t.chunk_tokens().collect::<Vec<_>>(), vec![0.5; 40]);
}

#[test]
fn missing_is_not_zero() {
    let t = trace(&[], Some(5));
    assert_eq!((t.ttft(), t.e2e(), t.decode_tps()), (None, None, None));
    let single = trace(&[200], Some(1));
    close(single.ttft(), 0.2);
    assert_eq!((single.decode_tps(), single.tpot()), (None, None));
    let few = trace(&[200, 300], Some(5));
    assert_eq!(few.decode_tps(), None, "four tokens are too few for a speed");
}

#[test]
fn streams_of_over_a_thousand_chunks_per_second_are_not_called_coalesced() {
    let joined = |ms: u64| (0..40).map(|i| 100 + i / 4 * ms).collect::<Vec<_>>();
    assert!(trace(&joined(80), Some(40)).is_coalesced());
    assert!(!trace(&joined(3), Some(40)).is_coalesced());
    assert!(!trace(&[100, 120, 140, 140, 160, 180], Some(6)).is_coalesced(), "once by chance");
}

/// 96 tokens reported of 48 requested: "99.9 % faster".
#[test]
fn more_tokens_than_requested_are_no_count() {
    let arrivals: Vec<u64> = (0..48).map(|i| 100 + 20 * i).collect();
    let mut t = trace(&arrivals, Some(96));
    t.max_tokens = Some(48);
    assert!(t.is_usage_beyond_limit());
    assert_eq!(t.token_source(), Some(TokenSource::Chunks));
    close(t.decode_tps(), 50.0);
    t.max_tokens = Some(95);
    assert_eq!(t.token_source(), Some(TokenSource::Usage), "the token that ends the answer");
    t.max_tokens = Some(40);
    assert_eq!(t.token_source(), Some(TokenSource::Usage), "it did send more than requested");
    t.max_tokens = None;
    assert!(!t.is_usage_beyond_limit());
}

#[test]
fn without_usage_chunks_are_counted_and_marked() {
    let t = trace(&[100, 110, 120], None);
    assert_eq!(t.token_source(), Some(TokenSource::Chunks));
    close(t.completion_tokens(), 3.0);
}

#[test]
fn the_first_answer_token_is_not_the_first_token() {
    let mut t = trace(&[100, 200, 300], Some(3));
    t.chunks[0].kind = ChunkKind::Reasoning;
    t.chunks[1].kind = ChunkKind::Reasoning;
    close(t.ttft(), 0.1);
    close(t.ttfa(), 0.3);
    t.chunks[2].kind = ChunkKind::Reasoning;
    assert_eq!(t.ttfa(), None);
}

#[test]
fn a_stream_in_one_burst_is_buffered() {
    let mut arrivals = vec![100; 36];
    arrivals.extend([200, 300, 400, 500]);
    assert!(trace(&arrivals, Some(40)).is_buffered());
    let spread: Vec<u64> = (0..40).map(|i| 100 + i).collect();
    assert!(!trace(&spread, Some(40)).is_buffered());
}

#[test]
fn a_long_answer_in_one_event_is_buffered() {
    assert!(trace(&[3_000], Some(500)).is_buffered());
    assert!(!trace(&[3_000], Some(31)).is_buffered(), "a short answer may be one event");
    assert!(!trace(&[], Some(500)).is_buffered(), "nothing came");
}

#[test]
fn a_really_fast_engine_is_not_taken_for_a_buffer() {
    // 100 tokens at 20,000 tokens per second, the first after 60 ms.
    let mut fast = trace(&[60; 100], Some(100));
    for (chunk, micros) in fast.chunks.iter_mut().zip((0..).step_by(50)) {
        chunk.at = chunk.at.after(Duration::from_micros(micros));
    }
    assert!(!fast.is_buffered());
}

#[test]
fn an_answer_that_is_held_back_and_passed_on_chunk_by_chunk_is_buffered() {
    // 100 tokens of 20 ms each, collected for 2 s and then passed on 20 us apart.
    let mut held = trace(&[2_000; 100], Some(100));
    for (chunk, micros) in held.chunks.iter_mut().zip((0..).step_by(20)) {
        chunk.at = chunk.at.after(Duration::from_micros(micros));
    }
    assert!(held.is_buffered());
}

#[test]
fn chunks_of_one_read_have_no_gap_between_them() {
    // The second and the third came together, and so did the last two.
    let t = trace(&[100, 120, 120, 140, 200, 200], Some(6));
    let gaps: Vec<u128> = t.chunk_gaps().map(|gap| gap.as_millis()).collect();
    assert_eq!(gaps, [20, 20, 60]);
    let inter_token: Vec<(f64, f64)> = t.inter_token().collect();
    assert_eq!(inter_token.len(), 3);
    for ((seconds, tokens), (wanted, weight)) in
        inter_token.into_iter().zip([(0.01, 2.0), (0.02, 1.0), (0.03, 2.0)])
    {
        assert!((seconds - wanted).abs() < 1e-9 && tokens == weight, "{seconds} s, {tokens}");
    }
    assert_eq!(t.reads().map(<[Chunk]>::len).collect::<Vec<_>>(), [1, 2, 1, 2]);
}
