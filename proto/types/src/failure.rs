//! Failures of a request. A failure of the engine is data: stored, counted and reported.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The kinds of failure, shared by code, reports and docs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The endpoint refused the connection or is unreachable.
    Unreachable,
    /// No connection within the connect timeout.
    ConnectTimeout,
    /// No token within the first-token timeout.
    FirstTokenTimeout,
    /// No chunk within the chunk timeout.
    ChunkTimeout,
    /// The request exceeded the request timeout.
    RequestTimeout,
    /// A status other than 200.
    HttpStatus,
    /// The connection was reset or closed before the response began.
    Reset,
    /// The stream ended without a finish reason.
    IncompleteStream,
    /// Protocol violation: invalid chunking, JSON or UTF-8.
    BadStream,
    /// An error object in a 200 response.
    ErrorEvent,
    /// More bytes, or longer lines, than any valid answer has.
    LimitExceeded,
    /// A successful response without any text.
    EmptyAnswer,
    /// The engine gave up the answer: a finish reason such as `abort` or `error`.
    Aborted,
    /// The answer came from a different model than requested.
    WrongModel,
    /// Cancelled by Regatta before the end.
    Cancelled,
    /// An internal error of Regatta.
    Harness,
}

impl FailureKind {
    /// Every kind, in the order of the docs.
    pub const ALL: [Self; 16] = [
        Self::Unreachable,
        Self::ConnectTimeout,
        Self::FirstTokenTimeout,
        Self::ChunkTimeout,
        Self::RequestTimeout,
        Self::HttpStatus,
        Self::Reset,
        Self::IncompleteStream,
        Self::BadStream,
        Self::ErrorEvent,
        Self::LimitExceeded,
        Self::EmptyAnswer,
        Self::Aborted,
        Self::WrongModel,
        Self::Cancelled,
        Self::Harness,
    ];

    /// The name used in files and reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::ConnectTimeout => "connect_timeout",
            Self::FirstTokenTimeout => "first_token_timeout",
            Self::ChunkTimeout => "chunk_timeout",
            Self::RequestTimeout => "request_timeout",
            Self::HttpStatus => "http_status",
            Self::Reset => "reset",
            Self::IncompleteStream => "incomplete_stream",
            Self::BadStream => "bad_stream",
            Self::ErrorEvent => "error_event",
            Self::LimitExceeded => "limit_exceeded",
            Self::EmptyAnswer => "empty_answer",
            Self::Aborted => "aborted",
            Self::WrongModel => "wrong_model",
            Self::Cancelled => "cancelled",
            Self::Harness => "harness",
        }
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A failed request: its kind and the error message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The kind.
    pub kind: FailureKind,
    /// One clean line, at most 300 characters ([`crate::clean::excerpt`]).
    pub message: String,
    /// The HTTP status, when one was received.
    pub http_status: Option<u16>,
}

impl Failure {
    /// A failure with a cleaned message.
    #[must_use]
    pub fn new(kind: FailureKind, message: &str) -> Self {
        Self { kind, message: crate::clean::excerpt(message, 300), http_status: None }
    }

    /// The same failure with an HTTP status.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.http_status = Some(status);
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.message)
    }
}
