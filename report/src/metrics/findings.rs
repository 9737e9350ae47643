//! Remarks on an attempt that follow from its traces, beside those its agent made.

use regatta_types::trace::{RequestTrace, TokenSource};
use regatta_types::validity::{Finding, Validity};

use super::Figures;

/// What the measured requests of a counted attempt say against it.
pub(crate) fn derived_findings(traces: &[&RequestTrace], figures: &Figures) -> Vec<Finding> {
    let mut out = Vec::new();
    let requests = &figures.requests;
    if requests.ok == 0 {
        out.push(Finding {
            code: "no_ok_request".to_owned(),
            validity: Validity::Invalid,
            evidence: format!("0 of {} requests succeeded", traces.len()),
            advice: "see the failures of this attempt".to_owned(),
        });
    }
    if requests.buffered > 0 {
        out.push(Finding {
            code: "buffered_stream".to_owned(),
            // What most answers did is what the attempt measured.
            validity: if 2 * requests.buffered > requests.ok {
                Validity::Invalid
            } else {
                Validity::Degraded
            },
            evidence: format!(
                "{} of {} answers came in one burst instead of a stream",
                requests.buffered, requests.ok
            ),
            advice: "turn off response buffering in the proxy before the engine".to_owned(),
        });
    }
    let disagree = traces.iter().filter(|t| t.is_ok() && counts_disagree(t)).count();
    if disagree > 0 {
        out.push(Finding {
            code: "token_mismatch".to_owned(),
            validity: Validity::Degraded,
            evidence: format!(
                "in {disagree} of {} requests the tokens of the chunks and the final usage differ by more than 1 %",
                requests.ok
            ),
            advice: "check the engine's parser for tool calls or reasoning".to_owned(),
        });
    }
    let split = traces.iter().filter(|t| t.is_ok() && has_split_tokens(t)).count();
    if split > 0 {
        out.push(Finding {
            code: "more_chunks_than_tokens".to_owned(),
            validity: Validity::Degraded,
            evidence: format!("in {split} of {} requests", requests.ok),
            advice: "tokens were shared out evenly over the chunks".to_owned(),
        });
    }
    out
}

/// Whether the counts of the chunks and the final usage differ by more than 1 %.
fn counts_disagree(trace: &RequestTrace) -> bool {
    let (Some(TokenSource::TokenIds | TokenSource::ContinuousUsage), Some(usage)) =
        (trace.token_source(), trace.usage)
    else {
        return false;
    };
    let chunks: f64 = trace.chunk_tokens().iter().sum();
    let usage = usage.completion as f64;
    (chunks - usage).abs() > 0.01 * usage
}

/// Whether the final usage counts fewer tokens than there were chunks.
fn has_split_tokens(trace: &RequestTrace) -> bool {
    let chunks = u64::try_from(trace.chunks.len()).unwrap_or(u64::MAX);
    trace.token_source() == Some(TokenSource::Usage)
        && trace.usage.is_some_and(|u| u.completion < chunks)
}
