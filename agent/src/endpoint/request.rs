//! What is sent: one chat completion, serialised before its send instant.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, USER_AGENT};
use http::{HeaderValue, Method, Request, Uri};
use http_body_util::Full;
use regatta_types::suite::{Case, Message, Timeouts};
use serde::Serialize;

use super::Endpoint;
use super::recorder::{Expected, Limits};
use super::salt::Salt;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What to ask for.
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

impl<'a> Ask<'a> {
    /// What a case asks for.
    #[must_use]
    pub fn of(case: &'a Case, keep_text: bool) -> Self {
        Self {
            messages: case.prompt.messages(),
            max_tokens: case.max_tokens,
            temperature: case.temperature,
            seed: case.seed,
            timeouts: case.timeouts,
            keep_text,
        }
    }
}

/// A request that can be sent any number of times, each under its own id and with its own
/// [`Salt`].
#[derive(Debug, Clone)]
pub struct Prepared {
    uri: Uri,
    headers: HeaderMap,
    body: Vec<u8>,
    /// Where the salt stands in the body.
    salt_at: usize,
    pub(super) expected: Expected,
    pub(super) timeouts: Timeouts,
}

/// Why a request cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The endpoint's name or path does not fit into HTTP.
    #[error("the endpoint's address does not fit into a request")]
    Address(#[from] http::Error),
    /// The case does not fit into JSON.
    #[error("the request does not fit into JSON")]
    Body(#[from] serde_json::Error),
    /// The case has no message.
    #[error("the request has no message")]
    NoMessage,
}

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    messages: &'a [Message],
    max_tokens: u32,
    temperature: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<i64>,
    stream: bool,
    stream_options: StreamOptions,
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

impl Prepared {
    /// Serialises `ask` for `endpoint` and its model.
    ///
    /// # Errors
    /// When the address or the messages cannot be written down, or there are none; none of this
    /// happens with checked values.
    pub fn new(endpoint: &Endpoint, ask: &Ask<'_>) -> Result<Self, PrepareError> {
        let target = endpoint.target();
        let model = &endpoint.facts().model;
        let body = json(model, ask, Salt::uniform(0))?;
        // The salt is all that differs between two bodies.
        let other = json(model, ask, Salt::uniform(1))?;
        let salt_at = body.iter().zip(&other).position(|(one, other)| one != other);
        let mut headers = HeaderMap::new();
        let host = HeaderValue::try_from(target.address.authority()).map_err(http::Error::from)?;
        headers.insert(HOST, host);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        headers.insert(USER_AGENT, HeaderValue::from_static(super::USER_AGENT));
        if let Some(authorization) = &target.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        Ok(Self {
            uri: Uri::try_from(target.address.path("/v1/chat/completions"))
                .map_err(http::Error::from)?,
            headers,
            expected: Expected {
                limits: Limits::new(body.len(), ask.max_tokens),
                other_models: endpoint.other_models(),
                max_tokens: ask.max_tokens,
                keep_text: ask.keep_text,
            },
            body,
            salt_at: salt_at.ok_or(PrepareError::NoMessage)?,
            timeouts: ask.timeouts,
        })
    }

    /// How long opening a connection for it may take.
    #[must_use]
    pub fn connect_limit(&self) -> Duration {
        self.timeouts.connect
    }

    /// The request under one id and with one salt. An id that no header can hold is left out.
    pub(super) fn request(&self, id: &str, salt: Salt) -> Request<Full<Bytes>> {
        let mut body = self.body.clone();
        let salt = salt.bytes();
        body[self.salt_at..self.salt_at + salt.len()].copy_from_slice(salt);
        let mut request = Request::new(Full::new(Bytes::from(body)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        if let Ok(id) = HeaderValue::from_str(id) {
            request.headers_mut().insert(REQUEST_ID, id);
        }
        request
    }
}

/// The body with `salt` as the first line of its first message.
fn json(model: &str, ask: &Ask<'_>, salt: Salt) -> Result<Vec<u8>, serde_json::Error> {
    let mut messages = ask.messages.to_vec();
    if let Some(first) = messages.first_mut() {
        first.content = format!("[{salt}]\n{}", first.content);
    }
    serde_json::to_vec(&Body {
        model,
        messages: &messages,
        max_tokens: ask.max_tokens,
        temperature: ask.temperature,
        seed: ask.seed,
        stream: true,
        stream_options: StreamOptions { include_usage: true },
    })
}
