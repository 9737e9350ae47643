//! When each event of an answer is due: pure, decided before the first token is sent.
//!
//! Instants are offsets from the request's arrival, so that an event sent late delays no other.

use std::ops::Range;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::chat::Accepted;
use crate::options::{SimOptions, TokensPerChunk};

/// The words answers are made of. All have five letters: with their space six bytes a token, so
/// that a client that shares out tokens by length of text is right.
const WORDS: [&str; 32] = [
    "river", "light", "stone", "cloud", "north", "wheel", "paper", "green", "sound", "table",
    "water", "field", "coast", "metal", "plain", "tower", "valve", "ocean", "brick", "glass",
    "track", "steam", "linen", "cedar", "drift", "amber", "quiet", "orbit", "hinge", "ledge",
    "frost", "grain",
];

/// The id of the first of them; ids below are special tokens in most vocabularies.
const FIRST_ID: usize = 1000;

/// One event with text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    /// When to send it, after the request's arrival.
    pub(crate) due: Duration,
    /// Its tokens, counted from 0 within the answer.
    pub(crate) tokens: Range<u32>,
    /// Whether they are reasoning.
    pub(crate) reasoning: bool,
}

/// The events of one answer, in order.
#[derive(Debug)]
pub(crate) struct Schedule {
    ttft: Duration,
    inter_token: Duration,
    first_chunk: u32,
    chunk: TokensPerChunk,
    reasoning: u32,
    total: u32,
    next: u32,
    rng: ChaCha8Rng,
}

impl Schedule {
    /// The schedule of the `number`-th request.
    pub(crate) fn new(options: &SimOptions, number: u64, request: &Accepted) -> Self {
        let total = request.completion_tokens;
        let uncached = request.prompt_tokens - request.cached_tokens.unwrap_or(0);
        let prefill = options.prefill_tps.map_or(Duration::ZERO, |tps| {
            Duration::from_secs_f64(f64::from(uncached) / f64::from(tps))
        });
        let (rng, (ttft, inter_token)) = draw_times(options, number, prefill);
        Self {
            ttft,
            inter_token,
            first_chunk: options.first_chunk,
            chunk: options.tokens_per_chunk,
            reasoning: options.reasoning_tokens.min(total),
            total,
            next: 0,
            rng,
        }
    }

    /// Between two tokens.
    pub(crate) fn inter_token(&self) -> Duration {
        self.inter_token
    }

    /// How many of the tokens are reasoning.
    pub(crate) fn reasoning(&self) -> u32 {
        self.reasoning
    }
}

impl Iterator for Schedule {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        let start = self.next;
        if start >= self.total {
            return None;
        }
        let size = match self.chunk {
            _ if start == 0 => self.first_chunk,
            TokensPerChunk::Fixed(n) => n,
            TokensPerChunk::Random { max } => self.rng.random_range(1..=max),
        };
        let reasoning = start < self.reasoning;
        let limit = if reasoning { self.reasoning } else { self.total };
        let end = start.saturating_add(size).min(limit);
        self.next = end;
        let due = self.ttft + self.inter_token * (end - 1);
        Some(Piece { due, tokens: start..end, reasoning })
    }
}

/// TTFT, which is longer by `prefill`, and inter-token time of the `number`-th request; with the
/// generator to go on with.
fn draw_times(
    options: &SimOptions,
    number: u64,
    prefill: Duration,
) -> (ChaCha8Rng, (Duration, Duration)) {
    let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
    rng.set_stream(number);
    let stretch = options.stretch();
    let mut draw = |d: Duration| {
        // At four deviations of the largest jitter the factor would turn negative.
        let factor = (1.0 + options.jitter * standard_normal(&mut rng)).max(0.1);
        d.mul_f64(factor * stretch)
    };
    let times = (draw(options.ttft + prefill), draw(options.inter_token));
    (rng, times)
}

impl SimOptions {
    /// When the first token of each request is due, for requests that arrive at these instants, in
    /// this order, with these options; instants count from the first arrival. Right as long as
    /// there is no `parallel` limit and prompts do not count (`prefill_tps`).
    #[must_use]
    pub fn first_tokens(&self, arrivals: &[Duration]) -> Vec<Duration> {
        let due = |(number, arrival): (u64, &Duration)| {
            let due = *arrival + first_due(self, number);
            self.freeze.map_or(due, |freeze| freeze.shift(*arrival, due))
        };
        (0..).zip(arrivals).map(due).collect()
    }
}

/// When the first event of the `number`-th request is due after its arrival, for any prompt.
fn first_due(options: &SimOptions, number: u64) -> Duration {
    let (ttft, inter_token) = draw_times(options, number, Duration::ZERO).1;
    ttft + inter_token * (options.first_chunk - 1)
}

/// Box-Muller: one draw of the standard normal distribution.
fn standard_normal(rng: &mut ChaCha8Rng) -> f64 {
    let (u, v): (f64, f64) = (rng.random(), rng.random());
    (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

/// The text of some tokens.
pub(crate) fn text(seed: u64, tokens: Range<u32>) -> String {
    let mut out = String::with_capacity(tokens.len() * 6);
    for token in tokens {
        out.push_str(WORDS[word(seed, token)]);
        out.push(' ');
    }
    out
}

/// The ids of some tokens, as the items of a JSON list.
pub(crate) fn ids(seed: u64, tokens: Range<u32>) -> String {
    let ids: Vec<_> = tokens.map(|token| (FIRST_ID + word(seed, token)).to_string()).collect();
    ids.join(",")
}

/// Which of [`WORDS`] a token is.
fn word(seed: u64, token: u32) -> usize {
    // SplitMix64's finalizer: adjacent numbers get unrelated words.
    let mut z = seed.wrapping_add(u64::from(token).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    // The top five bits: 32 words.
    (z >> 59) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::freeze::Freeze;

    fn options() -> SimOptions {
        SimOptions {
            ttft: Duration::from_millis(100),
            inter_token: Duration::from_millis(10),
            ..SimOptions::default()
        }
    }

    fn schedule(options: &SimOptions, number: u64, completion_tokens: u32) -> Schedule {
        Schedule::new(options, number, &Accepted::for_tests(completion_tokens))
    }

    fn piece(due_ms: u64, tokens: Range<u32>, reasoning: bool) -> Piece {
        Piece { due: Duration::from_millis(due_ms), tokens, reasoning }
    }

    #[test]
    fn without_jitter_token_i_is_due_at_ttft_plus_i_gaps() {
        let pieces: Vec<_> = schedule(&options(), 7, 3).collect();
        assert_eq!(
            pieces,
            [piece(100, 0..1, false), piece(110, 1..2, false), piece(120, 2..3, false)]
        );
    }

    #[test]
    fn chunks_wait_for_their_last_token_and_never_mix_reasoning_with_answer() {
        let options = SimOptions {
            tokens_per_chunk: TokensPerChunk::Fixed(3),
            reasoning_tokens: 5,
            ..options()
        };
        let pieces: Vec<_> = schedule(&options, 0, 9).collect();
        assert_eq!(
            pieces,
            [
                piece(100, 0..1, true),
                piece(130, 1..4, true),
                piece(140, 4..5, true),
                piece(170, 5..8, false),
                piece(180, 8..9, false),
            ]
        );
    }

    #[test]
    fn a_slow_host_stretches_first_token_and_gaps() {
        let options = SimOptions { slow_percent: 20.0, ..options() };
        let pieces: Vec<_> = schedule(&options, 0, 2).collect();
        assert_eq!(pieces[0].due, Duration::from_millis(125));
        assert_eq!(pieces[1].due, Duration::from_micros(137_500));
    }

    #[test]
    fn jitter_has_the_set_deviation_and_follows_the_seed() {
        let options = SimOptions { jitter: 0.05, ..options() };
        let gaps: Vec<f64> =
            (0..2000).map(|n| schedule(&options, n, 2).inter_token.as_secs_f64() / 0.010).collect();
        let mean = gaps.iter().sum::<f64>() / 2000.0;
        let sd = (gaps.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / 1999.0).sqrt();
        assert!((mean - 1.0).abs() < 0.005 && (sd - 0.05).abs() < 0.004, "{mean} {sd}");

        let again = schedule(&options, 5, 2);
        assert_eq!(schedule(&options, 5, 2).inter_token, again.inter_token);
        let other = SimOptions { seed: 2, ..options };
        assert_ne!(schedule(&other, 5, 2).inter_token, again.inter_token);
    }

    #[test]
    fn random_chunks_cover_every_token_once() {
        let options =
            SimOptions { tokens_per_chunk: TokensPerChunk::Random { max: 4 }, ..options() };
        let pieces: Vec<_> = schedule(&options, 1, 100).collect();
        let mut next = 0;
        for p in &pieces {
            assert_eq!(p.tokens.start, next);
            assert!((1..=4).contains(&p.tokens.len()));
            next = p.tokens.end;
        }
        assert_eq!(next, 100);
        assert!(pieces.len() < 80, "{}", pieces.len());
    }

    #[test]
    fn text_is_a_function_of_seed_and_token_number() {
        assert_eq!(text(1, 0..4), text(1, 0..2) + &text(1, 2..4));
        assert_ne!(text(1, 0..8), text(2, 0..8));
        assert_eq!(text(1, 0..8).len(), 48);
    }

    #[test]
    fn a_first_chunk_of_several_tokens_comes_when_its_last_one_is_due() {
        let options = SimOptions { first_chunk: 3, ..options() };
        let pieces: Vec<_> = schedule(&options, 0, 4).collect();
        assert_eq!(pieces, [piece(120, 0..3, false), piece(130, 3..4, false)]);
    }

    #[test]
    fn the_first_token_waits_for_the_prompt_that_is_not_cached() {
        let options = SimOptions { prefill_tps: Some(1000), ..options() };
        let first = |cached_tokens| {
            let request = Accepted { prompt_tokens: 500, cached_tokens, ..Accepted::for_tests(1) };
            Schedule::new(&options, 0, &request).next().unwrap().due
        };
        assert_eq!(first(None), Duration::from_millis(600));
        assert_eq!(first(Some(480)), Duration::from_millis(120));
    }

    #[test]
    fn the_truth_of_a_freeze_can_be_computed() {
        let ms = Duration::from_millis;
        let freeze = Some(Freeze { after: ms(1000), length: ms(500) });
        let options = SimOptions { freeze, first_chunk: 2, ..SimOptions::default() };
        let due = options.first_tokens(&[ms(0), ms(900), ms(1100), ms(1600)]);
        assert_eq!(due, [ms(220), ms(1620), ms(1720), ms(1820)]);
    }
}
