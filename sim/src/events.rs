//! The text of an answer on the wire: server-sent events, or one JSON object.
//!
//! Events are put together from strings: the words are plain ASCII and everything from outside
//! (the ids) is quoted once, so that a thousand streams cost little beside what they measure.

use std::fmt::Write as _;
use std::ops::Range;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::chat::{Accepted, UsageEvents};
use crate::schedule::{Piece, ids, text};

/// Writes the parts of one answer.
#[derive(Debug)]
pub(crate) struct Events {
    /// `"id":..,"model":..`, shared by every event.
    identity: String,
    request: Accepted,
    reasoning_tokens: u32,
    seed: u64,
}

/// The last event of a stream.
pub(crate) const DONE: &str = "data: [DONE]\n\n";

/// `created` of every answer: the same bytes in every run.
const CREATED: u64 = 0;

/// Decides the ids that prompts are said to have.
const PROMPT_SEED: u64 = 0;

impl Events {
    /// `id` comes from the client and may hold anything.
    pub(crate) fn new(
        id: &str,
        model: &str,
        seed: u64,
        request: Accepted,
        reasoning_tokens: u32,
    ) -> Self {
        let quoted = |s: &str| Value::from(s).to_string();
        let identity =
            format!(r#""id":{},"created":{CREATED},"model":{}"#, quoted(id), quoted(model));
        Self { identity, request, reasoning_tokens, seed }
    }

    /// The event of one piece; with the role's event before the first.
    pub(crate) fn piece(&self, piece: &Piece) -> Bytes {
        let Accepted { usage, prompt_tokens, token_ids, .. } = self.request;
        let mut out = String::with_capacity(320);
        let usage = |done| match usage {
            UsageEvents::Always => format!(r#","usage":{}"#, self.usage(done)),
            UsageEvents::Never | UsageEvents::AtEnd => String::new(),
        };
        if piece.tokens.start == 0 {
            let mut more = usage(0);
            if token_ids {
                let ids = ids(PROMPT_SEED, 0..prompt_tokens);
                more.push_str(&format!(r#","prompt_token_ids":[{ids}]"#));
            }
            self.chunk(
                &mut out,
                r#"{"role":"assistant","content":""},"finish_reason":null"#,
                &more,
            );
        }
        let field = if piece.reasoning { "reasoning_content" } else { "content" };
        let words = text(self.seed, piece.tokens.clone());
        let ids = self.ids(piece.tokens.clone());
        let choice = format!(r#"{{"{field}":"{words}"}},"finish_reason":null{ids}"#);
        self.chunk(&mut out, &choice, &usage(piece.tokens.end));
        out.into()
    }

    /// Finish reason, usage if asked for, `[DONE]`.
    pub(crate) fn tail(&self) -> String {
        let usage = match self.request.usage {
            UsageEvents::Never => String::new(),
            UsageEvents::AtEnd | UsageEvents::Always => self.last_usage(1),
        };
        self.finish() + &usage + DONE
    }

    /// The event with the finish reason.
    pub(crate) fn finish(&self) -> String {
        let mut out = String::with_capacity(512);
        let choice = format!(r#"{{}},"finish_reason":"{}""#, self.request.finish_reason);
        self.chunk(&mut out, &choice, "");
        out
    }

    /// The event with the usage, `times` the true completion tokens.
    pub(crate) fn last_usage(&self, times: u32) -> String {
        let mut out = String::with_capacity(320);
        let usage = self.usage(self.total().saturating_mul(times));
        self.event(&mut out, "[]", &format!(r#","usage":{usage}"#));
        out
    }

    /// An event with one token of text, of no place in the answer.
    pub(crate) fn some_text(&self) -> String {
        let mut out = String::with_capacity(320);
        self.chunk(&mut out, r#"{"content":"more "},"finish_reason":null"#, "");
        out
    }

    /// Completion tokens.
    pub(crate) fn total(&self) -> u32 {
        self.request.completion_tokens
    }

    /// The whole answer, not streamed.
    pub(crate) fn whole(&self) -> Bytes {
        let total = self.request.completion_tokens;
        let thought = match self.reasoning_tokens {
            0 => Value::Null,
            n => text(self.seed, 0..n).into(),
        };
        let message = json!({
            "role": "assistant",
            "content": text(self.seed, self.reasoning_tokens..total),
            "reasoning_content": thought,
        });
        let reason = self.request.finish_reason;
        let ids = self.ids(0..total);
        let choice =
            format!(r#"{{"index":0,"message":{message},"finish_reason":"{reason}"{ids}}}"#);
        let identity = &self.identity;
        let usage = self.usage(total);
        format!(r#"{{{identity},"object":"chat.completion","choices":[{choice}],"usage":{usage}}}"#)
            .into()
    }

    /// An event with one choice, of which `choice` is the rest from the delta's value on.
    fn chunk(&self, out: &mut String, choice: &str, more: &str) {
        self.event(out, &format!(r#"[{{"index":0,"delta":{choice}}}]"#), more);
    }

    /// A choice's token ids, if they are asked for.
    fn ids(&self, tokens: Range<u32>) -> String {
        if self.request.token_ids {
            format!(r#","token_ids":[{}]"#, ids(self.seed, tokens))
        } else {
            String::new()
        }
    }

    fn event(&self, out: &mut String, choices: &str, more: &str) {
        let identity = &self.identity;
        write!(
            out,
            "data: {{{identity},\"object\":\"chat.completion.chunk\",\"choices\":{choices}{more}}}\n\n"
        )
        .expect("writing to a String cannot fail");
    }

    /// The usage object after `done` completion tokens.
    fn usage(&self, done: u32) -> String {
        let prompt = self.request.prompt_tokens;
        let total = u64::from(prompt) + u64::from(done);
        let mut details = String::new();
        if let Some(cached) = self.request.cached_tokens {
            details = format!(r#","prompt_tokens_details":{{"cached_tokens":{cached}}}"#);
        }
        if self.reasoning_tokens > 0 {
            let thought = self.reasoning_tokens.min(done);
            let thought =
                format!(r#","completion_tokens_details":{{"reasoning_tokens":{thought}}}"#);
            details.push_str(&thought);
        }
        format!(
            r#"{{"prompt_tokens":{prompt},"total_tokens":{total},"completion_tokens":{done}{details}}}"#
        )
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn events(usage: UsageEvents, reasoning: u32) -> Events {
        let request = Accepted { usage, ..Accepted::for_tests(3) };
        Events::new("a\"b", "m", 1, request, reasoning)
    }

    fn decode(bytes: &Bytes) -> Vec<Value> {
        let text = std::str::from_utf8(bytes).unwrap();
        assert!(text.ends_with("\n\n"));
        text.split_terminator("\n\n")
            .map(|event| event.strip_prefix("data: ").unwrap())
            .filter(|data| *data != "[DONE]")
            .map(|data| serde_json::from_str(data).unwrap())
            .collect()
    }

    #[test]
    fn the_role_comes_with_the_first_token_and_ids_are_quoted() {
        let piece = Piece { due: Duration::ZERO, tokens: 0..1, reasoning: false };
        let got = decode(&events(UsageEvents::AtEnd, 0).piece(&piece));
        assert_eq!(got.len(), 2);
        assert_eq!(got[0]["id"], "a\"b");
        assert_eq!(got[0]["choices"][0]["delta"], json!({"role": "assistant", "content": ""}));
        assert_eq!(got[1]["choices"][0]["delta"], json!({"content": text(1, 0..1)}));
        assert_eq!(got[1].get("usage"), None);
    }

    #[test]
    fn the_tail_names_reason_and_exact_usage() {
        let got = decode(&events(UsageEvents::AtEnd, 2).tail().into());
        assert_eq!(got[0]["choices"][0]["finish_reason"], "length");
        assert_eq!(got[1]["choices"], json!([]));
        assert_eq!(
            got[1]["usage"],
            json!({"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10,
                   "completion_tokens_details": {"reasoning_tokens": 2}})
        );
        assert_eq!(decode(&events(UsageEvents::Never, 0).tail().into()).len(), 1);
    }

    #[test]
    fn continuous_usage_counts_every_chunk() {
        let piece = Piece { due: Duration::ZERO, tokens: 1..3, reasoning: true };
        let got = decode(&events(UsageEvents::Always, 3).piece(&piece));
        assert_eq!(got[0]["usage"]["completion_tokens"], 3);
        assert_eq!(got[0]["choices"][0]["delta"]["reasoning_content"], text(1, 1..3));
    }

    #[test]
    fn the_whole_answer_is_the_streams_text() {
        let got: Value = serde_json::from_slice(&events(UsageEvents::Never, 1).whole()).unwrap();
        let message = &got["choices"][0]["message"];
        assert_eq!(message["reasoning_content"], text(1, 0..1));
        assert_eq!(message["content"], text(1, 1..3));
        assert_eq!(got["usage"]["completion_tokens"], 3);
    }

    #[test]
    fn token_ids_and_cached_tokens_are_said_when_asked_for() {
        let request =
            Accepted { token_ids: true, cached_tokens: Some(4), ..Accepted::for_tests(3) };
        let events = Events::new("a", "m", 1, request, 0);
        let got =
            decode(&events.piece(&Piece { due: Duration::ZERO, tokens: 0..2, reasoning: false }));
        assert_eq!(got[0]["prompt_token_ids"].as_array().unwrap().len(), 7);
        assert_eq!(got[1]["choices"][0]["token_ids"].as_array().unwrap().len(), 2);
        let whole: Value = serde_json::from_slice(&events.whole()).unwrap();
        assert_eq!(whole["choices"][0]["token_ids"].as_array().unwrap().len(), 3);
        assert_eq!(whole["usage"]["prompt_tokens_details"], json!({"cached_tokens": 4}));
    }
}
