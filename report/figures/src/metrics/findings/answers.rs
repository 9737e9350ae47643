//! Remarks on what was answered and how it was counted.

use regatta_types::failure::FailureKind;
use regatta_types::suite::{Length, Prompt};
use regatta_types::trace::{RequestTrace, TokenSource};
use regatta_types::units::grouped;
use regatta_types::validity::{Finding, FindingCode, Validity};

use super::{AttemptInput, remark};
use crate::metrics::completion_tokens;

/// Most of a prompt that a cache may answer where nothing was meant to be shared; and tokens of each
/// prompt that are let pass, since every prompt begins with the chat template.
const CACHED: f64 = 0.01;
const TEMPLATE: u64 = 32;

pub(super) fn buffered_stream(judged: &AttemptInput<'_>) -> Option<Finding> {
    let requests = &judged.figures.requests;
    (requests.buffered > 0).then(|| {
        // What most answers did is what the attempt measured.
        let most = 2 * requests.buffered > requests.ok;
        let validity = if most { Validity::Invalid } else { Validity::Degraded };
        let evidence = format!(
            "{} of {} answers came in one burst instead of a stream",
            requests.buffered, requests.ok
        );
        let advice = "turn off response buffering in the proxy before the engine";
        remark(FindingCode::BufferedStream, validity, evidence, advice)
    })
}

pub(super) fn empty_answers(judged: &AttemptInput<'_>) -> Option<Finding> {
    let requests = &judged.figures.requests;
    let empty = requests.failed.get(&FailureKind::EmptyAnswer)?;
    let of = requests.ok + requests.failures();
    let evidence = format!("{empty} of {of} answers had no text, which is a failure");
    let advice = "look at the engine's log and chat template; the prompt may exceed its context";
    Some(remark(FindingCode::EmptyAnswers, Validity::Degraded, evidence, advice))
}

pub(super) fn truncated(judged: &AttemptInput<'_>) -> Option<Finding> {
    let requests = &judged.figures.requests;
    (judged.case.length == Length::Natural && requests.truncated > 0).then(|| {
        let evidence = format!(
            "{} of {} answers were cut by max_tokens ({}) or the context",
            requests.truncated, requests.ok, judged.case.max_tokens
        );
        let advice = "raise max_tokens, or ask for answers of fixed length";
        remark(FindingCode::Truncated, Validity::Degraded, evidence, advice)
    })
}

/// The reverse: answers that were to be as long as their limit and ended before it.
pub(super) fn length_not_fixed(judged: &AttemptInput<'_>) -> Option<Finding> {
    if judged.case.length != Length::Fixed {
        return None;
    }
    let is_short = |trace: &RequestTrace| {
        let limit = f64::from(trace.max_tokens.unwrap_or(judged.case.max_tokens));
        let counted = trace.token_source() != Some(TokenSource::Chunks);
        let tokens = completion_tokens(trace).filter(|_| counted);
        tokens.is_some_and(|n| (n as f64) < 0.99 * limit)
    };
    let short = judged.successes(is_short);
    (short > 0).then(|| {
        let evidence =
            format!("{short} of {} answers are shorter than asked", judged.figures.requests.ok);
        let advice =
            "the engine does not keep ignore_eos and min_tokens: compare decode speed only";
        remark(FindingCode::LengthNotFixed, Validity::Degraded, evidence, advice)
    })
}

pub(super) fn token_mismatch(judged: &AttemptInput<'_>) -> Option<Finding> {
    let disagree = judged.successes(counts_disagree);
    (disagree > 0).then(|| {
        let evidence = format!(
            "in {disagree} of {} requests the tokens of the chunks and the final usage differ by more than 1 %",
            judged.figures.requests.ok
        );
        let advice = "check the engine's parser for tool calls or reasoning";
        remark(FindingCode::TokenMismatch, Validity::Degraded, evidence, advice)
    })
}

pub(super) fn more_chunks_than_tokens(judged: &AttemptInput<'_>) -> Option<Finding> {
    let split = judged.successes(has_split_tokens);
    (split > 0).then(|| {
        let evidence = format!("in {split} of {} requests", judged.figures.requests.ok);
        let advice = "tokens were shared out evenly over the chunks";
        remark(FindingCode::MoreChunksThanTokens, Validity::Degraded, evidence, advice)
    })
}

pub(super) fn approximate_tokens(judged: &AttemptInput<'_>) -> Option<Finding> {
    let chunks = judged.figures.tokens.sources.get(&TokenSource::Chunks)?;
    let evidence = format!(
        "in {chunks} of {} requests chunks were counted, the engine gives no token counts",
        judged.figures.requests.ok
    );
    let advice = "have the engine send usage (stream_options.include_usage), or give the model's tokenizer.json with `--tokenizer`";
    Some(remark(FindingCode::ApproximateTokens, Validity::Degraded, evidence, advice))
}

/// Cached prompt tokens where every prompt begins anew.
pub(super) fn cache_hits(judged: &AttemptInput<'_>) -> Option<Finding> {
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
    (share > CACHED && cached > template).then(|| {
        let evidence = format!(
            "{} of {} prompt tokens ({:.1} %) came from a cache, though no prompt begins like another",
            grouped(cached),
            grouped(prompt),
            share * 100.0
        );
        let advice = "times to first token are too good: turn off prefix caching, or look at what the chat template puts first";
        remark(FindingCode::CacheHits, Validity::Degraded, evidence, advice)
    })
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
