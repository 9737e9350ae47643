//! Faults of the simulator by name, each with the outcome that a client should record.
//!
//! The tests, the docs and the help share this table. `faulty` implements the faults.

use std::fmt;
use std::str::FromStr;

use regatta_types::failure::FailureKind;
use thiserror::Error;

/// Writes the enum and its table from one list.
macro_rules! faults {
    ($($(#[doc = $what:literal])+ $fault:ident, $name:literal => $kind:expr;)+) => {
        /// A fault of a response.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Fault {
            $($(#[doc = $what])+ $fault,)+
        }

        impl Fault {
            /// All of them, in the order of the docs.
            pub const ALL: &'static [Self] = &[$(Self::$fault,)+];

            /// Its name on the command line.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$fault => $name,)+
                }
            }

            /// The failure of an affected request; `None`: the request succeeds.
            #[must_use]
            pub fn outcome(self) -> Option<FailureKind> {
                match self {
                    $(Self::$fault => $kind,)+
                }
            }

            /// What it does, without a final period.
            #[must_use]
            pub fn what(self) -> &'static str {
                match self {
                    $(Self::$fault => concat!($($what),+).trim_ascii(),)+
                }
            }
        }
    };
}

faults! {
    /// the next connection is closed on accept
    CloseAtAccept, "close-at-accept" => Some(FailureKind::Reset);
    /// the connection is reset before the response
    ResetBeforeHead, "reset-before-head" => Some(FailureKind::Reset);
    /// the connection is closed before the response
    CloseBeforeHead, "close-before-head" => Some(FailureKind::Reset);
    /// no response, the connection stays open
    NoHead, "no-head" => Some(FailureKind::FirstTokenTimeout);
    /// a response head, then silence
    NoToken, "no-token" => Some(FailureKind::FirstTokenTimeout);
    /// half of the tokens, then silence
    Stall, "stall" => Some(FailureKind::ChunkTimeout);
    /// half of the tokens, then a comment every 100 ms
    DripComments, "drip-comments" => Some(FailureKind::ChunkTimeout);
    /// half of the tokens, then an empty event every 100 ms
    DripEmpty, "drip-empty" => Some(FailureKind::RequestTimeout);
    /// half of the tokens, then one token every 100 ms
    DripTokens, "drip-tokens" => Some(FailureKind::RequestTimeout);
    /// half of the tokens, then a connection reset
    ResetInStream, "reset-in-stream" => Some(FailureKind::IncompleteStream);
    /// the connection is closed in the middle of an event
    CloseInStream, "close-in-stream" => Some(FailureKind::IncompleteStream);
    /// a clean end without a finish reason
    NoFinish, "no-finish" => Some(FailureKind::IncompleteStream);
    /// `[DONE]` without a finish reason
    DoneWithoutFinish, "done-without-finish" => Some(FailureKind::IncompleteStream);
    /// an error object as an event
    ErrorEvent, "error-event" => Some(FailureKind::ErrorEvent);
    /// an error string as an event
    ErrorString, "error-string" => Some(FailureKind::ErrorEvent);
    /// an error object as an event, then `[DONE]`
    ErrorThenDone, "error-then-done" => Some(FailureKind::ErrorEvent);
    /// an error object as the JSON body of a 200 response
    ErrorBody, "error-body" => Some(FailureKind::ErrorEvent);
    /// a single JSON body instead of a stream
    JsonBody, "json-body" => Some(FailureKind::BadStream);
    /// an event with truncated JSON, then the stream continues
    BadJson, "bad-json" => Some(FailureKind::BadStream);
    /// an event with invalid UTF-8, then the stream continues
    BadUtf8, "bad-utf8" => Some(FailureKind::BadStream);
    /// a body chunk with an invalid length
    BadChunk, "bad-chunk" => Some(FailureKind::BadStream);
    /// a response that is not HTTP
    NotHttp, "not-http" => Some(FailureKind::BadStream);
    /// an unrequested gzip-encoded body
    Gzip, "gzip" => Some(FailureKind::BadStream);
    /// status 429 with `Retry-After: 7`
    TooManyRequests, "http-429" => Some(FailureKind::HttpStatus);
    /// status 503 with an error object
    Unavailable, "http-503" => Some(FailureKind::HttpStatus);
    /// status 500 with an HTML page
    ServerError, "http-500" => Some(FailureKind::HttpStatus);
    /// status 401
    Unauthorized, "http-401" => Some(FailureKind::HttpStatus);
    /// status 302 to another path on the same host
    Redirect, "http-302" => Some(FailureKind::HttpStatus);
    /// a line longer than 1 GiB
    EndlessLine, "endless-line" => Some(FailureKind::LimitExceeded);
    /// tokens as fast as they are read, without end
    EndlessTokens, "endless-tokens" => Some(FailureKind::LimitExceeded);
    /// long comments as fast as they are read, without end
    EndlessComments, "endless-comments" => Some(FailureKind::LimitExceeded);
    /// a million chunks with an empty comment, then silence
    TinyComments, "tiny-comments" => Some(FailureKind::ChunkTimeout);
    /// a response head of more than 64 KiB
    LongHead, "long-head" => Some(FailureKind::LimitExceeded);
    /// a finish reason, but no text
    Empty, "empty" => Some(FailureKind::EmptyAnswer);
    /// half of the tokens, then the finish reason `abort`
    Abort, "abort" => Some(FailureKind::Aborted);
    /// an answer from another model
    WrongModel, "wrong-model" => Some(FailureKind::WrongModel);
    /// finish reason and usage, but no `[DONE]`
    NoDone, "no-done" => None;
    /// no usage, although requested
    NoUsage, "no-usage" => None;
    /// usage with twice the tokens
    DoubleUsage, "double-usage" => None;
    /// CRLF line ends, comments and unknown fields
    CrLf, "crlf" => None;
    /// multi-byte characters, one byte per chunk
    TinyChunks, "tiny-chunks" => None;
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A fault and the share of affected requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FaultRate {
    /// The fault.
    pub fault: Fault,
    /// Percentage of accepted requests, evenly spaced by request number; 1 to 100.
    pub percent: u8,
}

impl FaultRate {
    /// The fault that affects request `number`. Each fault has its own phase, so that four faults
    /// of 25 % affect all requests in turn.
    pub(crate) fn hit(rates: &[Self], number: u64) -> Option<Fault> {
        (0..).zip(rates).find_map(|(phase, Self { fault, percent })| {
            let percent = u64::from(*percent);
            let before = (number % 100 + phase) * percent % 100;
            (before + percent >= 100).then_some(*fault)
        })
    }
}

/// Not `NAME` or `NAME:PERCENT`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FaultError {
    /// Unknown name.
    #[error("unknown fault `{0}`. --help lists the faults")]
    Unknown(String),
    /// Invalid percentage.
    #[error("`{0}` is not a whole percentage from 1 to 100")]
    Percent(String),
}

impl FromStr for FaultRate {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let (name, percent) = text.split_once(':').unwrap_or((text, "100"));
        let fault = Fault::ALL.iter().copied().find(|fault| fault.name() == name);
        let fault = fault.ok_or_else(|| FaultError::Unknown(name.to_owned()))?;
        let number = percent.trim_end_matches('%').parse().ok();
        let percent = number
            .filter(|p| (1..=100).contains(p))
            .ok_or_else(|| FaultError::Percent(percent.to_owned()))?;
        Ok(Self { fault, percent })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn hits(rates: &[&str], numbers: u64) -> Vec<Option<&'static str>> {
        let rates: Vec<FaultRate> = rates.iter().map(|rate| rate.parse().unwrap()).collect();
        (0..numbers).map(|n| FaultRate::hit(&rates, n).map(Fault::name)).collect()
    }

    #[test]
    fn a_fault_of_25_percent_hits_every_fourth_request() {
        let stall = Some("stall");
        let every_fourth = [None, None, None, stall, None, None, None, stall];
        assert_eq!(hits(&["stall:25"], 8), every_fourth);
        let (gzip, empty) = (Some("gzip"), Some("empty"));
        let in_turn = [None, empty, gzip, stall, None, empty, gzip, stall];
        assert_eq!(hits(&["stall:25", "gzip:25", "empty:25"], 8), in_turn);
        for (rate, count) in [("stall", 100), ("stall:30", 30), ("stall:7%", 7)] {
            assert_eq!(hits(&[rate], 100).iter().flatten().count(), count, "{rate}");
        }
    }

    #[test]
    fn fault_names_are_unique_and_bad_rates_are_errors() {
        let names: BTreeSet<_> = Fault::ALL.iter().map(|fault| fault.name()).collect();
        assert_eq!(names.len(), Fault::ALL.len());
        assert!(Fault::ALL.iter().all(|fault| !fault.what().ends_with('.')));
        assert_eq!("x".parse::<FaultRate>(), Err(FaultError::Unknown("x".into())));
        for percent in ["0", "101", "", "-1"] {
            let error = format!("stall:{percent}").parse::<FaultRate>().unwrap_err();
            assert_eq!(error, FaultError::Percent(percent.into()));
        }
    }
}
