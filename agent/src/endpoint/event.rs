//! The JSON of one event of a streamed chat completion, borrowed from the stream where possible.
//!
//! Knows the fields that vLLM, SGLang, llama.cpp and `transformers serve` use; what they mean for a
//! request is decided in [`super::recorder`].

use std::fmt;

use regatta_types::trace::{ChunkKind, ServerTimings, Usage};
use serde::de::{DeserializeOwned, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::value::RawValue;

use super::delta::{Delta, NO_TEXT, Text};

/// One event.
#[derive(Debug, Deserialize)]
pub(super) struct Event<'a> {
    #[serde(borrow, default)]
    pub(super) choices: Choices<'a>,
    #[serde(borrow)]
    pub(super) usage: Option<Located<'a, UsageField>>,
    pub(super) timings: Option<TimingsField>,
    /// Object or string; allocated only when there is an error.
    pub(super) error: Option<serde_json::Value>,
    /// `error` in the older form of an error, whose text is in `message`.
    #[serde(borrow)]
    pub(super) object: Option<Text<'a>>,
    pub(super) message: Option<serde_json::Value>,
    #[serde(borrow)]
    pub(super) model: Option<Text<'a>>,
}

/// One answer; only one is ever asked for.
#[derive(Debug, Deserialize)]
pub(super) struct Choice<'a> {
    #[serde(borrow)]
    pub(super) delta: Option<Delta<'a>>,
    /// The text completions' form.
    #[serde(borrow)]
    pub(super) text: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) finish_reason: Option<Text<'a>>,
    /// Only their number matters, and `IgnoredAny` takes no memory.
    #[serde(borrow)]
    pub(super) token_ids: Option<Located<'a, Vec<IgnoredAny>>>,
}

impl Choice<'_> {
    /// New text of each kind; empty if there is none.
    pub(super) fn texts(&self) -> [(ChunkKind, &str); 3] {
        let mut texts = self.delta.as_ref().map(Delta::texts).unwrap_or(NO_TEXT);
        if let Some(Text(text)) = &self.text
            && texts[1].1.is_empty()
        {
            texts[1].1 = text;
        }
        texts
    }

    /// How many token ids are named.
    pub(super) fn ids(&self) -> Option<u32> {
        let ids = self.token_ids.as_ref()?;
        Some(u32::try_from(ids.value.len()).unwrap_or(u32::MAX))
    }

    /// Whether it says why it ended.
    pub(super) fn has_finished(&self) -> bool {
        self.finish_reason.as_ref().is_some_and(|reason| !reason.0.is_empty())
    }
}

/// A value, with its place in the stream.
#[derive(Debug)]
pub(super) struct Located<'a, T> {
    pub(super) value: T,
    /// How it is written.
    pub(super) raw: &'a str,
}

impl<'de: 'a, 'a, T: DeserializeOwned> Deserialize<'de> for Located<'a, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?.get();
        let value = serde_json::from_str(raw).map_err(de::Error::custom)?;
        Ok(Self { value, raw })
    }
}

/// Token counts as they are sent.
#[derive(Debug, Deserialize)]
pub(super) struct UsageField {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    prompt_tokens_details: Option<PromptDetails>,
    completion_tokens_details: Option<CompletionDetails>,
    /// SGLang's place for it.
    reasoning_tokens: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct PromptDetails {
    cached_tokens: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct CompletionDetails {
    reasoning_tokens: Option<u64>,
}

impl UsageField {
    /// The counts; `None` unless both the prompt's and the completion's are there.
    pub(super) fn counts(&self) -> Option<Usage> {
        Some(Usage {
            prompt: self.prompt_tokens?,
            completion: self.completion_tokens?,
            cached: self.prompt_tokens_details.as_ref().and_then(|d| d.cached_tokens),
            reasoning: self
                .completion_tokens_details
                .as_ref()
                .and_then(|d| d.reasoning_tokens)
                .or(self.reasoning_tokens),
        })
    }
}

/// llama.cpp's own clock.
#[derive(Debug, Deserialize)]
pub(super) struct TimingsField {
    prompt_ms: Option<f64>,
    predicted_ms: Option<f64>,
}

impl TimingsField {
    pub(super) fn timings(&self) -> Option<ServerTimings> {
        Some(ServerTimings { prompt_ms: self.prompt_ms?, predicted_ms: self.predicted_ms? })
    }
}

/// The choices of an event. The first, usually the only one, needs no allocation.
#[derive(Debug, Default)]
pub(super) struct Choices<'a> {
    first: Option<Choice<'a>>,
    others: Vec<Choice<'a>>,
}

impl<'a> Choices<'a> {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Choice<'a>> {
        self.first.iter().chain(&self.others)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Choices<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ChoicesVisitor;
        impl<'de> Visitor<'de> for ChoicesVisitor {
            type Value = Choices<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of choices")
            }

            fn visit_unit<E: de::Error>(self) -> Result<Choices<'de>, E> {
                Ok(Choices::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Choices<'de>, A::Error> {
                let mut choices = Choices { first: seq.next_element()?, others: Vec::new() };
                while let Some(choice) = seq.next_element()? {
                    choices.others.push(choice);
                }
                Ok(choices)
            }
        }
        deserializer.deserialize_any(ChoicesVisitor)
    }
}

/// What an error value says: `{"message": ..}`, or a string, or a list of either; else its JSON.
pub(super) fn error_text(value: &serde_json::Value) -> String {
    use serde_json::Value;
    match value {
        Value::String(text) => text.clone(),
        Value::Object(fields) => ["message", "msg", "error", "detail"]
            .iter()
            .find_map(|name| fields.get(*name).filter(|v| !v.is_null()))
            .map_or_else(|| value.to_string(), error_text),
        Value::Array(items) => items.iter().map(error_text).collect::<Vec<_>>().join("; "),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

/// What the body of an unsuccessful response says: `error.message`, `error`, `detail`, or its
/// text.
pub(super) fn body_text(body: &[u8]) -> String {
    match serde_json::from_slice::<serde_json::Value>(body) {
        Ok(value) => error_text(&value),
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_has_its_texts_and_token_ids() {
        let event: Event<'_> = serde_json::from_str(
            r#"{"choices":[{"delta":{"content":"a","reasoning":"b\nc"},"token_ids":[1,2]}]}"#,
        )
        .unwrap();
        let choice = event.choices.iter().next().unwrap();
        let [(_, reasoning), (_, answer), (_, call)] = choice.texts();
        assert_eq!((choice.ids(), reasoning, answer, call), (Some(2), "b\nc", "a", ""));
    }

    #[test]
    fn null_stands_for_absent_everywhere() {
        let text = r#"{"choices":null,"usage":null,"error":null,"model":null,"timings":null}"#;
        let event: Event<'_> = serde_json::from_str(text).unwrap();
        assert!(event.choices.iter().next().is_none() && event.error.is_none());
    }

    #[test]
    fn errors_speak_whatever_their_form() {
        for (body, said) in [
            (r#"{"error":{"message":"too long","code":400}}"#, "too long"),
            (r#"{"error":"Unauthorized"}"#, "Unauthorized"),
            (r#"{"detail":"Not Found"}"#, "Not Found"),
            (r#"{"detail":[{"msg":"field required","loc":["body"]}]}"#, "field required"),
            (r#"{"object":"error","message":"old form"}"#, "old form"),
            ("Internal Server Error", "Internal Server Error"),
            ("", ""),
        ] {
            assert_eq!(body_text(body.as_bytes()), said);
        }
    }
}
