//! Explores an engine before its warm-up: supported request fields, fixed output length, and
//! prompts of a given number of tokens.
//!
//! All requests are recorded with the warm-up: every sent request is in a report.

use regatta_types::assignment::Preparation;
use regatta_types::ids::AttemptKey;
use regatta_types::suite::{Message, Role};
use regatta_types::trace::{FinishReason, Outcome, Phase, RequestTrace};
use regatta_types::validity::{Finding, FindingCode, Validity};

use super::stream::{Request, Stream};
use crate::endpoint::{
    Abilities, Ask, ConversationTurn, Endpoint, Fields, PrepareError, Prepared, counted,
};
use crate::prompt::{Fitted, Uncounted, fit};

/// Requested tokens of an answer with a natural length of one or two.
const ASKED: u32 = 24;
/// Maximum attempts to find supported fields, as an engine may refuse them one by one.
const TRIES: usize = 5;

/// Explores what the suite of `preparation` requires. The traces stay in `stream`.
pub(super) async fn explore(
    endpoint: &Endpoint,
    key: &AttemptKey,
    preparation: &Preparation,
    stream: &mut Stream,
) -> Result<Abilities, PrepareError> {
    let mut abilities = fields(endpoint, key, preparation, stream).await?;
    let texts = &preparation.wants.texts;
    if !texts.is_empty() {
        let counting = async |text: Fitted| -> Result<u32, Uncounted> {
            let prepared = Prepared::of_count(endpoint, key, text, preparation.timeouts)
                .map_err(|error| Uncounted::Never(error.to_string()))?;
            match send(stream, &prepared).await {
                Some(trace) => counted(trace),
                None => Err(Uncounted::Never("prompt generation was stopped".to_owned())),
            }
        };
        abilities.texts = fit(texts, counting).await;
    }
    Ok(abilities)
}

/// Finds the supported fields: sends all of them, then omits those that the engine refuses.
async fn fields(
    endpoint: &Endpoint,
    key: &AttemptKey,
    preparation: &Preparation,
    stream: &mut Stream,
) -> Result<Abilities, PrepareError> {
    let wants_fixed = preparation.wants.fixed_length;
    let ask = Ask {
        messages: &[Message { role: Role::User, content: "Say yes.".to_owned() }],
        max_tokens: ASKED,
        temperature: 0.0,
        seed: None,
        timeouts: preparation.timeouts,
        keep_text: false,
    };
    let mut sent = Fields::all(endpoint.facts(), wants_fixed);
    for _ in 0..TRIES {
        let prepared = Prepared::of_ask(endpoint, key, &ask, sent)?;
        let Some(trace) = send(stream, &prepared).await else { break };
        match &trace.outcome {
            Outcome::Ok => {
                return Ok(learned(sent, trace, wants_fixed));
            }
            Outcome::Failed(failure)
                if matches!(failure.http_status, Some(400 | 422)) && sent != Fields::default() =>
            {
                sent = sent.without_refused(&failure.message);
            }
            // The warm-up reports the error.
            Outcome::Failed(_) | Outcome::Cancelled | Outcome::NotSent => break,
        }
    }
    Ok(Abilities { fixed_length: wants_fixed.then_some(false), ..Abilities::default() })
}

fn learned(sent: Fields, trace: &RequestTrace, wants_fixed: bool) -> Abilities {
    let at_limit = trace.finish_reason == Some(FinishReason::Length)
        && trace.completion_tokens().is_some_and(|n| (n - f64::from(ASKED)).abs() < 0.5);
    let kept = at_limit && (sent.ignore_eos || sent.min_tokens);
    let findings = if wants_fixed && !kept { vec![not_fixed(sent, trace)] } else { Vec::new() };
    Abilities {
        fields: sent.that_worked(trace, kept),
        fixed_length: wants_fixed.then_some(kept),
        findings,
        ..Abilities::default()
    }
}

fn not_fixed(sent: Fields, trace: &RequestTrace) -> Finding {
    let evidence = if sent.ignore_eos || sent.min_tokens {
        let tokens = trace.completion_tokens().unwrap_or(0.0);
        format!("requested {ASKED} tokens with ignore_eos and min_tokens, but received {tokens:.0}")
    } else {
        "the engine refuses ignore_eos and min_tokens".to_owned()
    };
    Finding {
        code: FindingCode::LengthNotFixed,
        validity: Validity::Degraded,
        evidence,
        advice: "Answers have their natural length: compare decode speed only".to_owned(),
    }
}

/// Sends a request of `prepared`; `None` if stopped before.
async fn send<'s>(stream: &'s mut Stream, prepared: &Prepared) -> Option<&'s mut RequestTrace> {
    if !stream.shared.may_begin() {
        return None;
    }
    let which = ConversationTurn::first(stream.shared.take_seq());
    Some(stream.request(Request::new(which.seq, Phase::Warmup, prepared.build(which))).await)
}
