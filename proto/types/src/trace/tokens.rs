//! How many tokens a request and its chunks have, and by which source.

use super::{Chunk, ChunkCounts, ChunkKind, HiddenTokens, RequestTrace, TokenSource};

impl RequestTrace {
    /// Whether the engine's usage counts more tokens than the request allows, and than there were
    /// chunks. One more is let pass: some engines count the token that ends the answer. An engine
    /// that ignores the limit sends the chunks, too.
    #[must_use]
    pub fn is_usage_beyond_limit(&self) -> bool {
        let most = self.max_tokens.map(|limit| u64::from(limit) + 1);
        let beyond = |n: u64| most.is_some_and(|most| n > most);
        self.usage.is_some_and(|usage| beyond(usage.completion))
            && !beyond(u64::try_from(self.chunks.len()).unwrap_or(u64::MAX))
    }

    /// Where this request's token counts come from; `None` without any text.
    #[must_use]
    pub fn token_source(&self) -> Option<TokenSource> {
        let has_usage = self.usage.is_some() && !self.is_usage_beyond_limit();
        if self.chunks.is_empty() {
            return has_usage.then_some(TokenSource::Usage);
        }
        if self.chunks.iter().all(|c| c.tokens.is_some()) {
            match self.chunk_counts {
                Some(ChunkCounts::TokenIds) => return Some(TokenSource::TokenIds),
                Some(ChunkCounts::ContinuousUsage) if has_usage && self.do_counts_add_up() => {
                    return Some(TokenSource::ContinuousUsage);
                }
                Some(ChunkCounts::ContinuousUsage) | None => {}
            }
        }
        Some(if has_usage {
            TokenSource::Usage
        } else if self.tokenizer_count.is_some() {
            TokenSource::Tokenizer
        } else {
            TokenSource::Chunks
        })
    }

    /// Whether the counts of the chunks add up to the usage, and most chunks have tokens: some
    /// engines send zeros, or the count of the whole answer, with every event.
    fn do_counts_add_up(&self) -> bool {
        let tokens = || self.chunks.iter().map(|chunk| u64::from(chunk.tokens.unwrap_or(0)));
        let without = tokens().filter(|&tokens| tokens == 0).count();
        let is_sum = self.usage.is_some_and(|usage| usage.completion == tokens().sum::<u64>());
        is_sum && 2 * without <= self.chunks.len()
    }

    /// Tokens that the usage counts and no chunk brought, such as reasoning that the engine or a
    /// proxy does not pass on; `None`: there is no sign of any.
    ///
    /// Where the engine counts the tokens of each event, those of hidden events are in the next chunk
    /// with text. Otherwise the signs are: reasoning tokens in the usage, but no reasoning in the
    /// stream; many events without text in a row; or less than one character for three tokens.
    #[must_use]
    pub fn hidden_tokens(&self) -> Option<HiddenTokens> {
        /// An engine holds back at most a few events, until a character is complete.
        const BLANK: u32 = 8;
        /// More characters per token than in any text: the reasoning is in it.
        const DENSE: u64 = 8;
        /// Tokens per character where no text has as many.
        const SPARSE: u64 = 3;
        if self.token_source() != Some(TokenSource::Usage) || self.chunks.is_empty() {
            return None;
        }
        let usage = self.usage?;
        let chunks = u64::try_from(self.chunks.len()).unwrap_or(u64::MAX);
        let chars: u64 = self.chunks.iter().map(|chunk| u64::from(chunk.chars)).sum();
        let is_shown = self.chunks.iter().any(|chunk| chunk.kind == ChunkKind::Reasoning);
        if let Some(reasoning) = usage.reasoning.filter(|&n| n > 0 && !is_shown) {
            let visible = usage.completion.saturating_sub(reasoning);
            if visible >= chunks && chars <= visible.saturating_mul(DENSE) {
                return Some(HiddenTokens::Counted(reasoning));
            }
        }
        let surplus = usage.completion.saturating_sub(chunks);
        let blank = u64::from(self.blank_events);
        let is_blank =
            self.blank_events >= BLANK && (blank..=4 * blank).contains(&surplus.saturating_add(1));
        let is_sparse = usage.completion >= 32 && usage.completion > chars.saturating_mul(SPARSE);
        (is_blank || is_sparse).then_some(HiddenTokens::Unknown)
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
    /// each. `n` is without hidden tokens.
    pub fn chunk_tokens(&self) -> impl Iterator<Item = f64> + '_ {
        let shares = self.shares();
        self.chunks.iter().map(move |chunk| shares.of(chunk))
    }

    pub(super) fn counted_hidden(&self) -> f64 {
        match self.hidden_tokens() {
            Some(HiddenTokens::Counted(tokens)) => tokens as f64,
            Some(HiddenTokens::Unknown) | None => 0.0,
        }
    }

    fn shares(&self) -> Shares {
        match self.token_source() {
            Some(TokenSource::TokenIds | TokenSource::ContinuousUsage) => Shares::Told,
            Some(TokenSource::Chunks) | None => Shares::Even(1.0),
            Some(TokenSource::Usage | TokenSource::Tokenizer) => {
                let m = self.chunks.len() as f64;
                let n = self.completion_tokens().unwrap_or(0.0) - self.counted_hidden();
                let chars: f64 = self.chunks.iter().map(|c| f64::from(c.chars)).sum();
                if n <= m || chars == 0.0 {
                    Shares::Even(n / m)
                } else {
                    Shares::ByLength { surplus: n - m, chars }
                }
            }
        }
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
