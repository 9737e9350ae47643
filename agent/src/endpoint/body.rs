//! The JSON of a chat completion: serialized once, filled in for each request.
//!
//! What differs between two requests of an attempt is patched into the bytes: salts, which are all
//! of one length, and limits, which are padded to one. Only the further turns of a conversation are
//! written down for the request that sends them.

use std::fmt::Write as _;

use regatta_types::suite::{Message, Role};
use serde::Serialize;

use super::probe::Fields;
use super::salt::Salt;

/// Digits of the greatest limit.
const LIMIT_WIDTH: usize = 10;

/// Which salt to insert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// The request's own, or its conversation's.
    Own,
    /// The one that all requests of the attempt share.
    Attempt,
}

/// A piece of the first message, each behind its salt.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part<'a> {
    pub(super) scope: Scope,
    pub(super) text: &'a str,
}

/// Parameters of a request besides its messages.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    pub(super) temperature: f64,
    pub(super) seed: Option<i64>,
    pub(super) fields: Fields,
}

#[derive(Serialize)]
struct Rest {
    temperature: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<i64>,
    #[serde(skip_serializing_if = "is_false")]
    ignore_eos: bool,
    #[serde(skip_serializing_if = "is_false")]
    return_token_ids: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_prompt: Option<bool>,
    stream: bool,
    stream_options: StreamOptions,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
    #[serde(skip_serializing_if = "is_false")]
    continuous_usage_stats: bool,
}

/// A body with room for what differs.
#[derive(Debug, Clone)]
pub(super) struct Body {
    /// Up to the end of the messages that every request has.
    head: String,
    /// Where in `head` the salts stand.
    salts: Vec<(usize, Scope)>,
    /// User's messages that follow in the later requests of a conversation.
    further: Vec<String>,
    /// From the end of the messages on.
    tail: String,
    /// Where in `tail` the limits end.
    limits: Vec<usize>,
}

impl Body {
    /// A body whose first message has the text of `parts`, each behind the line of its salt, and
    /// `role`.
    pub(super) fn new(model: &str, role: Role, parts: &[Part<'_>]) -> Self {
        let mut head = format!(
            r#"{{"model":{},"messages":[{{"role":"{}","content":""#,
            quoted(model),
            role.name()
        );
        let mut salts = Vec::new();
        for (n, part) in parts.iter().enumerate() {
            head.push_str(if n == 0 { "[" } else { r"\n[" });
            salts.push((head.len(), part.scope));
            let text = quoted(part.text);
            // Without its quotes.
            let _ = write!(head, "{}]\\n{}", Salt::uniform(0), &text[1..text.len() - 1]);
        }
        head.push_str("\"}");
        Self { head, salts, further: Vec::new(), tail: String::new(), limits: Vec::new() }
    }

    /// With a message that every request has, behind those it has already.
    pub(super) fn message(mut self, message: &Message) -> Self {
        push_message(&mut self.head, message.role, &message.content);
        self
    }

    /// With what the user says in the later requests of a conversation.
    pub(super) fn further(mut self, turns: &[String]) -> Self {
        self.further = turns.to_vec();
        self
    }

    /// The body with its end.
    pub(super) fn settings(mut self, settings: Settings) -> Result<Self, serde_json::Error> {
        let Settings { temperature, seed, fields } = settings;
        let rest = serde_json::to_string(&Rest {
            temperature,
            seed,
            ignore_eos: fields.ignore_eos,
            return_token_ids: fields.token_ids,
            cache_prompt: fields.uncached.then_some(false),
            stream: true,
            stream_options: StreamOptions {
                include_usage: true,
                continuous_usage_stats: fields.continuous_usage,
            },
        })?;
        self.tail = format!(r#"],"max_tokens":{:LIMIT_WIDTH$}"#, "");
        self.limits = vec![self.tail.len()];
        if fields.min_tokens {
            let _ = write!(self.tail, r#","min_tokens":{:LIMIT_WIDTH$}"#, "");
            self.limits.push(self.tail.len());
        }
        self.tail.push(',');
        self.tail.push_str(&rest[1..]);
        Ok(self)
    }

    /// Whether its salt is a conversation's: more than one request has it.
    pub(super) fn is_conversation(&self) -> bool {
        !self.further.is_empty()
    }

    /// The bytes of one request: the turns after the first with the answers to those before them.
    pub(super) fn fill(
        &self,
        salt: impl Fn(Scope) -> Salt,
        answers: &[String],
        max_tokens: u32,
    ) -> Vec<u8> {
        let carried: usize = answers.iter().map(String::len).sum();
        let room = self.head.len() + self.tail.len() + 2 * carried;
        let mut body = String::with_capacity(room);
        body.push_str(&self.head);
        for (answer, turn) in answers.iter().zip(&self.further) {
            push_message(&mut body, Role::Assistant, answer);
            push_message(&mut body, Role::User, turn);
        }
        let tail_at = body.len();
        body.push_str(&self.tail);
        let mut body = body.into_bytes();
        for &(at, scope) in &self.salts {
            let salt = salt(scope);
            body[at..at + salt.bytes().len()].copy_from_slice(salt.bytes());
        }
        let limit = max_tokens.to_string();
        for end in self.limits.iter().map(|end| tail_at + end) {
            body[end - limit.len()..end].copy_from_slice(limit.as_bytes());
        }
        body
    }
}

fn push_message(body: &mut String, role: Role, content: &str) {
    // Writing into a string cannot fail.
    let _ = write!(body, r#",{{"role":"{}","content":{}}}"#, role.name(), quoted(content));
}

/// As a JSON string.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
