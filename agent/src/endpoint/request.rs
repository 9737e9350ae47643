//! What is sent: one chat completion, built before its send instant.
//!
//! [`Prepared`] is everything that the requests of one attempt are made of; [`Prepared::build`]
//! makes one of them. Nothing here is sent or waited for.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, USER_AGENT};
use http::{HeaderValue, Method, Request, Uri};
use http_body_util::Full;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use regatta_types::assignment::Assignment;
use regatta_types::ids::AttemptKey;
use regatta_types::suite::{Case, Message, Prompt, Role, Timeouts};
use regatta_types::trace::{ChunkKind, RequestTrace};
use sha2::{Digest, Sha256};

use super::body::{Body, Part, Scope, Settings};
use super::handle::Endpoint;
use super::identity;
use super::probe::{Abilities, Fields};
use super::recorder::{Expected, Limits};
use super::salt::Salt;
use crate::prompt::Fitted;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What to ask for outside of any case.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// The conversation.
    pub messages: &'a [Message],
    /// Limit on completion tokens.
    pub max_tokens: u32,
    /// Sampling temperature.
    pub temperature: f64,
    /// Seed of the engine's sampler; not sent if absent.
    pub seed: Option<i64>,
    /// Limits on waiting.
    pub timeouts: Timeouts,
    /// Keep the answer's text, not only its hash.
    pub keep_text: bool,
}

/// Which request of an attempt.
#[derive(Debug, Clone, Copy)]
pub struct ConversationTurn<'a> {
    /// Its number, from 0, warm-up included.
    pub seq: u32,
    /// The number of its conversation in the attempt. Of no meaning where a conversation is one
    /// request.
    pub conversation: u32,
    /// Its turn, from 0.
    pub turn: u32,
    /// The engine's answers to the turns before, `turn` of them: see [`carried`].
    pub answers: &'a [String],
}

impl ConversationTurn<'_> {
    /// Request `seq`, which is the first turn of its conversation.
    #[must_use]
    pub fn first(seq: u32) -> Self {
        Self { seq, conversation: seq, turn: 0, answers: &[] }
    }
}

/// A request to be sent once.
#[derive(Debug)]
pub struct Built {
    /// The limit on completion tokens it asks for.
    pub max_tokens: u32,
    pub(super) request: Request<Full<Bytes>>,
    pub(super) expected: Expected,
    pub(super) timeouts: Timeouts,
}

/// What the requests of an attempt are made of.
#[derive(Debug, Clone)]
pub struct Prepared {
    uri: Uri,
    headers: HeaderMap,
    key: AttemptKey,
    body: Body,
    /// The beginning that its requests share.
    prime: Option<Body>,
    lengths: Lengths,
    other_models: Arc<[String]>,
    keep_text: bool,
    timeouts: Timeouts,
}

/// Why a request cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The endpoint's name or path does not fit into HTTP.
    #[error("the endpoint address is not valid in an HTTP request")]
    Address(#[from] http::Error),
    /// The case does not fit into JSON.
    #[error("the request cannot be encoded as JSON")]
    Body(#[from] serde_json::Error),
    /// The case has no message.
    #[error("the request has no messages")]
    NoMessage,
    /// There is no text of the length that the case asks for.
    #[error("{0}")]
    Text(String),
}

impl Prepared {
    /// What the requests of an assignment are made of.
    ///
    /// # Errors
    /// When the case asks for a text that could not be fitted to this engine: the reason. When the
    /// address or the messages cannot be written down, or there are none, which does not happen
    /// with checked values.
    pub fn of_case(
        endpoint: &Endpoint,
        assignment: &Assignment,
        abilities: &Abilities,
    ) -> Result<Self, PrepareError> {
        let Assignment { key, case, keep_text, seed, epoch: _, start: _ } = assignment;
        let model = &endpoint.facts().model;
        let (body, shared) = match &case.prompt {
            Prompt::Messages(messages) => (of_messages(model, messages)?, None),
            Prompt::Conversation { opening, turns } => {
                let (turn, further) = turns.split_first().ok_or(PrepareError::NoMessage)?;
                let turn = Message { role: Role::User, content: turn.clone() };
                let messages: Vec<Message> = opening.iter().cloned().chain([turn]).collect();
                (of_messages(model, &messages)?.further(further), None)
            }
            Prompt::Text(asked) => {
                let fitted = abilities.text(*asked).map_err(PrepareError::Text)?;
                let shared = (asked.shared > 0).then(|| of_shared(model, fitted));
                (of_text(model, fitted), shared)
            }
        };
        let fields = abilities.fields(case);
        let settings = Settings { temperature: case.temperature, seed: case.seed, fields };
        let prime = shared.map(|shared| shared.settings(settings)).transpose()?;
        let lengths = Lengths::of(case, key, *seed);
        let keep_text = *keep_text || body.is_conversation();
        let body = body.settings(settings)?;
        let prepared = Self::new(endpoint, key, body, lengths, (case.timeouts, keep_text))?;
        Ok(Self { prime, ..prepared })
    }

    /// What requests of no case are made of.
    ///
    /// # Errors
    /// As [`Prepared::of_case`].
    pub fn of_ask(
        endpoint: &Endpoint,
        key: &AttemptKey,
        ask: &Ask<'_>,
        fields: Fields,
    ) -> Result<Self, PrepareError> {
        let settings = Settings { temperature: ask.temperature, seed: ask.seed, fields };
        let body = of_messages(&endpoint.facts().model, ask.messages)?.settings(settings)?;
        let lengths = Lengths::fixed(ask.max_tokens);
        Self::new(endpoint, key, body, lengths, (ask.timeouts, ask.keep_text))
    }

    /// A text that is sent to have its tokens counted.
    ///
    /// # Errors
    /// As [`Prepared::of_case`].
    pub fn of_count(
        endpoint: &Endpoint,
        key: &AttemptKey,
        text: Fitted,
        timeouts: Timeouts,
    ) -> Result<Self, PrepareError> {
        let settings = Settings { temperature: 0.0, seed: None, fields: Fields::default() };
        let body = of_text(&endpoint.facts().model, text).settings(settings)?;
        Self::new(endpoint, key, body, Lengths::fixed(1), (timeouts, false))
    }

    fn new(
        endpoint: &Endpoint,
        key: &AttemptKey,
        body: Body,
        lengths: Lengths,
        (timeouts, keep_text): (Timeouts, bool),
    ) -> Result<Self, PrepareError> {
        let target = endpoint.target();
        let mut headers = HeaderMap::new();
        let host = HeaderValue::try_from(target.address.authority()).map_err(http::Error::from)?;
        headers.insert(HOST, host);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        headers.insert(USER_AGENT, HeaderValue::from_static(identity::USER_AGENT));
        if let Some(authorization) = &target.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        Ok(Self {
            uri: Uri::try_from(target.address.path("/v1/chat/completions"))
                .map_err(http::Error::from)?,
            headers,
            key: key.clone(),
            body,
            prime: None,
            lengths,
            other_models: endpoint.other_models(),
            keep_text,
            timeouts,
        })
    }

    /// How long opening a connection for it may take.
    #[must_use]
    pub fn connect_limit(&self) -> Duration {
        self.timeouts.connect
    }

    /// One request. A body of 100 kB takes some 20 us, so it is made ahead of its send instant.
    #[must_use]
    pub fn build(&self, which: ConversationTurn<'_>) -> Built {
        let ConversationTurn { seq, conversation, turn, answers } = which;
        let own = if self.body.is_conversation() { conversation } else { seq };
        let salt = |scope| match scope {
            Scope::Own => Salt::of(&self.key, own),
            Scope::Attempt => Salt::of_attempt(&self.key),
        };
        let max_tokens = self.lengths.of_request(seq);
        let answers = &answers[..answers.len().min(usize::try_from(turn).unwrap_or(usize::MAX))];
        let body = self.body.fill(salt, answers, max_tokens);
        self.built(body, max_tokens, &self.key.request_id(seq))
    }

    /// The request that sends the beginning which all requests of the attempt share, not to be
    /// measured; `None` if nothing is shared.
    #[must_use]
    pub fn prime(&self) -> Option<Built> {
        let salt = |_| Salt::of_attempt(&self.key);
        let body = self.prime.as_ref()?.fill(salt, &[], 1);
        Some(self.built(body, 1, &format!("{}/prime", self.key)))
    }

    /// Omits an id that is not a valid header value.
    fn built(&self, body: Vec<u8>, max_tokens: u32, id: &str) -> Built {
        let expected = Expected {
            limits: Limits::new(body.len(), max_tokens),
            other_models: Arc::clone(&self.other_models),
            max_tokens,
            keep_text: self.keep_text,
        };
        let mut request = Request::new(Full::new(Bytes::from(body)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        if let Ok(id) = HeaderValue::from_str(id) {
            request.headers_mut().insert(REQUEST_ID, id);
        }
        Built { max_tokens, request, expected, timeouts: self.timeouts }
    }
}

/// Messages with the salt as the first line of the first.
fn of_messages(model: &str, messages: &[Message]) -> Result<Body, PrepareError> {
    let (first, others) = messages.split_first().ok_or(PrepareError::NoMessage)?;
    let part = Part { scope: Scope::Own, text: &first.content };
    Ok(others.iter().fold(Body::new(model, first.role, &[part]), Body::message))
}

/// A text, its beginning under the attempt's salt if it is shared.
fn of_text(model: &str, text: Fitted) -> Body {
    let own = Part { scope: Scope::Own, text: text.own };
    if text.shared.is_empty() {
        Body::new(model, Role::User, &[own])
    } else {
        let shared = Part { scope: Scope::Attempt, text: text.shared };
        Body::new(model, Role::User, &[shared, own])
    }
}

/// The shared beginning alone.
fn of_shared(model: &str, text: Fitted) -> Body {
    Body::new(model, Role::User, &[Part { scope: Scope::Attempt, text: text.shared }])
}

/// What of an answer the next turn of its conversation carries: the answer without its reasoning and tool calls.
/// `None` where the text was not kept; [`Prepared::of_case`] has it kept for conversations,
/// whatever its caller says, who then drops it.
#[must_use]
pub fn carried(trace: &RequestTrace) -> Option<String> {
    let text = trace.answer.text.as_ref()?;
    let chars = |kind| {
        let chunks = trace.chunks.iter().filter(|chunk| chunk.kind == kind);
        chunks.map(|chunk| usize::try_from(chunk.chars).unwrap_or(usize::MAX)).sum()
    };
    let answer = text.chars().skip(chars(ChunkKind::Reasoning));
    Some(answer.take(chars(ChunkKind::Answer)).collect())
}

/// How many tokens each request asks for.
#[derive(Debug, Clone)]
struct Lengths {
    min: u32,
    max: u32,
    key: [u8; 32],
}

impl Lengths {
    fn fixed(max: u32) -> Self {
        Self { min: max, max, key: [0; 32] }
    }

    /// Stable for ever: ChaCha20 keyed with the seed (8 bytes, little-endian), the repetition (4)
    /// and the first 20 bytes of the SHA-256 of the case's id. Request `seq` has the `seq`-th draw
    /// `x` of 64 bits and the limit `min + floor(x * (max - min + 1) / 2^64)`.
    fn of(case: &Case, key: &AttemptKey, seed: u64) -> Self {
        let mut cipher = [0; 32];
        cipher[..8].copy_from_slice(&seed.to_le_bytes());
        cipher[8..12].copy_from_slice(&key.cell.repetition.0.to_le_bytes());
        cipher[12..].copy_from_slice(&Sha256::digest(case.id.as_str())[..20]);
        Self { min: case.min_max_tokens.min(case.max_tokens), max: case.max_tokens, key: cipher }
    }

    fn of_request(&self, seq: u32) -> u32 {
        let choices = u64::from(self.max - self.min) + 1;
        if choices == 1 {
            return self.max;
        }
        let mut random = ChaCha20Rng::from_seed(self.key);
        // In words of 32 bits.
        random.set_word_pos(2 * u128::from(seq));
        let above = (u128::from(random.next_u64()) * u128::from(choices)) >> 64;
        self.min + u32::try_from(above).expect("below `choices`, whose last one is a u32")
    }
}

#[cfg(test)]
mod tests;
