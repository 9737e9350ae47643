//! What an engine can do beyond answering, as found out before a run ([`crate::work`] asks it).

use std::collections::HashMap;

use regatta_types::facts::EngineFacts;
use regatta_types::failure::FailureKind;
use regatta_types::suite::{Case, Length, Prompt, TextPrompt};
use regatta_types::trace::{ChunkCounts, Outcome, RequestTrace};
use regatta_types::validity::Finding;

use crate::prompt::{Fitted, Uncounted};

/// Fields of a request that not every engine knows. Some refuse what they do not know, so they are
/// sent only where the engine has shown that they do something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fields {
    /// Go on after the end of the answer.
    pub ignore_eos: bool,
    /// End no answer before its limit.
    pub min_tokens: bool,
    /// Name the tokens of each event (`return_token_ids`).
    pub token_ids: bool,
    /// Repeat the usage with each event (`continuous_usage_stats`).
    pub continuous_usage: bool,
    /// Use nothing of an earlier prompt (`cache_prompt: false`): llama.cpp's own field, whose effect
    /// does not show in one answer.
    pub uncached: bool,
}

impl Fields {
    /// Everything for this engine; `fixed` with what makes answers end at their limit.
    #[must_use]
    pub fn all(engine: &EngineFacts, fixed: bool) -> Self {
        Self {
            ignore_eos: fixed,
            min_tokens: fixed,
            token_ids: true,
            continuous_usage: true,
            uncached: engine.engine.known().is_some_and(|name| name.starts_with("llama.cpp")),
        }
    }

    /// Without the fields that a refusal names; without any if it names none of those that were
    /// sent.
    #[must_use]
    pub fn without_refused(self, refusal: &str) -> Self {
        let keep = |sent: bool, name: &str| sent && !refusal.contains(name);
        let left = Self {
            ignore_eos: keep(self.ignore_eos, "ignore_eos"),
            min_tokens: keep(self.min_tokens, "min_tokens"),
            token_ids: keep(self.token_ids, "return_token_ids"),
            continuous_usage: keep(self.continuous_usage, "continuous_usage_stats"),
            uncached: keep(self.uncached, "cache_prompt"),
        };
        if left == self { Self::default() } else { left }
    }

    /// Of those that were sent with this request, the ones that did something. Of two ways to count
    /// the tokens of events the better one is enough.
    #[must_use]
    pub fn that_worked(self, trace: &RequestTrace, length_was_kept: bool) -> Self {
        let counted = |by| trace.chunk_counts == Some(by);
        Self {
            ignore_eos: self.ignore_eos && length_was_kept,
            min_tokens: self.min_tokens && length_was_kept,
            token_ids: self.token_ids && counted(ChunkCounts::TokenIds),
            continuous_usage: self.continuous_usage && counted(ChunkCounts::ContinuousUsage),
            uncached: self.uncached,
        }
    }
}

/// What was found out of an engine for the cases of a run. The default is an engine of which
/// nothing is known: it is sent what every engine understands.
#[derive(Debug, Clone, Default)]
pub struct Abilities {
    /// The texts that the cases ask for, or why there is none of that length.
    pub texts: HashMap<TextPrompt, Result<Fitted, String>>,
    /// The fields that it takes and that do something.
    pub fields: Fields,
    /// Whether the engine can end answers at a fixed length. `None`: not tested.
    pub fixed_length: Option<bool>,
    /// Findings about the endpoint.
    pub findings: Vec<Finding>,
}

impl Abilities {
    /// The fields that are sent with the requests of a case.
    pub(super) fn fields(&self, case: &Case) -> Fields {
        // A shared beginning and a conversation are about what the cache holds.
        let is_apart = match &case.prompt {
            Prompt::Messages(_) => true,
            Prompt::Text(text) => text.shared == 0,
            Prompt::Conversation { .. } => false,
        };
        let fields = Fields { uncached: self.fields.uncached && is_apart, ..self.fields };
        match case.length {
            Length::Fixed => fields,
            Length::Natural => Fields { ignore_eos: false, min_tokens: false, ..fields },
        }
    }

    /// The text of a case, or a sentence that says why there is none.
    pub(super) fn text(&self, asked: TextPrompt) -> Result<Fitted, String> {
        match self.texts.get(&asked) {
            Some(Ok(fitted)) => Ok(*fitted),
            Some(Err(why)) => Err(why.clone()),
            None => {
                Err(format!("no prompt of {} tokens was generated for the engine", asked.tokens))
            }
        }
    }
}

/// The prompt tokens of a request that was made to count them.
///
/// # Errors
/// Why they are not known, and whether shorter prompts may have more luck.
pub fn counted(trace: &RequestTrace) -> Result<u32, Uncounted> {
    match (&trace.outcome, trace.usage) {
        (_, Some(usage)) => Ok(u32::try_from(usage.prompt).unwrap_or(u32::MAX)),
        (Outcome::Failed(failure), None) if failure.kind == FailureKind::HttpStatus => {
            Err(Uncounted::Refused(format!("the engine refused the prompt: {}", failure.message)))
        }
        (Outcome::Failed(failure), None) => Err(Uncounted::Never(failure.to_string())),
        (Outcome::Ok, None) => Err(Uncounted::Never(
            "the engine does not report prompt tokens (usage), so no prompt of a given length can \
             be generated"
                .to_owned(),
        )),
        (Outcome::Cancelled | Outcome::NotSent, None) => {
            Err(Uncounted::Never("prompt generation was stopped".to_owned()))
        }
    }
}
