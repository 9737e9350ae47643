//! What is derived from one request (metrics_schema 1); docs/metrics.md explains each.

use std::time::Duration;

use super::{Chunk, ChunkCounts, DECODE_MIN_TOKENS, PREFILL_MIN_TOKENS, RequestTrace, TokenSource};
use crate::time::MonoNs;

impl RequestTrace {
    /// Lateness of the send, seconds: `t_send - t_sched`; `None` in a closed loop.
    #[must_use]
    pub fn send_lateness(&self) -> Option<f64> {
        Self::seconds(self.scheduled, self.t_send())
    }

    /// Uncertainty of the send instant, seconds: from just before the write of the request's first
    /// bytes (`t_send`) to its return. The time to first token is too long by at most this.
    #[must_use]
    pub fn send_uncertainty(&self) -> Option<f64> {
        self.sent.map(|sent| sent.after.since(sent.before).as_secs_f64())
    }

    /// Whether that is more than a time to first token can bear: over 1 ms or over 1 % of it.
    #[must_use]
    pub fn is_send_unsure(&self) -> bool {
        const WIDEST: f64 = 0.001;
        const SHARE: f64 = 0.01;
        let limit = self.ttft().map_or(WIDEST, |ttft| WIDEST.min(SHARE * ttft));
        self.send_uncertainty().is_some_and(|width| width > limit)
    }

    /// `t_sched`, or `t_send` in a closed loop: where open-loop latencies and SLOs begin.
    #[must_use]
    pub fn t_due(&self) -> Option<MonoNs> {
        self.scheduled.or_else(|| self.t_send())
    }

    /// Time to first token from the scheduled instant, seconds: `t_1 - t_sched`; `None` in a closed
    /// loop.
    #[must_use]
    pub fn ttft_sched(&self) -> Option<f64> {
        Self::seconds(self.scheduled, self.t_first())
    }

    /// End-to-end latency from the scheduled instant, seconds: `t_last - t_sched`; `None` in a
    /// closed loop.
    #[must_use]
    pub fn e2e_sched(&self) -> Option<f64> {
        Self::seconds(self.scheduled, self.t_last())
    }

    /// From the send to `[DONE]` or the end of the body, seconds: `t_done - t_send`.
    #[must_use]
    pub fn e2e_done(&self) -> Option<f64> {
        Self::seconds(self.t_send(), self.done)
    }

    /// Prefill speed, tokens per second: `(p - c) / ttft`. It includes queueing, so it means
    /// something with one stream only. `None` with fewer than 256 uncached prompt tokens.
    #[must_use]
    pub fn prefill_tps(&self) -> Option<f64> {
        let usage = self.usage?;
        let uncached = usage.prompt.saturating_sub(usage.cached.unwrap_or(0));
        let seconds = self.ttft()?;
        (uncached >= PREFILL_MIN_TOKENS && seconds > 0.0).then(|| uncached as f64 / seconds)
    }

    /// Where this request's token counts come from; `None` without any text.
    #[must_use]
    pub fn token_source(&self) -> Option<TokenSource> {
        if self.chunks.is_empty() {
            return self.usage.map(|_| TokenSource::Usage);
        }
        if self.chunks.iter().all(|c| c.tokens.is_some()) {
            match self.chunk_counts {
                Some(ChunkCounts::TokenIds) => return Some(TokenSource::TokenIds),
                Some(ChunkCounts::ContinuousUsage) => return Some(TokenSource::ContinuousUsage),
                None => {}
            }
        }
        Some(if self.usage.is_some() {
            TokenSource::Usage
        } else if self.tokenizer_count.is_some() {
            TokenSource::Tokenizer
        } else {
            TokenSource::Chunks
        })
    }

    /// `n`: completion tokens by the best source.
    #[must_use]
    pub fn completion_tokens(&self) -> Option<f64> {
        match self.token_source()? {
            TokenSource::Usage => self.usage.map(|u| u.completion as f64),
            TokenSource::Tokenizer => self.tokenizer_count.map(|n| n as f64),
            TokenSource::TokenIds | TokenSource::ContinuousUsage => {
                Some(self.chunks.iter().map(|c| f64::from(c.tokens.unwrap_or(0))).sum())
            }
            TokenSource::Chunks => Some(self.chunks.len() as f64),
        }
    }

    /// `k_i`: tokens of each chunk by the best source.
    ///
    /// From a count of the whole answer: one token for each of the `m` chunks and the surplus
    /// `n - m` shared in proportion to the length of the text; with more chunks than tokens `n / m`
    /// each.
    pub fn chunk_tokens(&self) -> impl Iterator<Item = f64> + '_ {
        let shares = self.shares();
        self.chunks.iter().map(move |chunk| shares.of(chunk))
    }

    fn shares(&self) -> Shares {
        match self.token_source() {
            Some(TokenSource::TokenIds | TokenSource::ContinuousUsage) => Shares::Told,
            Some(TokenSource::Chunks) | None => Shares::Even(1.0),
            Some(TokenSource::Usage | TokenSource::Tokenizer) => {
                let m = self.chunks.len() as f64;
                let n = self.completion_tokens().unwrap_or(0.0);
                let chars: f64 = self.chunks.iter().map(|c| f64::from(c.chars)).sum();
                if n <= m || chars == 0.0 {
                    Shares::Even(n / m)
                } else {
                    Shares::ByLength { surplus: n - m, chars }
                }
            }
        }
    }

    /// Tokens and seconds of the decode phase: `(n - k_1, t_last - t_1)`. `None` with fewer than
    /// two chunks, fewer than 16 tokens after the first chunk, or no time between them.
    #[must_use]
    pub fn decode_span(&self) -> Option<(f64, f64)> {
        if self.chunks.len() < 2 {
            return None;
        }
        let tokens = self.completion_tokens()? - self.chunk_tokens().next()?;
        let seconds = Self::seconds(self.t_first(), self.t_last())?;
        (tokens >= DECODE_MIN_TOKENS && seconds > 0.0).then_some((tokens, seconds))
    }

    /// Decode speed, tokens per second: `(n - k_1) / (t_last - t_1)`.
    #[must_use]
    pub fn decode_tps(&self) -> Option<f64> {
        self.decode_span().map(|(tokens, seconds)| tokens / seconds)
    }

    /// Time per output token after the first chunk, seconds: `(t_last - t_1) / (n - k_1)`.
    #[must_use]
    pub fn tpot(&self) -> Option<f64> {
        self.decode_span().map(|(tokens, seconds)| seconds / tokens)
    }

    /// End-to-end speed, tokens per second: `n / e2e`.
    #[must_use]
    pub fn e2e_tps(&self) -> Option<f64> {
        let seconds = self.e2e()?;
        (seconds > 0.0).then(|| self.completion_tokens().map(|n| n / seconds))?
    }

    /// Gaps between consecutive chunks with text. Between chunks of one read there is none: when each
    /// of them came is unknown.
    pub fn chunk_gaps(&self) -> impl Iterator<Item = Duration> + '_ {
        let apart = self.chunks.windows(2).filter(|pair| pair[0].at != pair[1].at);
        apart.map(|pair| pair[1].at.since(pair[0].at))
    }

    /// Gap before each read divided by the tokens in it, with the tokens as weight, seconds: the
    /// inter-token latency. A read without tokens passes its gap on to the next.
    pub fn inter_token(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        let mut tokens = self.chunk_tokens();
        let (mut last, mut carried) = (None, 0.0);
        self.reads().filter_map(move |chunks| {
            let k: f64 = tokens.by_ref().take(chunks.len()).sum();
            let at = chunks[0].at;
            carried += at.since(last.replace(at)?).as_secs_f64();
            (k > 0.0).then(|| (std::mem::take(&mut carried) / k, k))
        })
    }

    /// Chunks by the read that brought them: they share a stamp.
    pub fn reads(&self) -> impl Iterator<Item = &[Chunk]> {
        self.chunks.chunk_by(|a, b| a.at == b.at)
    }

    /// Whether the stream was buffered on its way. Streaming metrics of such a request mean nothing.
    ///
    /// With at least 32 tokens: all of them in one chunk, or 90 % of the chunks within one window
    /// of 5 ms that also looks like one burst. That many tokens in 5 ms may come from a really
    /// fast engine (some 6,000 tokens per second), whose chunks have an arrival each and whose
    /// first one is not held back. So the burst must either share few arrivals, at most one for
    /// ten chunks, because a buffer is flushed in a few writes, or take at most a hundredth of the
    /// time to first token, because a proxy that holds an answer back until its end, and then sends
    /// it chunk by chunk, makes the first token as late as the last.
    #[must_use]
    pub fn is_buffered(&self) -> bool {
        const WINDOW: Duration = Duration::from_millis(5);
        let is_long = || self.completion_tokens().is_some_and(|tokens| tokens >= 32.0);
        if self.chunks.len() < 2 {
            return !self.chunks.is_empty() && is_long();
        }
        let needed = (self.chunks.len() * 9).div_ceil(10);
        let span = |start: usize| self.chunks[start + needed - 1].at.since(self.chunks[start].at);
        let mut starts = 0..=self.chunks.len() - needed;
        // These are in every such burst.
        let (first, last) = (*starts.end(), needed - 1);
        if self.chunks[last].at.since(self.chunks[first].at) > WINDOW || !is_long() {
            return false;
        }
        let is_later = |i: usize| usize::from(self.chunks[i - 1].at < self.chunks[i].at);
        // Of the burst at hand; kept up to date from one to the next.
        let mut arrivals = 1 + (1..needed).map(is_later).sum::<usize>();
        starts.any(|start| {
            if start > 0 {
                arrivals = arrivals - is_later(start) + is_later(start + needed - 1);
            }
            let span = span(start);
            let at_once = arrivals * 10 <= needed;
            let held_back = self.ttft().is_some_and(|ttft| span.as_secs_f64() * 100.0 <= ttft);
            span <= WINDOW && (at_once || held_back)
        })
    }
}

/// How the tokens of an answer are shared out over its chunks.
#[derive(Clone, Copy)]
enum Shares {
    /// The engine says.
    Told,
    /// The same to each.
    Even(f64),
    /// One to each, and the surplus by the length of the text.
    ByLength { surplus: f64, chars: f64 },
}

impl Shares {
    fn of(self, chunk: &Chunk) -> f64 {
        match self {
            Self::Told => f64::from(chunk.tokens.unwrap_or(0)),
            Self::Even(tokens) => tokens,
            Self::ByLength { surplus, chars } => 1.0 + surplus * (f64::from(chunk.chars) / chars),
        }
    }
}
