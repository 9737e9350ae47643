//! Findings about the answers and how they were counted.

use regatta_types::failure::FailureKind;
use regatta_types::suite::{Length, Prompt};
use regatta_types::trace::{RequestTrace, TokenSource};
use regatta_types::validity::FindingCode;

use super::{AttemptFinding, AttemptInput, FindingEvidence, Share, degraded};
use crate::metrics::{Distribution, completion_tokens, real};

/// Most of a prompt that a cache may answer where nothing was meant to be shared; and tokens of each
/// prompt that are let pass, since every prompt begins with the chat template.
const CACHED: f64 = 0.01;
const TEMPLATE: u64 = 32;

/// No tokenizer has tokens this long on average, or so many for a character; a chat template may
/// add as many tokens as this.
const CHARS_PER_TOKEN: f64 = 20.0;
const TOKENS_PER_CHAR: f64 = 3.0;
const SYSTEM_PROMPT: f64 = 8192.0;

pub(super) fn empty_answers(judged: &AttemptInput<'_>) -> Option<AttemptFinding> {
    let requests = &judged.figures.requests;
    let n = *requests.failed.get(&FailureKind::EmptyAnswer)?;
    let share = Share { n, of: requests.ok + requests.failures() };
    Some(degraded(FindingCode::EmptyAnswers, FindingEvidence::EmptyAnswers(share)))
}

pub(super) fn truncated(judged: &AttemptInput<'_>) -> Option<AttemptFinding> {
    let cut = judged.of_successes(judged.figures.requests.truncated)?;
    let evidence = FindingEvidence::Truncated { cut, max_tokens: judged.case.max_tokens };
    let is_natural = judged.case.length == Length::Natural;
    is_natural.then(|| degraded(FindingCode::Truncated, evidence))
}

/// The reverse: answers that were to be as long as their limit and ended before it.
pub(super) fn length_not_fixed(judged: &AttemptInput<'_>) -> Option<AttemptFinding> {
    if judged.case.length != Length::Fixed {
        return None;
    }
    let is_short = |trace: &RequestTrace| {
        let limit = f64::from(trace.max_tokens.unwrap_or(judged.case.max_tokens));
        let counted = trace.token_source() != Some(TokenSource::Chunks);
        let tokens = completion_tokens(trace).filter(|_| counted);
        tokens.is_some_and(|n| (n as f64) < 0.99 * limit)
    };
    let short = judged.successes(is_short)?;
    Some(degraded(FindingCode::LengthNotFixed, FindingEvidence::LengthNotFixed(short)))
}

pub(super) fn token_mismatch(judged: &AttemptInput<'_>) -> Option<AttemptFinding> {
    let evidence = FindingEvidence::TokenMismatch(judged.successes(counts_disagree)?);
    Some(degraded(FindingCode::TokenMismatch, evidence))
}

pub(super) fn more_chunks_than_tokens(judged: &AttemptInput<'_>) -> Option<AttemptFinding> {
    let evidence = FindingEvidence::MoreChunksThanTokens(judged.successes(has_split_tokens)?);
    Some(degraded(FindingCode::MoreChunksThanTokens, evidence))
}

pub(super) fn usage_beyond_limit(judged: &AttemptInput<'_>) -> Option<AttemptFinding> {
    let beyond = judged.successes(RequestTrace::is_usage_beyond_limit)?;
    Some(degraded(FindingCode::UsageBeyondLimit, FindingEvidence::UsageBeyondLimit(beyond)))
}

pub(super) fn hidden_tokens(judged: &AttemptInput<'_>) -> Option<AttemptFinding> {
    let hidden = judged.of_successes(judged.figures.requests.hidden)?;
    Some(degraded(FindingCode::HiddenTokens, FindingEvidence::HiddenTokens(hidden)))
}

pub(super) fn inline_reasoning(judged: &AttemptInput<'_>) -> Option<AttemptFinding> {
    let inline = judged.successes(|trace| trace.inline_reasoning)?;
    Some(degraded(FindingCode::InlineReasoning, FindingEvidence::InlineReasoning(inline)))
}

/// Prompt tokens that the text cannot have: without their cached part, for example.
pub(super) fn prompt_tokens_off(judged: &AttemptInput<'_>) -> Option<AttemptFinding> {
    let plausible = match &judged.case.prompt {
        Prompt::Messages(messages) => {
            let chars: usize = messages.iter().map(|message| message.content.chars().count()).sum();
            (real(chars) / CHARS_PER_TOKEN, real(chars) * TOKENS_PER_CHAR + SYSTEM_PROMPT)
        }
        Prompt::Text(text) => {
            let asked = f64::from(text.tokens);
            (asked / 2.0, asked * 2.0 + SYSTEM_PROMPT)
        }
        Prompt::Conversation { .. } => return None,
    };
    let successes = judged.traces.iter().filter(|trace| trace.is_ok());
    let reported = successes.filter_map(|trace| trace.usage.map(|usage| usage.prompt as f64));
    let reported = Distribution::new(reported).median()?;
    let is_off = reported < plausible.0 || reported > plausible.1;
    let evidence = FindingEvidence::PromptTokensOff { reported, plausible };
    is_off.then(|| degraded(FindingCode::PromptTokensOff, evidence))
}

pub(super) fn approximate_tokens(judged: &AttemptInput<'_>) -> Option<AttemptFinding> {
    let counted = *judged.figures.tokens.sources.get(&TokenSource::Chunks)?;
    let evidence = FindingEvidence::ApproximateTokens(judged.of_successes(counted)?);
    Some(degraded(FindingCode::ApproximateTokens, evidence))
}

/// Cached prompt tokens where every prompt begins anew.
pub(super) fn cache_hits(judged: &AttemptInput<'_>) -> Option<AttemptFinding> {
    let is_new = |trace: &&&RequestTrace| match &judged.case.prompt {
        Prompt::Messages(_) => true,
        Prompt::Text(text) => text.shared == 0,
        Prompt::Conversation { .. } => trace.turn.is_none_or(|turn| turn == 0),
    };
    let usages = judged.traces.iter().filter(|trace| trace.is_ok()).filter(is_new);
    let (mut prompt, mut cached, mut template) = (0_u64, 0_u64, 0_u64);
    for usage in usages.filter_map(|trace| trace.usage) {
        template += TEMPLATE;
        prompt += usage.prompt;
        cached += usage.cached.unwrap_or(0);
    }
    let share = (prompt > 0).then(|| cached as f64 / prompt as f64)?;
    let is_warm = share > CACHED && cached > template;
    is_warm.then(|| degraded(FindingCode::CacheHits, FindingEvidence::CacheHits { cached, prompt }))
}

/// Whether the counts of the chunks and the final usage differ by more than 1 %.
fn counts_disagree(trace: &RequestTrace) -> bool {
    let (Some(TokenSource::TokenIds | TokenSource::ContinuousUsage), Some(usage)) =
        (trace.token_source(), trace.usage)
    else {
        return false;
    };
    let chunks: f64 = trace.chunk_tokens().sum();
    let usage = usage.completion as f64;
    (chunks - usage).abs() > 0.01 * usage
}

/// Whether the final usage counts fewer tokens than there were chunks.
fn has_split_tokens(trace: &RequestTrace) -> bool {
    let chunks = u64::try_from(trace.chunks.len()).unwrap_or(u64::MAX);
    trace.token_source() == Some(TokenSource::Usage)
        && trace.usage.is_some_and(|u| u.completion < chunks)
}
