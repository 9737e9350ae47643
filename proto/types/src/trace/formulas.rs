//! What is derived from one request (metrics_schema 1); docs/metrics.md explains each.

use std::time::Duration;

use super::{Chunk, DECODE_MIN_TOKENS, HiddenTokens, PREFILL_MIN_TOKENS, RequestTrace};
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

    /// Tokens and seconds of the decode phase: `(n - k_1, t_last - t_1)`, where `k_1` are the tokens
    /// of the first read: chunks that a proxy joined with the first one were decoded by then, and
    /// count for no time. Of hidden tokens only the time of the visible ones is known: `n` is without
    /// them. `None` with fewer than two reads, fewer than 16 tokens after the first one, no time
    /// between them, or an unknown number of hidden tokens.
    #[must_use]
    pub fn decode_span(&self) -> Option<(f64, f64)> {
        if self.hidden_tokens() == Some(HiddenTokens::Unknown) {
            return None;
        }
        let first = self.reads().next()?.len();
        let visible = self.completion_tokens()? - self.counted_hidden();
        let tokens = visible - self.chunk_tokens().take(first).sum::<f64>();
        let seconds = Self::seconds(self.t_first(), self.t_last())?;
        (tokens >= DECODE_MIN_TOKENS && seconds > 0.0).then_some((tokens, seconds))
    }

    /// Decode speed, tokens per second: `(n - k_1) / (t_last - t_1)`.
    #[must_use]
    pub fn decode_tps(&self) -> Option<f64> {
        self.decode_span().map(|(tokens, seconds)| tokens / seconds)
    }

    /// Time per output token after the first read, seconds: `(t_last - t_1) / (n - k_1)`.
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

    /// Whether something between agent and engine joins chunks of the stream: the first read or most
    /// reads brought several of them. Not for streams of over 1,000 chunks per second, where the
    /// reader may join them itself.
    #[must_use]
    pub fn is_coalesced(&self) -> bool {
        let joined = |chunks: &&[Chunk]| chunks.len() > 1;
        let (reads, first) = (self.reads().count(), self.reads().next());
        let is_slow = Self::seconds(self.t_first(), self.t_last())
            .is_some_and(|seconds| seconds * 1e3 >= self.chunks.len() as f64);
        let is_joined = || first.is_some_and(|first| joined(&first));
        is_slow && (is_joined() || 2 * self.reads().filter(joined).count() > reads)
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
